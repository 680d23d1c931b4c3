# SPDX-License-Identifier: MIT
"""A kernel's symbols: taken only when they are its own, by build id, and have what a debugger reads."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image.bootfile import boot_build_id
from rig.image.store import Store
from rig.image.symbols import add_file, find_symbols

BUILD_ID = "00112233445566778899aabbccddeeff00112233"


def _program(directory: Path, build_id: str, *flags: str) -> Path:
    source = directory / "x.c"
    source.write_text("int main(void) { return 0; }\n")
    program = directory / f"vmlinux-{build_id[:4]}{''.join(flags)}"
    subprocess.run(["cc", *flags, f"-Wl,--build-id=0x{build_id}", "-o", program, source], check=True)
    return program


@pytest.fixture
def bzimage(tmp_path: Path) -> Path:
    """A boot image with nothing but its header and, uncompressed, a program in the kernel's place."""
    payload = _program(tmp_path, BUILD_ID).read_bytes()
    image = bytearray(1024 + len(payload))
    image[0x1F1], image[0x202:0x206] = 1, b"HdrS"
    struct.pack_into("<II", image, 0x248, 0, len(payload))
    image[1024:] = payload
    (tmp_path / "bzImage").write_bytes(image)
    return tmp_path / "bzImage"


def test_build_id_of_a_boot_image_is_its_kernels(bzimage: Path) -> None:
    assert boot_build_id(bzimage) == BUILD_ID


def test_symbols_of_the_same_build_are_kept_and_found(bzimage: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")

    added = add_file(store, _program(tmp_path, BUILD_ID, "-g"), str(bzimage))

    assert find_symbols(store, bzimage) == added


def test_symbols_of_another_build_are_refused_with_both_ids(bzimage: Path, tmp_path: Path) -> None:
    other = "ff" * 20

    with pytest.raises(RigError, match=f"build id {other}, the kernel .* has {BUILD_ID}"):
        add_file(Store(tmp_path / "cache"), _program(tmp_path, other, "-g"), str(bzimage))


def test_vmlinux_without_debug_information_is_refused(bzimage: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    stripped = _program(tmp_path, BUILD_ID, "-s")

    with pytest.raises(RigError, match="no debug information"):
        add_file(store, stripped, str(bzimage))
    assert find_symbols(store, bzimage) is None


def test_file_that_is_no_elf_is_refused(bzimage: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("symbols")

    with pytest.raises(RigError, match="not a 64-bit little-endian ELF file"):
        add_file(Store(tmp_path / "cache"), tmp_path / "text", str(bzimage))
