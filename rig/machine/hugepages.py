# SPDX-License-Identifier: MIT
"""Disable transparent huge pages for a QEMU that does not profit from them.

TCG translates guest addresses through QEMU's software TLB, so huge pages on the host save little. They cost much: the
host clears 2 MB at the first touch, and QEMU's code buffer and heap grow in steps of 2 MB a guest. A host that is a
guest itself, with free page reporting (virtio-balloon), also has to fault each huge page in again.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_huge_pages"]

# include/uapi/linux/prctl.h. Children inherit the setting, and it survives execve(2).
PR_SET_THP_DISABLE = 41


@contextmanager
def without_huge_pages() -> Iterator[None]:
    """Disable transparent huge pages for programs that are started in the block. A refusal by the kernel is ignored."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)
