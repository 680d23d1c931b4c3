# SPDX-License-Identifier: MIT
"""The comparison of streams as they arrive finds the first difference at its offset, however reads split them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rig.run.comparison import Comparison, Replayed


def _file(directory: Path, content: bytes) -> Path:
    path = directory / "console.log"
    path.write_bytes(content)
    return path


def test_same_bytes_in_any_pieces_are_identical(tmp_path_factory) -> None:  # type: ignore[no-untyped-def] # a fixture inside hypothesis
    directory = tmp_path_factory.mktemp("same")

    @given(st.lists(st.binary(max_size=30)))
    def check(pieces: list[bytes]) -> None:
        comparison = Comparison("console.log", _file(directory, b"".join(pieces)))

        for piece in pieces:
            comparison.feed(piece)

        assert comparison.identical
        assert comparison.difference is None

    check()


def test_first_differing_byte_is_named_with_its_line(tmp_path: Path) -> None:
    comparison = Comparison("console.log", _file(tmp_path, b"one\ntwo\nthree\n"))

    for piece in (b"on", b"e\nt", b"wO\nthr"):
        comparison.feed(piece)

    difference = comparison.difference
    assert difference is not None
    assert (difference.offset, difference.line) == (6, 2)
    assert (difference.expected, difference.got) == (b"two", b"twO")


def test_more_than_the_file_holds_differs_at_its_end(tmp_path: Path) -> None:
    comparison = Comparison("console.log", _file(tmp_path, b"one\n"))

    comparison.feed(b"one\ntwo")

    assert comparison.difference is not None
    assert comparison.difference.offset == 4
    assert not comparison.identical


def test_less_than_the_file_holds_is_not_identical(tmp_path: Path) -> None:
    comparison = Comparison("console.log", _file(tmp_path, b"one\ntwo\n"))

    comparison.feed(b"one\n")

    assert comparison.difference is None
    assert comparison.missing == 4
    assert not comparison.identical


def test_without_the_file_the_hash_decides(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"one\n").hexdigest()
    same = Comparison("console.log", tmp_path / "gone", digest)
    other = Comparison("console.log", tmp_path / "gone", digest)

    same.feed(b"one\n")
    other.feed(b"two\n")

    assert same.identical
    assert not other.identical


def test_replay_with_a_problem_is_not_identical_even_when_all_bytes_were(tmp_path: Path) -> None:
    comparison = Comparison("console.log", _file(tmp_path, b""))

    assert Replayed(comparison, comparison, "", 1.0).identical
    assert not Replayed(comparison, comparison, "it is stuck", 1.0).identical
