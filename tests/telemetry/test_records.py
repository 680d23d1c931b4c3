# SPDX-License-Identifier: MIT
"""The agent's records are untrusted: bounded, counted, and complete only where their numbers prove it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.telemetry.records import LONGEST_LINE, RecordReader, read_records


def line(n: int, ev: str = "mark", **fields: Any) -> bytes:
    return json.dumps({"n": n, "t": n / 10, "ev": ev, **fields}).encode() + b"\n"


def test_records_come_in_order_and_nothing_is_lost() -> None:
    records = read_records(line(0) + line(1) + line(2))

    assert [record["n"] for record in records.items] == [0, 1, 2]
    assert records.complete


@given(st.integers(1, 50))
def test_chunks_of_any_size_give_the_same_records(size: int) -> None:
    text = line(0, text="ü") + line(1) + line(2, x=[1, {"y": None}])

    chunks = [text[at : at + size] for at in range(0, len(text), size)]

    assert read_records(iter(chunks)) == read_records(text)


def test_reader_gives_each_record_when_its_line_is_whole() -> None:
    reader = RecordReader()
    whole = line(0)

    assert reader.feed(whole[:10]) == []
    assert [record["n"] for record in reader.feed(whole[10:])] == [0]


def test_gap_in_the_numbers_is_a_loss() -> None:
    assert read_records(line(0) + line(3)).lost == 2


def test_first_record_that_is_missing_is_a_loss() -> None:
    assert read_records(line(1)).lost == 1


def test_count_of_the_agent_is_believed_where_numbers_show_no_gap() -> None:
    records = read_records(line(0) + line(1, dropped=2) + line(2, ev="end", dropped=3))

    assert records.lost == 3
    assert not records.complete


def test_end_that_was_cut_is_no_loss_but_said() -> None:
    records = read_records(line(0) + line(1)[:-5])

    assert records.complete
    assert records.cut


@pytest.mark.parametrize(
    "bad",
    [
        b"not json\n",
        b"[1, 2]\n",
        b"null\n",
        b'{"n": "0", "t": 1, "ev": "x"}\n',
        b'{"n": true, "t": 1, "ev": "x"}\n',
        b'{"n": 0, "t": -1, "ev": "x"}\n',
        b'{"n": 0, "t": NaN, "ev": "x"}\n',
        b'{"n": 0, "t": 1e999, "ev": "x"}\n',
        b'{"n": 0, "t": 1}\n',
        b'{"n": -1, "t": 1, "ev": "x"}\n',
        b'{"n": 0, "t": 1, "ev": "x", "deep": ' + b"[" * 100000 + b"\n",
        b'{"n": ' + b"9" * 5000 + b', "t": 1, "ev": "x"}\n',
        b"\x00\xff\xfe\n",
    ],
)
def test_line_that_is_no_record_is_counted_and_kept_as_a_problem(bad: bytes) -> None:
    records = read_records(bad + line(0))

    assert [record["n"] for record in records.items] == [0]
    assert records.bad_lines == 1
    assert len(records.problems) == 1
    assert not records.complete


def printed(number: int, text: str, **more: object) -> bytes:
    return json.dumps({"n": number, "t": 1.0, "ev": "line", "text": text, **more}, ensure_ascii=False).encode() + b"\n"


def test_lines_of_programs_that_the_agent_cut_are_counted() -> None:
    records = read_records(
        printed(0, "x" * 4096)
        + printed(1, "ü" * 2048)
        + printed(2, "x" * 4095)
        + printed(3, "\ufffd" * 4095)  # of 4,095 bytes that are not UTF-8
        + printed(4, "x" * 4096, open=True)
        + printed(5, "\\" * 2100)
        + b'{"n": 6, "t": 1.0, "ev": "line", "text": ' + b"7" * 5000 + b"}\n"
    )  # fmt: skip

    assert (records.cut_lines, records.lost) == (2, 0)


def test_line_without_an_end_does_not_fill_memory() -> None:
    reader = RecordReader()
    for _ in range(100):
        reader.feed(b"x" * LONGEST_LINE)
    reader.feed(b"\n" + line(0))

    records = reader.result()

    assert records.bad_lines == 1
    assert [record["n"] for record in records.items] == [0]


def test_problems_are_bounded() -> None:
    records = read_records(b"x\n" * 1000)

    assert records.bad_lines == 1000
    assert len(records.problems) == 100


def test_number_that_goes_back_is_a_problem() -> None:
    records = read_records(line(5) + line(2))

    assert [record["n"] for record in records.items] == [5]
    assert records.bad_lines == 1


def test_invalid_utf8_is_replaced() -> None:
    records = read_records(b'{"n": 0, "t": 0, "ev": "line", "text": "\xff"}\n')

    assert records.items[0]["text"] == "�"


@given(st.binary(max_size=400))
def test_no_bytes_raise(content: bytes) -> None:
    read_records(content)


@pytest.mark.parametrize(
    "fields",
    [
        {"pid": None}, {"pid": True}, {"pid": [1]}, {"text": 3}, {"procs": {}}, {"meminfo": []}, {"label": {}}, {"x": 1 << 65},
        {"x": [[1e300]]}, {"name": None},
    ],
    ids=str,
)  # fmt: skip
def test_field_of_the_wrong_type_makes_the_line_invalid_and_the_next_is_read(fields: dict[str, Any]) -> None:
    records = read_records(line(0) + line(1, **fields) + line(2))

    assert [record["n"] for record in records.items] == [0, 2]
    assert records.bad_lines == 1


def test_number_of_many_digits_in_a_text_is_text() -> None:
    records = read_records(line(0, text="9" * 30 + " 1e400", x=1 << 64, y=1.5e-30))

    assert records.items[0]["text"] == "9" * 30 + " 1e400"
    assert records.items[0]["x"] == 1 << 64
    assert records.items[0]["y"] == 1.5e-30
