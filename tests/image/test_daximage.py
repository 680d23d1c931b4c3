# SPDX-License-Identifier: MIT
"""DAX images are reproducible: the same files make the same bytes for every user and at every time."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image.daximage import ALIGNMENT, TooLarge, write_blank, write_ext4
from rig.image.hosttools import tool
from rig.image.payload import PAYLOAD_SIZE, Payload, write_payload


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "tree"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/program").write_bytes(b"\x7fELF" + bytes(9000))
    (directory / "bin/program").chmod(0o755)
    (directory / "bin/link").symlink_to("program")
    return directory


def _content(image: Path, path: str) -> bytes:
    command = [tool("debugfs"), "-R", f"cat {path}", f"{image}?offset={ALIGNMENT}"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_same_files_make_the_same_bytes_at_another_time(tree: Path, tmp_path: Path) -> None:
    write_ext4(tree, tmp_path / "first", 8 << 20)
    for path in tree.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    (tree / "bin/program").touch()

    write_ext4(tree, tmp_path / "second", 8 << 20)

    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_filesystem_is_sound(tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"

    write_ext4(tree, image)

    (tmp_path / "fs").write_bytes(image.read_bytes()[ALIGNMENT:])
    checked = subprocess.run([tool("e2fsck"), "-fn", str(tmp_path / "fs")], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert image.stat().st_size % ALIGNMENT == 0


def test_image_is_no_larger_than_its_files_need(tree: Path, tmp_path: Path) -> None:
    (tree / "bin/busybox").write_bytes(os.urandom(3 << 20))
    for number in range(400):
        (tree / f"bin/applet{number}").symlink_to("busybox")
    image = tmp_path / "image"

    write_ext4(tree, image)

    # The info block's 2 MiB, and the files' 3 MiB in whole ones.
    assert image.stat().st_size == 3 * ALIGNMENT


def test_image_is_filled_to_its_last_blocks(tree: Path, tmp_path: Path) -> None:
    # 2 MiB less the program's 12 KiB, three directories' (one of them lost+found's 16) and the filesystem's own 16 and 4.
    (tree / "filling").write_bytes(os.urandom(ALIGNMENT - (12 + 8 + 16 + 16 + 4) * 1024))
    image = tmp_path / "image"

    write_ext4(tree, image)

    assert image.stat().st_size == 2 * ALIGNMENT
    assert _content(image, "filling") == (tree / "filling").read_bytes()


def test_directory_of_more_names_than_one_block_holds_makes_the_image_larger(tree: Path, tmp_path: Path) -> None:
    # Room for all but the directory: 1,016 inodes are 64 blocks, and its names another 50.
    (tree / "filling").write_bytes(os.urandom(ALIGNMENT - (12 + 8 + 16 + 16 + 256) * 1024))
    for number in range(1000):
        (tree / f"bin/{number:0200}").symlink_to("program")
    image = tmp_path / "image"

    write_ext4(tree, image)

    assert image.stat().st_size == 3 * ALIGNMENT
    assert _content(image, "filling") == (tree / "filling").read_bytes()


def test_full_disk_is_named_and_ends_the_search_for_a_size(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "mke2fs"
    fake.write_text("#!/bin/sh\necho 'mke2fs: No space left on device while writing out' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    with pytest.raises(RigError, match="the disk is full"):
        write_ext4(tree, tmp_path / "image")


def test_info_block_is_the_same_on_the_blank_image(tree: Path, tmp_path: Path) -> None:
    write_blank(tmp_path / "blank", 8 << 20)

    write_ext4(tree, tmp_path / "image", 8 << 20)

    blocks = [(tmp_path / name).read_bytes()[4096:8192] for name in ("blank", "image")]
    assert blocks[0] == blocks[1]
    assert blocks[0].startswith(b"NVDIMM_PFN_INFO\0")
    # nd_fletcher64() over the block with its own field zero is what its last eight bytes say.
    words = struct.unpack("<1024I", blocks[0][:-8] + bytes(8))
    low = high = 0
    for word in words:
        low = (low + word) % (1 << 32)
        high += low
    assert struct.unpack("<Q", blocks[0][-8:])[0] == ((high << 32) | low) % (1 << 64)


def test_files_that_do_not_fit_are_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "big").write_bytes(os.urandom(9 << 20))

    with pytest.raises(TooLarge, match="do not fit"):
        write_ext4(tree, tmp_path / "image", 8 << 20)


def test_programs_too_large_for_the_payload_are_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(PAYLOAD_SIZE))

    with pytest.raises(RigError, match=r"programs are too large.*make them smaller"):
        write_payload(Payload(plan="end\n", files={"programs/big": tmp_path / "big"}), tmp_path / "payload")
