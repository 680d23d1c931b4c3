# SPDX-License-Identifier: MIT
"""Sparse files are copied with holes, and their digest does not depend on where the holes are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.image.sparse import BLOCK, copy_pages, copy_sparse, digest_sparse, write_sparse
from rig.image.store import Store
from rig.machine.tee_log import TeeLog

SIZE = 64 * BLOCK


def made(path: Path, *pieces: tuple[int, bytes], size: int = SIZE) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for at, data in pieces:
            file.seek(at)
            file.write(data)
    return path


# In a block's middle, over the edge of two, and to the last byte.
PIECES = ((BLOCK + 4096, b"a" * 4096), (10 * BLOCK - 1, b"bc"), (SIZE - 1, b"d"))


def test_copy_has_the_content_and_no_zeros_on_the_disk(tmp_path: Path) -> None:
    source = made(tmp_path / "source", *PIECES, (20 * BLOCK, bytes(20 * BLOCK)))

    with source.open("rb") as file:
        copy_sparse(file.fileno(), tmp_path / "copy")

    copy = tmp_path / "copy"
    assert copy.read_bytes() == source.read_bytes()
    assert copy.stat().st_blocks * 512 <= 5 * BLOCK


def test_file_of_zeros_alone_is_a_hole(tmp_path: Path) -> None:
    source = made(tmp_path / "source")

    with source.open("rb") as file:
        copy_sparse(file.fileno(), tmp_path / "copy")

    assert (tmp_path / "copy").stat().st_size == SIZE
    assert (tmp_path / "copy").stat().st_blocks == 0


def test_digest_is_the_same_with_holes_and_without(tmp_path: Path) -> None:
    holes = made(tmp_path / "holes", *PIECES)
    full = tmp_path / "full"
    full.write_bytes(holes.read_bytes())

    assert digest_sparse(full) == digest_sparse(holes)


@pytest.mark.parametrize(
    "other",
    [
        (PIECES[0], PIECES[1]),
        (*PIECES[:2], (SIZE - 1, b"e")),
        ((2 * BLOCK + 4096, b"a" * 4096), *PIECES[1:]),
    ],
    ids=["a byte less", "a byte changed", "a block further"],
)
def test_digest_of_another_content_is_another(tmp_path: Path, other: tuple[tuple[int, bytes], ...]) -> None:
    assert digest_sparse(made(tmp_path / "a", *PIECES)) != digest_sparse(made(tmp_path / "b", *other))


def test_digest_knows_the_size(tmp_path: Path) -> None:
    assert digest_sparse(made(tmp_path / "a")) != digest_sparse(made(tmp_path / "b", size=SIZE + BLOCK))


def test_stream_is_written_with_holes(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb", buffering=0) as file:
        for data in (b"a" * BLOCK, bytes(30 * BLOCK), b"b"):
            write_sparse(file.fileno(), data)

    assert (tmp_path / "file").read_bytes() == b"a" * BLOCK + bytes(30 * BLOCK) + b"b"
    assert (tmp_path / "file").stat().st_blocks * 512 <= 3 * BLOCK


def test_cached_memory_that_was_changed_is_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    with store.staging_directory() as work:
        (work / "result").mkdir()
        made(work / "result" / "ram.sparse", *PIECES)
        entry = store.add("snapshot", "5" * 64, work / "result", {})
    assert entry.damaged() == []

    with entry.file("ram.sparse").open("r+b") as file:
        os.pwrite(file.fileno(), b"x", 30 * BLOCK)

    assert entry.damaged() == ["ram.sparse"]


@pytest.fixture
def few_bytes_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each write take a part of its data, as on a disk that is nearly full."""
    write, pwrite = os.write, os.pwrite
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5000]))
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: pwrite(descriptor, data[:5000], at))


@pytest.mark.parametrize("copy", [copy_sparse, copy_pages])
def test_write_that_took_a_part_goes_on(
    copy: Callable[[int, Path], object], few_bytes_a_write: None, tmp_path: Path
) -> None:
    source = made(tmp_path / "source", (10, os.urandom(2 * BLOCK)))

    with source.open("rb") as file:
        copy(file.fileno(), tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


def test_streams_writes_that_took_a_part_go_on(few_bytes_a_write: None, tmp_path: Path) -> None:
    data = os.urandom(3 * BLOCK)

    with (tmp_path / "sparse").open("wb", buffering=0) as file:
        assert write_sparse(file.fileno(), data) == len(data)
    with TeeLog(tmp_path / "log") as log:
        log.write(data)

    assert (tmp_path / "sparse").read_bytes() == (tmp_path / "log").read_bytes() == data
