# SPDX-License-Identifier: MIT
"""Say in plain words what pydantic found wrong with a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["describe_first", "describe_problem"]

WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "extra_forbidden": "is not a known key",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_type": "must be a whole number",
    "json_invalid": "the text is not valid JSON",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be one of {expected}",
    "missing": "is missing",
    "model_attributes_type": "must be a table",
    "model_type": "must be a table",
    "recursion_loop": "is nested too deeply",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be a text",
    "string_unicode": "must be a text in UTF-8",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "tuple_type": "must be a list",
}
"""Type of an error (pydantic_core.core_schema.ErrorType) -> what is printed after the key, with fields of its ctx."""


def describe_problem(problem: Mapping[str, Any]) -> str:
    """Return what is wrong, to be read after the key: `must be a whole number`.

    problem: an entry of ValidationError.errors(). The text of a ValueError is rig's own, and is returned as it is.
    """
    if problem["type"] == "value_error":
        return str(problem["msg"]).removeprefix("Value error, ")
    return WORDS.get(problem["type"], "has a value that is not allowed").format_map(problem.get("ctx") or {})


def describe_first(error: ValidationError) -> str:
    """Return the first problem with its key: `claims.0.kind: must be one of 'claim' or 'condition'`."""
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    described = describe_problem(first)
    return f"{key}: {described}" if key else described
