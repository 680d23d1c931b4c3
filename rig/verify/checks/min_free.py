# SPDX-License-Identifier: MIT
"""The zones' min watermarks together are vm.min_free_kbytes, to a page a zone; ZONE_MOVABLE stands outside of it since
6.6, where its own is 32 pages at least.
"""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    movable = 128 if saw.release >= (6, 6) else 0
    return 0 <= saw["asked"] - saw["watermarks"] <= 4 * saw["zones"] and saw["movable"] == movable


CHECK = Check(
    name="min-free",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source(
            "mm/page_alloc.c",
            "__setup_per_zone_wmarks",
            "'mm/page_alloc: fix min_free_kbytes calculation regarding ZONE_MOVABLE' (6.6)",
        ),
    ),
    judge=judge,
)
