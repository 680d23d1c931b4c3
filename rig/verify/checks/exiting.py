# SPDX-License-Identifier: MIT
"""Processes that are ending: whether one is killed once more, who takes its memory, and what it may allocate."""

from __future__ import annotations

from rig.verify.check import Check, Source

__all__ = ["CHECKS"]

CHECKS = (
    Check(
        "oom-exiting",
        "oom",
        "When the process with the highest badness is exiting already, nobody is killed and nothing is reported.",
        (Source("mm/oom_kill.c", "oom_kill_process"), Source("mm/oom_kill.c", "task_will_free_mem")),
        lambda f: f["ooms"] == 0 and f.killed() == set() and f["rss.exiting"] > 2 * f["rss.small"],
        control="~exiting",
        counterexamples=({"ooms": 1}, {"killed": "exiting"}, {"rss.exiting": 4}),
    ),
    Check(
        "oom-reaper",
        "oom",
        "The reaper takes the memory of a victim that does not end, and the next kill passes that victim over "
        "(MMF_OOM_SKIP).",
        (Source("mm/oom_kill.c", "oom_reap_task_mm", "aac453635549"), Source("mm/oom_kill.c", "oom_badness")),
        lambda f: f["before"] > 20 * 1024 and f["reaped"] < 1024 and f.killed() == {"small"},
        control="~reaped",
        counterexamples=({"reaped": 24000}, {"killed": "nobody"}, {"before": 4}),
    ),
    Check(
        "exiting-reserves",
        "numa",
        "A process that needs memory in order to exit gets it from the reserves: it allocates below the min watermark, "
        "calls no OOM killer, and nobody is killed.",
        (
            Source("mm/oom_kill.c", "out_of_memory"),
            Source("mm/oom_kill.c", "task_will_free_mem"),
            Source("mm/page_alloc.c", "__gfp_pfmemalloc_flags"),
        ),
        # What is above the watermark is known to a few lists of free pages per CPU. A process that was killed is judged
        # first: its walk ended early.
        lambda f: (
            f["ooms"] == 0 and f.killed() == set() and f["copied"] == f["asked"] > f["room"] + 1024 and f["room"] > 0
        ),
        control="~exiting",
        given={"node.exiting": 1, "min_free_kbytes": 24576},
        counterexamples=({"ooms": 1}, {"killed": "large"}, {"copied": 1024}, {"room": 2560}, {"room": -4}),
    ),
)
