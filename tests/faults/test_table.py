# SPDX-License-Identifier: MIT
"""The campaign's count: a row that tries nothing, or less than it was to try, is a loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import Mock

import pytest

from tests.faults import __main__ as campaign
from tests.faults.table import Row


@contextmanager
def no_home() -> Iterator[Mock]:
    yield Mock()


def _row(tried: int, *, bound: bool = False) -> Row:
    return Row("a row", lambda home, count: ((f"case {number}", "") for number in range(tried)), 4, 2, bound=bound)


@pytest.mark.parametrize(
    ("row", "words", "said", "status"),
    [
        (_row(4), [], "", 0),
        (_row(3), [], "3 of 4 cases tried", 1),
        (_row(0), [], "0 of 4 cases tried", 1),
        (_row(2), ["--part"], "", 0),
        (_row(1), ["--part"], "1 of 2 cases tried", 1),
        # As many as there are files: at most 4, at least one.
        (_row(1, bound=True), [], "", 0),
        (_row(0, bound=True), [], "0 of 1 cases tried", 1),
        (_row(1, bound=True), ["--part"], "1 of 2 cases tried", 1),
    ],
)
def test_row_that_tries_too_little_is_a_loss(
    row: Row,
    words: list[str],
    said: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(campaign, "home", no_home)
    monkeypatch.setattr(campaign, "ROWS", (row,))

    assert campaign.main(words) == status

    shown = capsys.readouterr()
    assert "a row" in shown.out
    assert said in shown.err
