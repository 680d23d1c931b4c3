# SPDX-License-Identifier: MIT
"""Build filesystems that a guest maps directly from an NVDIMM (DAX), so that they use no page cache.

A guest under memory pressure reclaims page cache first. A program whose text was evicted has to read it again. On
squashfs such a read allocates with GFP_NOIO, for which __alloc_pages_may_oom() (mm/page_alloc.c) does not invoke the
OOM killer, so the program loops in reclaim. The experiment would then measure squashfs and not the OOM killer.

The driver offers DAX on a namespace in fsdax mode. An info block at the start of the namespace sets that mode (struct
nd_pfn_sb, drivers/nvdimm/pfn.h). The filesystem begins 2 MiB later.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.disk import disk_full, is_full
from rig.errors import RigError
from rig.image.ext4 import clear_owners_and_times
from rig.image.hosttools import run_tool, tool
from rig.image.programs import STREAM, run_program

__all__ = ["ALIGNMENT", "Owner", "TooLarge", "has_file", "list_directory", "write_blank", "write_ext4"]

ALIGNMENT = 2 << 20
"""The size of an NVDIMM is a multiple of this: QEMU and the driver map it in pages of 2 MiB."""
BLOCK = 4096
INODE = 256
RESERVED_INODES = 10
"""ext4 reserves the inodes 1 to 10, and 2 is the root's. With lost+found an image needs ten more than its paths."""
LOST_AND_FOUND = 4
"""Blocks of lost+found: 16 KiB (create_lost_and_found() in misc/mke2fs.c of e2fsprogs)."""
FAST_LINK = 60
"""A symbolic link whose target is shorter needs no block (ext4_inode_is_fast_symlink() in fs/ext4/inode.c)."""
INFO_BLOCK_AT = 4096
# All images share this UUID, because a random one would make two builds of the same files differ.
UUID = "52494752-4947-5249-4752-494752494752"


@dataclass(frozen=True)
class Owner:
    """The owner and mode of a file. mode: st_mode, with the file's type."""

    uid: int
    gid: int
    mode: int


class TooLarge(RigError):
    """The files do not fit into the requested size."""


def _fletcher64(block: bytes) -> int:
    """Return the checksum of an info block, as nd_fletcher64() does (drivers/nvdimm/core.c, little-endian words)."""
    low = high = 0
    for (word,) in struct.iter_unpack("<I", block):
        low = (low + word) & 0xFFFFFFFF
        high = (high + low) & 0xFFFFFFFFFFFFFFFF
    return ((high << 32) | low) & 0xFFFFFFFFFFFFFFFF


def _info_block(size: int) -> bytes:
    """Return a struct nd_pfn_sb of version 1.4 and mode 1 (PFN_MODE_RAM).

    In this mode the struct pages are in the guest's RAM: 16 KiB for each MiB.
    """
    head = struct.pack(
        "<16s16s16sIHHQQIIIIIH",
        b"NVDIMM_PFN_INFO\0",  # signature
        b"rig" * 5 + b"\0",  # uuid
        bytes(16),  # parent_uuid
        0,  # flags
        1,  # version_major
        4,  # version_minor
        ALIGNMENT,  # dataoff
        (size - ALIGNMENT) // BLOCK,  # npfns
        1,  # mode
        0,  # start_pad
        0,  # end_trunc
        ALIGNMENT,  # align
        BLOCK,  # page_size
        64,  # page_struct_size: sizeof(struct page)
    ).ljust(BLOCK - 8, b"\0")
    return head + struct.pack("<Q", _fletcher64(head + bytes(8)))


def has_file(image: Path, path: str) -> bool:
    """Return whether an image has a file at a path. False for an image without ext4.

    path: without the leading slash.
    """
    done = run_program([tool("debugfs"), "-R", f'stat "/{path}"', f"{image}?offset={ALIGNMENT}"])
    return b"Inode:" in done.stdout


def list_directory(image: Path, path: str) -> list[str]:
    """Return the names in a directory of an image, without `.` and `..`. Empty where there is no such directory.

    path: without the leading slash.
    """
    done = run_program([tool("debugfs"), "-R", f'ls -p "/{path}"', f"{image}?offset={ALIGNMENT}"])
    # Lines are /inode/mode/uid/gid/name/size/ (list_dir_proc() of e2fsprogs' debugfs/ls.c).
    fields = [line.split("/") for line in os.fsdecode(done.stdout).splitlines()]
    return [each[5] for each in fields if len(each) == 8 and each[5] not in ("", ".", "..")]


def write_blank(image: Path, size: int) -> None:
    """Make an image of `size` bytes with an info block, which the driver reads at boot, and no filesystem."""
    with image.open("wb") as file:
        file.truncate(size)
        file.seek(INFO_BLOCK_AT)
        file.write(_info_block(size))


def write_ext4(
    tree: Path,
    image: Path,
    size: int | None = None,
    *,
    sizes: Sequence[int] = (),
    label: str = "",
    exceptions: Mapping[str, Owner] | None = None,
) -> None:
    """Make an image of the files in a directory. The same files make the same bytes: root owns all, every time is zero.

    size: bytes, a multiple of ALIGNMENT; None for the smallest that holds them.
    sizes: the sizes to choose from, in ascending order, where size is None.
    label: the volume's, at most 16 bytes.
    exceptions: the files that are not root's, by their paths relative to `tree`.
    Raises TooLarge, and RigError where the host's disk is full.
    """
    paths = [tree, *tree.rglob("*")]
    inodes = len(paths) + RESERVED_INODES
    needed = sum(_blocks(path) for path in paths) * BLOCK
    # Superblock, group descriptors and two bitmaps, the table of inodes, and lost+found: no room beyond the files,
    # because nobody writes to it. More groups than one and directories of many names take more than that; blocks of
    # zeros, which mke2fs leaves out, and hard links take less, so one step below it is tried first.
    room = needed + (4 + -(-inodes * INODE // BLOCK) + LOST_AND_FOUND) * BLOCK
    if size is not None:
        if not _fits(tree, image, size, inodes, label):
            raise TooLarge(f"{needed >> 20} MB of files do not fit into {(size - ALIGNMENT) >> 20} MB", where=tree)
    elif sizes:
        if not any(_fits(tree, image, each, inodes, label) for each in sizes if each - ALIGNMENT >= room):
            raise TooLarge(f"{needed >> 20} MB of files do not fit into {sizes[-1] >> 20} MB", where=tree)
    else:
        steps = -(-room // ALIGNMENT)
        if not any(_fits(tree, image, step * ALIGNMENT, inodes, label) for step in range(max(steps, 2), 2 * steps + 2)):
            raise disk_full(image)
    clear_owners_and_times(image, ALIGNMENT)
    if exceptions:
        _set_exceptions(image, exceptions)


def _fits(tree: Path, image: Path, size: int, inodes: int, label: str) -> bool:
    """Make the filesystem and return whether all files fit. Raises RigError for any other failure."""
    write_blank(image, size)
    done = run_program(
        [
            tool("mke2fs"), "-q", "-F", "-t", "ext4",
            # No journal and no checksums, because nobody writes to the filesystem. DAX needs blocks of the page size.
            "-O", "^has_journal,^metadata_csum,^resize_inode,^64bit,^huge_file,^dir_nlink",
            "-b", str(BLOCK), "-m", "0", "-N", str(inodes), "-I", str(INODE),
            *(["-L", label] if label else []),
            "-U", UUID, "-E", f"hash_seed={UUID},lazy_itable_init=0,nodiscard,offset={ALIGNMENT}",
            "-d", str(tree),
            str(image), f"{(size - ALIGNMENT) // 1024}k",
        ],
        env={**os.environ, "E2FSPROGS_FAKE_TIME": "1"},
        deadline=STREAM,
    )  # fmt: skip
    words = (done.stderr + done.stdout).decode(errors="replace").strip()
    # mke2fs reports a full host as it reports a full image.
    if done.returncode != 0 and "No space" in words and is_full(image.parent):
        raise disk_full(image.parent, detail=words[-2000:])
    if done.returncode != 0 and not any(word in words for word in ("Could not allocate", "No space", "ENOSPC")):
        raise RigError("the filesystem could not be made", where="mke2fs", detail=words[-2000:])
    return done.returncode == 0


def _blocks(path: Path) -> int:
    about = path.lstat()
    if stat.S_ISLNK(about.st_mode):
        return 0 if about.st_size < FAST_LINK else 1
    return 1 if stat.S_ISDIR(about.st_mode) else -(-about.st_size // BLOCK)


def _set_exceptions(image: Path, exceptions: Mapping[str, Owner]) -> None:
    """Set owner and mode of the few files that are not root's, or that could not be staged with their own mode."""
    words = []
    for path, owner in exceptions.items():
        quoted = '"/' + path.replace('"', '""') + '"'
        for field, value in (("uid", owner.uid), ("gid", owner.gid), ("mode", f"0{owner.mode:o}")):
            words.append(f"sif {quoted} {field} {value}")
    run_tool(
        ["debugfs", "-w", "-f", "-", f"{image}?offset={ALIGNMENT}"],
        what="setting the filesystem's owners",
        stdin="\n".join(words).encode() + b"\n",
        environment={"E2FSPROGS_FAKE_TIME": "1"},
    )
