# SPDX-License-Identifier: MIT
"""Clear owners and times in a new ext4 image by editing its superblock and inodes in place (fs/ext4/ext4.h).

mke2fs copies owners and times from the source files. debugfs needs one command for each field; this module makes one
pass over the inode tables. It does not update checksums, so the feature metadata_csum must be off.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

__all__ = ["LABEL_LENGTH", "clear_owners_and_times"]

LABEL_LENGTH = 16
"""Bytes of s_volume_name."""
SUPERBLOCK_AT = 1024
GROUP_DESCRIPTOR = 32
"""Bytes of struct ext4_group_desc without the 64bit feature."""
# Offsets in struct ext4_super_block of the low halves of its times: s_mtime, s_wtime, s_lastcheck, s_mkfs_time.
SUPERBLOCK_TIMES = (0x2C, 0x30, 0x40, 0x108)
# (offset, size) in struct ext4_inode: i_uid; i_atime, i_ctime and i_mtime; i_gid; l_i_uid_high and l_i_gid_high;
# i_ctime_extra to i_crtime_extra.
INODE_FIELDS = ((0x02, 2), (0x08, 12), (0x18, 2), (0x78, 4), (0x84, 20))


def clear_owners_and_times(image: Path, offset: int) -> None:
    """Set the owner of every inode to root and every time to zero.

    offset: bytes from the start of the file to the filesystem.
    """
    with image.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        superblock = offset + SUPERBLOCK_AT
        # s_blocks_count_lo, s_first_data_block, s_log_block_size, s_blocks_per_group, s_inodes_per_group
        blocks, first, log_size, per_group, inodes_per_group = (
            struct.unpack_from("<I", data, superblock + at)[0] for at in (0x04, 0x14, 0x18, 0x20, 0x28)
        )
        (inode_size,) = struct.unpack_from("<H", data, superblock + 0x58)
        block_size = 1024 << log_size
        for at in SUPERBLOCK_TIMES:
            data[superblock + at : superblock + at + 4] = bytes(4)
        for group in range(-(-(blocks - first) // per_group)):
            descriptor = offset + (first + 1) * block_size + group * GROUP_DESCRIPTOR
            (table,) = struct.unpack_from("<I", data, descriptor + 8)
            start = offset + table * block_size
            for inode in range(start, start + inodes_per_group * inode_size, inode_size):
                if data[inode : inode + 2] == b"\0\0" and data[inode + 8 : inode + 12] == bytes(4):
                    continue
                for at, length in INODE_FIELDS:
                    data[inode + at : inode + at + length] = bytes(length)
