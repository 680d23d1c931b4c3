# SPDX-License-Identifier: MIT
"""The agent's port is read on after a line that is not a record."""

from __future__ import annotations

from typing import Any

import pytest

from rig.machine.session import Listeners, Session


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\xff", b"3", b'"ev"', b"[" * 60_000, b'{"ev": "go"}', b'{"n": 1, "t": "soon", "ev": "go"}',
        b'{"n": 1, "t": 1, "ev": ["go"]}', b'{"n": 1, "t": 1, "ev": "spawn", "pid": [1]}',
        b'{"n": 1, "t": 1, "ev": "go", "x": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda line: line[:40].decode(errors="replace"),
)  # fmt: skip
def test_malformed_line_is_counted_and_the_next_is_collected(line: bytes) -> None:
    nothing: Any = None
    session = Session(nothing, [], nothing, nothing, nothing, nothing, nothing)
    collected: list[Any] = []

    for each in (line, b'{"n": 2, "t": 1.5, "ev": "mark", "name": "x"}'):
        session.collect(each, Listeners(on_record=collected.append))

    assert session.bad_records == 1
    assert [record["name"] for record in collected] == ["x"]
