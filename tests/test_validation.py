# SPDX-License-Identifier: MIT
"""Validation errors of pydantic, in rig's words."""

from __future__ import annotations

import typing
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_core import core_schema

from rig.validation import WORDS, describe_first


class Part(BaseModel):
    kind: Literal["claim", "condition"] = "claim"


class File(BaseModel, extra="forbid"):
    count: Annotated[int, Field(ge=1, le=64)] = 1
    share: float = 1.0
    title: Annotated[str, Field(max_length=5, pattern="^[a-z]*$")] = ""
    parts: Annotated[tuple[Part, ...], Field(min_length=1)] = (Part(),)
    table: dict[str, str] = Field(default_factory=dict)
    yes: bool = True
    even: int = 0

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("is odd")
        return value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"count": "x"}, "count: must be a whole number"),
        ({"count": 1.5}, "count: must be a whole number"),
        ({"count": 0}, "count: must be at least 1"),
        ({"count": 65}, "count: must be at most 64"),
        ({"share": "x"}, "share: must be a number"),
        ({"title": 3}, "title: must be a text"),
        ({"title": "abcdef"}, "title: must have at most 5 characters"),
        ({"title": "A"}, "title: does not have the form ^[a-z]*$"),
        ({"parts": 3}, "parts: must be a list"),
        ({"parts": []}, "parts: must have at least 1 entries"),
        ({"parts": [3]}, "parts.0: must be a table"),
        ({"parts": [{"kind": "x"}]}, "parts.0.kind: must be one of 'claim' or 'condition'"),
        ({"table": 3}, "table: must be a table"),
        ({"yes": "perhaps"}, "yes: must be true or false"),
        ({"even": 3}, "even: is odd"),
        ({"other": 3}, "other: is not a known key"),
    ],
)
def test_problem_is_said_in_plain_words(content: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        File.model_validate(content)

    assert describe_first(raised.value) == said


def test_broken_json_is_said_without_a_key() -> None:
    with pytest.raises(ValidationError) as raised:
        File.model_validate_json("{")

    assert describe_first(raised.value) == "the text is not valid JSON"


def test_each_word_is_for_an_error_that_pydantic_has() -> None:
    assert set(WORDS) <= set(typing.get_args(core_schema.ErrorType))
