# SPDX-License-Identifier: MIT
"""Requests of the kernel for which the OOM killer kills nobody: they fail, or wait until there is memory."""

from __future__ import annotations

from rig.verify.check import Check, Source
from rig.verify.rules import ENOMEM

__all__ = ["CHECKS"]

CHECKS = (
    Check(
        "oom-costly-order",
        "oom",
        "A request for more than 8 pages in one piece (order 4 and above) fails with ENOMEM; it never kills.",
        (Source("mm/page_alloc.c", "__alloc_pages_may_oom"), Source("fs/pipe.c", "pipe_resize_ring")),
        lambda f: f["errno"] == ENOMEM and f["ooms"] == 0 and f.killed() == set(),
        control="~costly",
        counterexamples=({"errno": 0}, {"ooms": 1}, {"killed": "large"}),
    ),
    Check(
        "oom-hugepages",
        "oom",
        "vm.nr_hugepages above what is free takes what it gets and kills nobody (order 9).",
        (Source("mm/page_alloc.c", "__alloc_pages_may_oom"), Source("mm/hugetlb.c", "alloc_buddy_huge_page")),
        lambda f: f["errno"] == 0 and 0 <= f["pool"] < f["asked"] and f["ooms"] == 0 and f.killed() == set(),
        control="~excess",
        counterexamples=({"pool": 1000}, {"errno": 12}, {"ooms": 1}, {"killed": "large"}),
    ),
    Check(
        "oom-noio",
        "swap",
        "A request without __GFP_FS kills nobody: it waits, and is served once another process gives memory back "
        "(measured with GFP_NOIO, which lacks that flag too).",
        (Source("mm/oom_kill.c", "out_of_memory"), Source("drivers/block/zram/zram_drv.c", "zram_write_page")),
        lambda f: (
            f["stuck"] == 1
            and 0 < f["before"] < f["written"] == 24 * 1024
            and f["errno"] == 0
            and f["ooms"] == 0
            and f.killed() == set()
        ),
        control="~noio",
        given={"adj.writer": 0, "adj.large": 0},
        counterexamples=(
            {"stuck": 0},
            {"before": 24 * 1024},
            {"before": 0},
            {"written": "-64"},
            {"errno": ENOMEM},
            {"ooms": 1},
            {"killed": "large"},
        ),
    ),
    Check(
        "retry-mayfail",
        "numa",
        "A request with __GFP_RETRY_MAYFAIL fails with ENOMEM when no page is left; it never kills.",
        (
            Source("mm/page_alloc.c", "__alloc_pages_may_oom", "dcda9b04713c"),
            Source("kernel/bpf/syscall.c", "__bpf_map_area_alloc"),
        ),
        # The machine has as much, but not the node; the kernel looked for pages to reclaim before it gave up.
        # A process that was killed reports no errno, so the kill is judged first.
        lambda f: (
            f["ooms"] == 0
            and f.killed() == set()
            and f["errno"] == ENOMEM
            and f["stalls"] > 0
            and f["free"] > f["asked"]
        ),
        control="~mayfail",
        given={"adj.asker": 0, "adj.large": 0, "node.asker": 1},
        counterexamples=({"errno": 0}, {"stalls": 0}, {"free": 1024}, {"ooms": 1}, {"killed": "asker"}),
    ),
)
