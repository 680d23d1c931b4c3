# SPDX-License-Identifier: MIT
"""A log that is read while it is written: each event once, as soon as its report is over, in bounded memory."""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.cli.app import _run
from rig.cli.follow_log import follow
from rig.klog import read
from rig.klog.follow import Follower
from tests.klog import made

REPORT = made.serial(made.oom_report())


def test_report_is_an_event_when_the_log_falls_silent() -> None:
    follower = Follower()

    assert list(follower.feed(REPORT)) == []
    assert follower.waiting
    (event,) = follower.flush()

    assert event == read([REPORT]).events[0]
    assert not follower.waiting


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pieces_of_any_size_give_the_same_events(size: int) -> None:
    log = REPORT + made.serial(made.oops()) + made.serial(made.panic())
    follower = Follower()

    events = [event for at in range(0, len(log), size) for event in follower.feed(log[at : at + size])]
    events += follower.finish()

    assert tuple(events) == read([log]).events


def test_what_comes_after_the_silence_is_the_next_event() -> None:
    follower = Follower()
    list(follower.feed(REPORT))
    list(follower.flush())

    list(follower.feed(b"[   99.000000] eth0: link is up\n" + REPORT))
    (event,) = follower.flush()

    assert event.number == 2
    assert event.line == REPORT.count(b"\n") + 2
    assert event.title == "out of memory: killed parent"


def test_line_without_an_end_does_not_fill_memory() -> None:
    follower = Follower()

    for _ in range(100):
        list(follower.feed(b"x" * 100_000))

    assert len(follower._rest) < 20_000


def test_memory_does_not_grow_with_the_log() -> None:
    follower = Follower()
    log = b"".join(
        b"[%6d.000000] made[%d]: segfault at 0 ip 0000562d1f3c4149 sp 00007ffd4a5d8e30 error 4 in made[562d1f3c4000]\n"
        % (at, at)
        for at in range(60)
    )
    events = sum(1 for _ in range(2) for _event in follower.feed(log))

    gc.collect()
    tracemalloc.start()
    events += sum(1 for _ in range(6) for _event in follower.feed(log))
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert events == 8 * 60
    assert held < len(log) / 2


def test_pipe_is_read_until_its_writer_ends_and_silence_is_told() -> None:
    reading, writing = os.pipe()
    waiting = [True]
    pieces = follow(f"/dev/fd/{reading}", quiet=0.01, waiting=lambda: waiting[0])

    os.write(writing, b"one\n")
    assert next(pieces) == b"one\n"
    assert next(pieces) is None
    os.write(writing, b"two\n")
    os.close(writing)
    os.close(reading)
    assert next(pieces) in (b"two\n", None)
    waiting[0] = False
    assert set(pieces) <= {b"two\n"}


def test_file_is_followed_through_growth_truncation_and_rotation(tmp_path: Path) -> None:
    path = tmp_path / "kern.log"
    path.write_bytes(b"one\n")
    pieces = follow(str(path), quiet=0, waiting=lambda: False)

    assert next(pieces) == b"one\n"
    with path.open("ab") as file:
        file.write(b"two\n")
    assert next(pieces) == b"two\n"
    path.write_bytes(b"3\n")
    assert next(pieces) == b"3\n"
    path.rename(tmp_path / "kern.log.1")
    path.write_bytes(b"four\n")
    assert next(pieces) == b"four\n"
    pieces.close()  # type: ignore[attr-defined] # a generator


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(data: bytes) -> None:
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(reading)
            os.write(writing, data)  # a pipe holds 64 KiB
            os._exit(0)
        os.close(writing)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.FileIO(reading)))  # type: ignore[type-var] # it is read by its descriptor

    return give


def test_follow_prints_each_event_of_a_pipe(stdin: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]) -> None:
    stdin(REPORT + made.serial(made.oops()))

    assert _run(["explain", "--follow"]) == 0

    out = capsys.readouterr().out
    assert "Event 1: out of memory: killed parent" in out
    assert "Event 2: BUG: unable to handle" in out


def test_jsonl_is_a_line_for_each_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_bytes(REPORT.replace(b"parent", b"secretd") + made.serial(made.oops()))

    assert _run(["explain", str(tmp_path / "log"), "--jsonl", "--redact"]) == 0

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["schema"], each["event"]["kind"]) for each in lines] == [(1, "oom"), (1, "oops")]
    assert lines[0]["explanation"]["cause"] == "processes"
    assert "secretd" not in json.dumps(lines)


@pytest.mark.parametrize("words", [["--follow", "--json"], ["--jsonl", "--all"], ["--recursive", "--redact"]])
def test_options_that_do_not_go_together_are_a_usage_error(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["explain", str(tmp_path), *words]) == 64

    assert f"leave out {words[1]}" in capsys.readouterr().err


def test_signal_ends_it_with_its_status_and_what_it_found_is_printed() -> None:
    command = [sys.executable, "-c", "from rig.cli import main; main()", "explain", "--follow", "--jsonl"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdin is not None
        assert started.stdout is not None
        started.stdin.write(REPORT)
        started.stdin.flush()
        line = started.stdout.readline()

        started.send_signal(signal.SIGTERM)
        _out, err = started.communicate(timeout=60)

    assert json.loads(line)["event"]["kind"] == "oom"
    assert started.returncode == 143
    assert b"Traceback" not in err
