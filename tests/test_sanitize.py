# SPDX-License-Identifier: MIT
"""Text of a guest cannot move the cursor, change colours or hide a part of a line."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.sanitize import for_json, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("\x1bP1$r\x1b\\x", "x"),
        ("\x9b2Jgone", "gone"),
        ("\x1bcreset", "reset"),
        ("a\tb", "a    b"),
        ("line\r\n", "line"),
        ("over\rwrite", "over�write"),
        ("\u202eright to left", "�right to left"),
        ("zero\u200bwidth", "zero�width"),
        ("bell\x07", "bell�"),
        ("two\nlines", "two�lines"),
        ("plain – ü × text", "plain – ü × text"),
    ],
)
def test_controls_are_taken_out(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
def test_no_control_is_left_of_any_text(text: str) -> None:
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in plain(text))


def test_long_text_is_cut() -> None:
    assert len(plain("x" * 100000)) == 4096


@given(st.text())
def test_json_on_a_terminal_is_printable_and_means_the_same(text: str) -> None:
    shown = for_json(json.dumps({"said": text}, indent=1, ensure_ascii=False))

    assert json.loads(shown) == {"said": text}
    assert shown.replace("\n", "").isprintable()
