# SPDX-License-Identifier: MIT
"""How a process is weighed: its badness as a number, /proc/PID/oom_score, and whose oom_score_adj is whose."""

from __future__ import annotations

from rig.verify.check import Change, Check, Facts, Source
from rig.verify.rules import EACCES, badness_kb, score

__all__ = ["CHECKS"]

PROC = Source("Documentation/filesystems/proc.rst")
BADNESS = Source("mm/oom_kill.c", "oom_badness", "a63d83f427fb")
SCORE = Source("fs/proc/base.c", "proc_oom_score")
SET_ADJ = Source("fs/proc/base.c", "__set_oom_adj")
SCALE = Change(
    (5, 9),
    "9066e5cfb73c",
    before="badness is rounded to thousandths of all memory, and oom_score runs from 0 to 1000",
    after="badness is counted in pages, and oom_score runs from 0 to 2000, where two thirds of 1000 is a badness of 0",
)
ADJS = (-1000, -999, -500, 0, 300, 1000)
# The counters of a process's pages are one a CPU and lag behind by a few pages. The page tables of most processes weigh
# less than this: score-tables measures a process whose tables weigh more.
ROUNDING = 2


def _as_computed(facts: Facts, name: str, adj: int, reported: int) -> bool:
    expected = 0 if adj == -1000 else score(badness_kb(facts, name, adj), facts["total"])
    return abs(reported - expected) <= ROUNDING


def _points(facts: Facts, name: str) -> int:
    """Return a process's badness in kB without its page tables, which weigh some 60 kB here."""
    return facts[f"rss.{name}"] + facts[f"adj.{name}"] * (facts["total"] // 1000)


CHECKS = (
    Check(
        "score-badness",
        "oom",
        "/proc/PID/oom_score is two thirds of 1000 plus the thousandths of RAM and swap that the process holds: its "
        "pages, its swap and its page tables.",
        (PROC, BADNESS, SCORE),
        lambda f: (
            _as_computed(f, "large", 0, f["large.score"])
            and _as_computed(f, "small", 0, f["small.score"])
            and f["large.score"] > f["small.score"] + 100
        ),
        control="within",
        given={"adj.large": 0, "adj.small": 0},
        counterexamples=({"large.score": "+10"}, {"small.score": "-10"}, {"large.score": 667}),
        changes=(SCALE,),
    ),
    Check(
        "score-swap",
        "swap",
        "What a process has in swap counts for its badness as what it has in RAM.",
        (BADNESS, SCORE),
        lambda f: _as_computed(f, "large", 0, f["large.score"]) and f["large.swap"] > 16 * 1024,
        control="score-badness",
        given={"adj.large": 0},
        counterexamples=({"large.score": "-60"}, {"large.swap": 0}),
    ),
    Check(
        "score-tables",
        "oom",
        "What a process has in page tables counts for its badness as what it has in pages: one that read a page of "
        "each 2 MB, and holds no page, scores by its tables.",
        (PROC, Source("mm/oom_kill.c", "oom_badness", "af5b0f6a09e4"), SCORE),
        lambda f: (
            _as_computed(f, "large", 0, f["large.score"])
            and f["large.tables"] > 16 * 1024
            and f["large.tables"] > 4 * (f["large.rss"] + f["large.swap"])
        ),
        control="~sparse",
        given={"adj.large": 0},
        # Without its tables, 20 MB of some 120, its score is some 110 less.
        counterexamples=({"large.score": "-100"}, {"large.score": 677}, {"large.tables": 120}, {"large.rss": 40960}),
    ),
    Check(
        "score-adj",
        "oom",
        "oom_score_adj adds that many thousandths of RAM and swap to the badness; -1000 makes the score 0.",
        (PROC, BADNESS, SCORE),
        lambda f: all(_as_computed(f, "holder", adj, f[f"score_{adj}"]) for adj in ADJS),
        control="within",
        given={f"adj_{adj}": adj for adj in ADJS},
        counterexamples=tuple({f"score_{adj}": "+10"} for adj in ADJS),
        changes=(SCALE,),
    ),
    Check(
        "badness-between",
        "oom",
        "A small process whose oom_score_adj weighs more than what a large one holds more is killed.",
        (PROC, BADNESS),
        lambda f: (
            f.killed() == {"small"}
            and f["rss.large"] > 2 * f["rss.small"]
            and _points(f, "small") > _points(f, "large")
            and f["adj.small"] < 1000
        ),
        control="badness-below",
        given={"adj.large": 0},
        counterexamples=({"killed": "large"}, {"adj.small": 1}, {"rss.large": 4}),
    ),
    Check(
        "badness-below",
        "oom",
        "A small process whose oom_score_adj weighs less than what a large one holds more is spared.",
        (PROC, BADNESS),
        lambda f: f.killed() == {"large"} and f["adj.small"] > 100 and _points(f, "small") < _points(f, "large"),
        control="badness-between",
        given={"adj.large": 0},
        counterexamples=({"killed": "small"}, {"adj.small": 0}, {"adj.small": 1000}),
    ),
    Check(
        "badness-negative",
        "oom",
        "A negative oom_score_adj spares a large process where it weighs more than what that process holds more than a "
        "small one.",
        (PROC, BADNESS),
        lambda f: (
            f.killed() == {"small"}
            and f["rss.large"] > 2 * f["rss.small"]
            and _points(f, "small") > _points(f, "large")
        ),
        control="sysrq-f",
        given={"adj.large": -300, "adj.small": 0},
        counterexamples=({"killed": "large"}, {"rss.large": 4}),
    ),
    Check(
        "adj-inherited",
        "commit",
        "fork gives the child the parent's oom_score_adj, as it is then.",
        (PROC, Source("kernel/fork.c", "copy_signal")),
        lambda f: f["child"] == f["adj"] and f["own_after"] == 500 and f["child_after"] == f["child"],
        control="within",
        given={"adj": 300},
        counterexamples=({"child": 0}, {"child_after": 500}, {"own_after": 300}),
    ),
    Check(
        "adj-shared",
        "commit",
        "Processes that share their memory (CLONE_VM) share oom_score_adj: setting one's sets the others'.",
        (Source("fs/proc/base.c", "__set_oom_adj", "44a70adec910"),),
        lambda f: (
            f["before"] == 100
            and f["other"] == f["own"] == 400
            and f["control_other"] == 400
            and f["control_own"] == 100
        ),
        control="within",
        counterexamples=({"own": 100}, {"other": 100}, {"before": 400}, {"control_own": 400}),
    ),
    Check(
        "adj-lower",
        "commit",
        "Raising oom_score_adj is free; lowering it below what CAP_SYS_RESOURCE set last is refused with EACCES "
        "without that capability.",
        (PROC, SET_ADJ),
        lambda f: f["up"] == f["back"] == 0 and f["below"] == EACCES and f["adj"] == 100,
        control="within",
        given={"uid": 65534},
        counterexamples=({"below": 0, "adj": 99}, {"up": EACCES}, {"back": EACCES}),
    ),
)
