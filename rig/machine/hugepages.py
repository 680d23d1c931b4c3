# SPDX-License-Identifier: MIT
"""Transparent huge pages, kept from a QEMU that would only waste them.

Under TCG the guest's memory is reached through QEMU's own tables, so a larger page of the host saves little; but
each is cleared as a whole at the first touch, code buffer and heap grow to multiples of 2 MB a guest, and a host that
gives free memory back to a host of its own (virtio-balloon's free page reporting) has to ask for each again.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_huge_pages"]

# include/uapi/linux/prctl.h; what is started keeps it across execve(2).
PR_SET_THP_DISABLE = 41


@contextmanager
def without_huge_pages() -> Iterator[None]:
    """Keep huge pages from what is started in the block. A kernel that refuses changes nothing."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)
