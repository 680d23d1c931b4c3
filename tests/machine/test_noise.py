# SPDX-License-Identifier: MIT
"""Bounds of the logs: how reads split the output does not change what is kept, and no counted record is lost."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from rig.machine import channel, console
from rig.machine.channel import Channel
from rig.machine.console import Console
from rig.machine.pipe import ReadEnd
from rig.machine.tee_log import HeadAndTail, Ration
from rig.telemetry.records import read_records

STREAM = b"".join(b"line %d\n" % number for number in range(3000))


def _kept(stream: bytes, cuts: list[int], head: int = 1000, tail: int = 500) -> tuple[bytes, int]:
    bound = HeadAndTail(head, tail)
    kept = b"".join(bound.take(stream[start:end]) for start, end in pairwise([0, *cuts, len(stream)]))
    return kept + bound.rest(), bound.left_out


@pytest.mark.parametrize("cuts", [[], [1], [999, 1000, 1001], list(range(0, len(STREAM), 7)), [len(STREAM) - 1]])
def test_head_and_tail_do_not_depend_on_how_the_bytes_come(cuts: list[int]) -> None:
    kept, left_out = _kept(STREAM, cuts)

    assert kept.startswith(STREAM[:1000])
    assert STREAM.endswith(kept[-400:])
    assert left_out == len(STREAM) - 1500
    assert b"[%d bytes left out]\nline " % left_out in kept


@pytest.mark.parametrize("size", [0, 999, 1000, 1001, 1499, 1500])
def test_stream_that_has_room_is_kept_as_it_is(size: int) -> None:
    assert _kept(STREAM[:size], [500, 600] if size > 600 else []) == (STREAM[:size], 0)


def _record(number: int, ev: str) -> bytes:
    return b'{"n":%d,"t":%d.5,"ev":"%s","text":"x"}' % (number, number, ev.encode())


def test_lines_of_programs_give_way_to_records() -> None:
    """A sample is kept behind any number of lines, and what was left out does not count as lost."""
    events = ["line"] * 100 + ["sample"] + ["line"] * 100 + ["sample", "end"]
    ration = Ration(lines=1000, others=1000)

    kept = [*ration.take(_record(number, ev) for number, ev in enumerate(events)), *ration.rest()]
    records = read_records(b"".join(line + b"\n" for line in kept))

    lines = len(records.of("line"))
    assert lines == len(kept) - 5
    assert (len(records.of("sample")), len(records.of("end"))) == (2, 1)
    assert (records.left_out, records.lost, records.bad_lines) == (200 - lines, 0, 0)
    assert ration.left_out > 6000


def test_records_beyond_all_bounds_are_lost_and_the_end_is_not() -> None:
    ration = Ration(lines=1000, others=1000)

    kept = [*ration.take([*(_record(number, "sample") for number in range(1000)), _record(1000, "end")])]

    records = read_records(b"".join(line + b"\n" for line in kept))
    assert records.lost == 1000 - len(records.of("sample")) > 900
    assert records.of("end")


@pytest.mark.parametrize("lines", [-1, 0, 3, 10**30, 1.5, "1", None])
def test_guest_cannot_hide_lost_records_behind_more_than_is_missing(lines: object) -> None:
    forged = json.dumps({"n": 2, "t": 1.0, "ev": "left-out", "lines": lines})

    records = read_records(_record(0, "ready") + b"\n" + forged.encode() + b"\n" + _record(3, "end") + b"\n")

    assert (records.lost, records.left_out, records.bad_lines) == (0, 0, 1) or records.lost


def test_console_of_a_guest_that_prints_much_is_bounded_and_ends_with_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LONGEST_LOG", 100_000)
    monkeypatch.setattr(console, "LONGEST_END", 10_000)
    streamed: list[bytes] = []
    lines: list[bytes] = []
    reader = Console(ReadEnd(tmp_path / "console"), tmp_path / "console.log", lines.append, streamed.append)
    reader.start()

    with (tmp_path / "console.out").open("wb") as qemu:
        qemu.write(b"first\n" + b"noise noise noise\n" * 100_000 + b"Kernel panic\n")

    assert reader.drain(10)
    log = (tmp_path / "console.log").read_bytes()
    assert len(log) < 111_000
    assert log == b"".join(streamed)
    assert (lines[0], lines[-1]) == (b"first", b"Kernel panic")
    assert reader.kept.left_out > 1_600_000


def test_records_behind_much_noise_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LONGEST_LINES", 100_000)
    received: list[bytes] = []
    noise = b'{"n":1,"t":1.0,"ev":"line","text":"' + b"x" * 80 + b'"}\n'

    async def listen() -> Channel:
        reader = Channel(tmp_path / "events.jsonl", received.append)
        await reader.listen(tmp_path / "events")

        def write() -> None:
            with (tmp_path / "events.out").open("wb") as qemu:
                qemu.write(noise * 20_000 + b'{"ev":"end"}\n')

        thread = threading.Thread(target=write)
        thread.start()
        # QEMU has ended. The reader still has to read everything that QEMU wrote.
        assert await reader.drain(10)
        thread.join()
        return reader

    reader = asyncio.run(listen())

    assert received[-1] == b'{"ev":"end"}'
    assert len(received) == 100_000 // len(noise) + 2
    log = (tmp_path / "events.jsonl").read_bytes()
    assert [json.loads(line)["ev"] for line in log.splitlines()][-1] == "end"
    assert reader.kept.left_out == (20_000 - 100_000 // len(noise)) * len(noise)


def test_record_without_an_end_is_cut_at_one_place(tmp_path: Path) -> None:
    async def kept(pieces: list[int], directory: Path) -> bytes:
        directory.mkdir()
        reader = Channel(directory / "events.jsonl", lambda line: None)
        await reader.listen(directory / "events")
        descriptor = os.open(directory / "events.out", os.O_WRONLY)
        for size in pieces:
            await asyncio.to_thread(os.write, descriptor, b"x" * size)
            await asyncio.sleep(0.01)
        os.close(descriptor)
        assert await reader.drain(10)
        return (directory / "events.jsonl").read_bytes()

    whole = asyncio.run(kept([600_000], tmp_path / "a"))
    pieces = asyncio.run(kept([200_000, 100_000, 1, 299_999], tmp_path / "b"))

    assert whole == pieces
    assert max(map(len, whole.split(b"\n"))) == channel.LONGEST_RECORD
