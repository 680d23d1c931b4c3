# SPDX-License-Identifier: MIT
"""Jinja2 as scenarios use it: sandboxed, strict about unknown names, with sizes and durations as filters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from rig.errors import UsageError
from rig.scenario.suggestion import did_you_mean
from rig.units import format_duration, format_size

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["check_template", "render"]


@cache
def _environment() -> Environment:
    # Imported here: jinja2 costs a tenth of a second, and `rig list` needs none of it.
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_plain
    )
    environment.filters["size"] = lambda count: format_size(int(count))
    environment.filters["duration"] = lambda seconds: format_duration(float(seconds))
    return environment


def _plain(value: Any) -> Any:
    """A float is written as the agent reads it (`30`, `0.00005`), a truth as the protocol's 1 and 0."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    return value


def is_template(text: str) -> bool:
    """Whether `text` holds anything for Jinja2 to do."""
    return "{{" in text or "{%" in text or "{#" in text


def check_template(text: str, *, where: str, names: Collection[str]) -> None:
    """Refuse a template that does not parse or that uses an unknown name. Raises UsageError."""
    if not is_template(text):
        return
    from jinja2 import TemplateSyntaxError, meta

    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        raise UsageError(
            f"the template is broken: {error.message}",
            where=where,
            remedy="correct the template",
            detail=text,
        ) from None
    for name in sorted(meta.find_undeclared_variables(tree)):
        if name not in names and name not in _environment().globals:
            raise UsageError(
                f"the template uses the unknown name '{name}'",
                where=where,
                remedy=did_you_mean(name, names),
                detail=text,
            )


def render(text: str, context: Mapping[str, Any], *, where: str) -> str:
    """Return `text` with the context's values in place. Raises UsageError for what cannot be rendered."""
    if not is_template(text):
        return text
    from jinja2 import TemplateError

    try:
        return _environment().from_string(text).render(context)
    except (TemplateError, TypeError, ValueError, ArithmeticError, OverflowError) as error:
        raise UsageError(
            f"the template cannot be rendered: {error}",
            where=where,
            remedy="correct the template",
            detail=text,
        ) from None
