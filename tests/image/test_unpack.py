# SPDX-License-Identifier: MIT
"""A part of a recording is decompressed whole, or it is said that it is damaged or too large."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image import unpack
from rig.image.unpack import unpack_zst
from tests.zstd import zstd

DATA = b"x" * 100_000 + bytes(200_000)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    (tmp_path / "data.zst").write_bytes(zstd(DATA))
    return tmp_path / "data.zst"


def test_whole_file_is_unpacked_with_its_zeros(packed: Path, tmp_path: Path) -> None:
    assert unpack_zst(packed, tmp_path / "out", len(DATA), what="the data")
    assert (tmp_path / "out").read_bytes() == DATA


def test_no_more_than_a_chunk_beyond_the_limit_is_written(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "CHUNK", 1 << 16)

    assert not unpack_zst(packed, tmp_path / "out", 70_000, what="the data")
    assert (tmp_path / "out").stat().st_size == 2 << 16


@pytest.mark.parametrize("content", [b"", b"no zstd", None], ids=["empty", "other", "cut"])
def test_damaged_file_is_told(content: bytes | None, packed: Path, tmp_path: Path) -> None:
    packed.write_bytes(packed.read_bytes()[:-3] if content is None else content)

    assert not unpack_zst(packed, tmp_path / "out", len(DATA), what="the data")


def test_directory_that_cannot_be_written_is_named(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(RigError, match="the data cannot be written") as raised:
        unpack_zst(packed, tmp_path / "absent/out", len(DATA), what="the data")

    assert raised.value.where == str(tmp_path / "absent")
