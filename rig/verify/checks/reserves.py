# SPDX-License-Identifier: MIT
"""What mode 2 keeps back: the reserves of root and of the user, and the per-CPU parts of the counter."""

from __future__ import annotations

from rig.verify.check import Change, Check, Source
from rig.verify.rules import ENOMEM, batch_kb, slack_kb

__all__ = ["CHECKS"]

VM = Source("Documentation/admin-guide/sysctl/vm.rst")
ENOUGH = Source("mm/util.c", "__vm_enough_memory")
MODE_2_BATCH = Change(
    (5, 9),
    "56f3547bfa4d",
    before="a CPU holds the same batch back in every mode",
    after="in mode 2 a CPU holds back RAM / CPUs / 256",
)
MODE_2 = {"overcommit_memory": 2}

CHECKS = (
    Check(
        "admin-reserve",
        "commit",
        "In mode 2 vm.admin_reserve_kbytes is kept from processes without CAP_SYS_ADMIN, and from no other.",
        (
            VM,
            Source(
                "mm/util.c", "__vm_enough_memory", "'mm: replace hardcoded 3% with admin_reserve_pages knob' (3.10)"
            ),
        ),
        lambda f: (
            abs(f["nobody_without"] - f["nobody_with"] - f["admin_reserve_kbytes"]) <= slack_kb(f["root_without"] * 2)
            and abs(f["root_without"] - f["root_with"]) <= slack_kb(f["root_without"] * 2)
        ),
        control="within",
        given={**MODE_2, "admin_reserve_kbytes": 8192},
        counterexamples=({"nobody_with": "+8192"}, {"root_with": "-8192"}),
    ),
    Check(
        "user-reserve-bound",
        "commit",
        "In mode 2 vm.user_reserve_kbytes is kept free by a process whose address space is at least 32 times as large.",
        (VM, Source("mm/util.c", "__vm_enough_memory", "c9b1d0981fcc")),
        lambda f: (
            f["vm"] // 32 > f["user_reserve_kbytes"]
            and abs(f["without"] - f["with"] - f["user_reserve_kbytes"]) <= slack_kb(f["without"] * 2)
        ),
        control="user-reserve-share",
        given={**MODE_2, "user_reserve_kbytes": 8192},
        counterexamples=({"with": "+8192"}, {"with": "-8192"}),
    ),
    Check(
        "user-reserve-share",
        "commit",
        "In mode 2 a process keeps at most a 32nd of its address space free for the user, however large "
        "vm.user_reserve_kbytes is.",
        (VM, Source("mm/util.c", "__vm_enough_memory", "c9b1d0981fcc")),
        lambda f: (
            16384 <= f["vm"] // 32 < f["user_reserve_kbytes"]
            and abs(f["without"] - f["with"] - f["vm"] // 32) <= slack_kb(f["without"] * 2)
        ),
        control="user-reserve-bound",
        given={**MODE_2, "user_reserve_kbytes": 1024 * 1024},
        counterexamples=({"with": "+16384"}, {"with": 0}, {"vm": 1024}),
    ),
    Check(
        "percpu-slack",
        "commit",
        "In mode 2 small requests end within a batch for each CPU of CommitLimit (measured with one CPU).",
        (Source("mm/mm_init.c", "mm_compute_batch", "56f3547bfa4d"), ENOUGH),
        lambda f: (
            abs(f["committed"] - f["limit"]) <= batch_kb(f["total"], f["cpus"]) * f["cpus"] + f["step"]
            and f["mappings"] > 100
            and f["control_mode0"] == 0
        ),
        control="within",
        given=MODE_2,
        counterexamples=({"committed": "+5000"}, {"committed": "-5000"}, {"mappings": 1}, {"control_mode0": ENOMEM}),
        changes=(MODE_2_BATCH,),
    ),
)
