# SPDX-License-Identifier: MIT
"""The log of a build keeps its beginning and its end, and says how much it left out."""

from __future__ import annotations

import io
from pathlib import Path

from rig.image.build_log import LONGEST_LINE, BuildLog, read_lines


def lines(count: int) -> list[bytes]:
    return [f"line {number:05}\n".encode() for number in range(count)]


def test_log_within_its_bound_is_kept_whole(tmp_path: Path) -> None:
    with BuildLog(tmp_path / "log", head=110, tail=110) as log:
        for line in lines(20):
            log.write(line)

    assert (tmp_path / "log").read_bytes() == b"".join(lines(20))
    assert log.left_out == 0


def test_log_without_an_end_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    largest = 0
    with BuildLog(tmp_path / "log", head=110, tail=220) as log:
        for line in lines(1000):
            log.write(line)
            largest = max(largest, (tmp_path / "log").stat().st_size)

    kept = (tmp_path / "log").read_bytes().splitlines(keepends=True)
    assert kept[:10] == lines(10)
    assert kept[10] == f"[{log.left_out} bytes left out]\n".encode()
    assert kept[11:] == lines(1000)[-len(kept[11:]) :]
    assert len(kept[11:]) >= 19
    assert log.left_out + len(b"".join(kept)) - len(kept[10]) == len(b"".join(lines(1000)))
    assert largest < 110 + 2 * 220 + 60


def test_log_is_appended_to_with_bounds_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"of the call before\n" * 50)

    with BuildLog(tmp_path / "log", head=110, tail=110) as log:
        for line in lines(100):
            log.write(line)

    text = (tmp_path / "log").read_bytes()
    assert text.startswith(b"of the call before\n" * 50 + b"line 00000\n")
    assert text.endswith(b"line 00099\n")
    assert log.left_out > 0


def test_line_without_an_end_comes_in_parts() -> None:
    stream = io.BytesIO(b"x" * (2 * LONGEST_LINE + 1) + b"\nlast\n")

    assert [len(line) for line in read_lines(stream)] == [LONGEST_LINE, LONGEST_LINE, 2, 5]


def test_end_without_a_line_end_is_kept(tmp_path: Path) -> None:
    with BuildLog(tmp_path / "log", head=5, tail=50) as log:
        for _ in range(30):
            log.write(b"x" * 10)

    assert (tmp_path / "log").read_bytes().endswith(b"x" * 50)
