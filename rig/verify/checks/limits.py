# SPDX-License-Identifier: MIT
"""What is refused: the overcommit modes and CommitLimit."""

from __future__ import annotations

from rig.verify.check import Change, Check, Source
from rig.verify.rules import EINVAL, ENOMEM, limit_by_ratio, slack_kb

__all__ = ["CHECKS"]

ACCOUNTING = Source("Documentation/mm/overcommit-accounting.rst")
VM = Source("Documentation/admin-guide/sysctl/vm.rst")
ENOUGH = Source("mm/util.c", "__vm_enough_memory")
LIMIT = Source("mm/util.c", "vm_commit_limit")
KBYTES = Source("mm/util.c", "vm_commit_limit", "49f0ce5f9232")
SINGLE_REQUEST = Change(
    (5, 2),
    "8c7829b04c52",
    before="mode 0 judges a request by what is free or can be reclaimed",
    after="mode 0 refuses only what is above RAM and swap",
)
MODE_2 = {"overcommit_memory": 2}

CHECKS = (
    Check(
        "mode0-single",
        "commit",
        "In mode 0 a single request is granted up to all of RAM and swap, and refused one page above.",
        (ACCOUNTING, Source("mm/util.c", "__vm_enough_memory", "8c7829b04c52")),
        lambda f: f["largest"] == f["total"] + f["swap"] and f["errno"] == ENOMEM,
        control="mode1-any",
        given={"overcommit_memory": 0},
        counterexamples=({"largest": "-4"}, {"largest": "+4"}, {"errno": 0}),
        changes=(SINGLE_REQUEST,),
    ),
    Check(
        "mode0-swap",
        "swap",
        "In mode 0 swap counts in full for the largest single request.",
        (ACCOUNTING, Source("mm/util.c", "__vm_enough_memory", "8c7829b04c52")),
        lambda f: (
            f["swap"] > 0
            and f["largest"] == f["total"] + f["swap"]
            and f["errno"] == ENOMEM
            and f["control_largest"] == f["control_total"]
        ),
        control="within",
        given={"overcommit_memory": 0},
        counterexamples=({"largest": "-65532"}, {"swap": 0}, {"errno": 0}, {"control_largest": "+4"}),
        changes=(SINGLE_REQUEST,),
    ),
    Check(
        "mode0-sum",
        "commit",
        "In mode 0 each request is judged alone: their sum may exceed RAM and swap.",
        (ACCOUNTING, ENOUGH),
        lambda f: 2 * f["each"] > f["total"] and f["first"] == f["second"] == 0 and f["charged"] == 2 * f["each"],
        control="mode2-sum",
        given={"overcommit_memory": 0},
        counterexamples=({"second": ENOMEM}, {"charged": 93236}, {"each": 1000}),
    ),
    Check(
        "mode1-any",
        "commit",
        "In mode 1 no request is refused for its size.",
        (ACCOUNTING, ENOUGH),
        lambda f: f["asked"] > f["total"] and f["errno"] == 0 and f["left"] == 0,
        control="~overcommit_memory",
        given={"overcommit_memory": 1},
        counterexamples=({"errno": ENOMEM}, {"left": 4}),
    ),
    Check(
        "mode2-single",
        "commit",
        "In mode 2 a single request is granted up to what CommitLimit leaves, and refused above; the counter's per-CPU "
        "parts blur the edge.",
        (ACCOUNTING, ENOUGH),
        lambda f: abs(f["largest"] - (f["limit"] - f["committed"])) <= slack_kb(f["limit"]) and f["errno"] == ENOMEM,
        control="mode0-single",
        given=MODE_2,
        counterexamples=({"largest": "+20000"}, {"largest": 50000}, {"errno": 0}),
    ),
    Check(
        "mode2-sum",
        "commit",
        "In mode 2 the sum counts: a second request that would raise it above CommitLimit is refused.",
        (ACCOUNTING, ENOUGH),
        lambda f: f["committed"] + 2 * f["each"] > f["limit"] and f["first"] == 0 and f["second"] == ENOMEM,
        control="mode0-sum",
        given=MODE_2,
        counterexamples=({"second": 0}, {"first": ENOMEM}),
    ),
    Check(
        "mode2-within",
        "commit",
        "In mode 2 a request that stays within CommitLimit is granted.",
        (ACCOUNTING, ENOUGH),
        lambda f: f["errno"] == 0 and f["charged"] == f["asked"] and f["control_above"] == ENOMEM,
        control="within",
        given=MODE_2,
        counterexamples=({"errno": ENOMEM}, {"charged": 0}, {"control_above": 0}),
    ),
    Check(
        "mode-range",
        "commit",
        "vm.overcommit_memory takes 0, 1 and 2, and refuses 3 and -1.",
        (VM, Source("kernel/sysctl.c", "proc_dointvec_minmax")),
        lambda f: (
            f["control_highest"] == 0 and f["above"] == f["below"] == EINVAL and f["mode"] == f["mode_below"] == 0
        ),
        control="within",
        counterexamples=(
            {"above": 0},
            {"below": 0},
            {"mode": 3},
            {"mode_below": -1},
            {"control_highest": EINVAL},
        ),
    ),
    Check(
        "mode2-switch",
        "commit",
        "Switching to mode 2 above the limit succeeds: what was promised stays and can be written to. Only new "
        "requests are refused, until enough was given back.",
        (Source("mm/util.c", "overcommit_policy_handler", "56f3547bfa4d"),),
        lambda f: (
            f["errno"] == 0
            and f["committed"] > f["limit"]
            and f["wrote"] == 4
            and f["read"] == 42
            and f["more"] == ENOMEM
            and f["after"] == 0
        ),
        control="within",
        given=MODE_2,
        counterexamples=(
            {"errno": EINVAL},
            {"more": 0},
            {"after": ENOMEM},
            {"committed": 1000},
            {"wrote": 0},
            {"read": 0},
        ),
    ),
    Check(
        "limit-ratio",
        "commit",
        "CommitLimit is RAM without huge pages, times vm.overcommit_ratio percent, plus swap. The ratio may be "
        "above 100.",
        (ACCOUNTING, LIMIT),
        lambda f: all(f[f"at_{ratio}"] == limit_by_ratio(f, ratio) for ratio in (0, 37, 50, 100, 150)),
        control="within",
        given={f"ratio_{ratio}": ratio for ratio in (0, 37, 50, 100, 150)},
        counterexamples=({"at_0": 4}, {"at_37": "+4"}, {"at_50": 0}, {"at_100": "-4"}, {"at_150": "-62160"}),
    ),
    Check(
        "limit-kbytes",
        "commit",
        "vm.overcommit_kbytes sets CommitLimit itself, to which swap is added.",
        (VM, KBYTES),
        lambda f: f["limit"] == f["overcommit_kbytes"] + f["swap"] != f["control_ratio"],
        control="within",
        given={"overcommit_kbytes": 65536},
        counterexamples=({"limit": 62156}, {"control_ratio": 65536}),
    ),
    Check(
        "limit-kbytes-swap",
        "swap",
        "Swap is added to vm.overcommit_kbytes too.",
        (VM, KBYTES),
        lambda f: (
            f["swap"] > 0
            and f["limit"] == f["overcommit_kbytes"] + f["swap"]
            and f["control_limit"] == f["overcommit_kbytes"]
        ),
        control="within",
        given={"overcommit_kbytes": 65536},
        counterexamples=({"limit": 65536}, {"swap": 0, "limit": 65536}, {"control_limit": "+4"}),
    ),
    Check(
        "limit-swap",
        "swap",
        "All of swap is added to CommitLimit, whatever the ratio.",
        (ACCOUNTING, LIMIT),
        lambda f: (
            f["swap"] > 0
            and f["limit"] == limit_by_ratio(f, f["overcommit_ratio"])
            and f["control_limit"] == f["limit"] - f["swap"]
        ),
        control="within",
        given={"overcommit_ratio": 37},
        counterexamples=({"limit": "-65532"}, {"swap": 0, "limit": "-65532"}, {"control_limit": "+4"}),
    ),
    Check(
        "limit-hugetlb",
        "commit",
        "Huge pages are taken off RAM before the ratio is applied.",
        (ACCOUNTING, LIMIT),
        lambda f: f["limit"] == limit_by_ratio(f, f["overcommit_ratio"]) < f["control_limit"],
        control="within",
        given={"overcommit_ratio": 50, "huge": 8192},
        counterexamples=({"limit": "+4096"}, {"control_limit": "-4096"}),
    ),
    Check(
        "limit-kbytes-hugetlb",
        "commit",
        "Huge pages are not taken off vm.overcommit_kbytes.",
        (KBYTES,),
        lambda f: f["limit"] == f["overcommit_kbytes"] + f["swap"],
        control="limit-hugetlb",
        given={"overcommit_kbytes": 65536, "huge": 8192},
        counterexamples=({"limit": 57344},),
    ),
    Check(
        "limit-exclusive",
        "commit",
        "vm.overcommit_ratio and vm.overcommit_kbytes exclude each other: setting one sets the other to 0.",
        (VM, Source("mm/util.c", "overcommit_kbytes_handler", "49f0ce5f9232")),
        lambda f: f["ratio_after_kbytes"] == 0 and f["kbytes_after_ratio"] == 0,
        control="within",
        given={"kbytes": 65536, "ratio": 50},
        counterexamples=({"ratio_after_kbytes": 50}, {"kbytes_after_ratio": 65536}),
    ),
)
