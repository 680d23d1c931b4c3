# SPDX-License-Identifier: MIT
"""What a mapping is charged to Committed_AS, and when the charge is given back."""

from __future__ import annotations

from rig.verify.check import Change, Check, Source

__all__ = ["CHECKS"]

ACCOUNTING = Source("Documentation/mm/overcommit-accounting.rst")
# Named accountable_mapping() and in mm/mmap.c up to 6.14, in mm/vma.c since.
ACCOUNTABLE = Source("mm/mmap.c", "accountable_mapping")
UNACCOUNTED = Change(
    (6, 7),
    "9b9143298585",
    before="the charge stays",
    after="the charge is given back",
)

CHECKS = (
    Check(
        "anon-charged",
        "commit",
        "A private writable anonymous mapping is charged when it is made, before it is touched.",
        (ACCOUNTING, ACCOUNTABLE),
        lambda f: f["charged"] == f["mapped"] and f["resident"] == 0,
        control="readonly-free",
        given={"writable": 1, "shared": 0},
        counterexamples=({"charged": 0}, {"resident": 16384}),
    ),
    Check(
        "readonly-free",
        "commit",
        "A private mapping that cannot be written to is not charged.",
        (ACCOUNTING, ACCOUNTABLE),
        lambda f: f["mapped"] > 0 and f["charged"] == 0,
        control="anon-charged",
        given={"writable": 0, "shared": 0},
        counterexamples=({"charged": 16384},),
    ),
    Check(
        "shared-anon",
        "commit",
        "Shared anonymous memory is charged whole when it is mapped, even read-only.",
        (ACCOUNTING, Source("mm/shmem.c", "shmem_acct_size")),
        lambda f: f["charged"] == f["mapped"],
        control="readonly-free",
        given={"writable": 0, "shared": 1},
        counterexamples=({"charged": 0},),
    ),
    Check(
        "file-readonly-free",
        "commit",
        "A private read-only mapping of a file is not charged.",
        (ACCOUNTING, ACCOUNTABLE),
        lambda f: f["mapped"] > 0 and f["charged"] == 0,
        control="file-writable",
        given={"writable": 0, "shared": 0},
        counterexamples=({"charged": 256},),
    ),
    Check(
        "file-writable",
        "commit",
        "A private writable mapping of a file is charged: each page may have to be copied.",
        (ACCOUNTING, ACCOUNTABLE),
        lambda f: f["charged"] == f["mapped"],
        control="file-shared-free",
        given={"writable": 1, "shared": 0},
        counterexamples=({"charged": 0},),
    ),
    Check(
        "file-shared-free",
        "commit",
        "A shared writable mapping of a file is not charged.",
        (ACCOUNTING, ACCOUNTABLE),
        lambda f: f["mapped"] > 0 and f["charged"] == 0,
        control="file-writable",
        given={"writable": 1, "shared": 1},
        counterexamples=({"charged": 256},),
    ),
    Check(
        "mprotect-touched",
        "commit",
        "Making a private mapping writable charges it. Making it read-only again gives nothing back once a page of it "
        "was written to.",
        (ACCOUNTING, Source("mm/mprotect.c", "mprotect_fixup")),
        lambda f: f["readonly"] == 0 and f["writable"] == f["mapped"] and f["readonly_again"] == f["mapped"],
        control="within",
        given={"writable_flag": 1, "resident": 4},
        counterexamples=({"writable": 0}, {"readonly": 8192}, {"readonly_again": 0}),
    ),
    Check(
        "mprotect-untouched",
        "commit",
        "A mapping that was made writable, never touched, and made read-only again: the charge stays on kernels before "
        "6.7, and is given back since.",
        (Source("mm/mprotect.c", "mprotect_fixup", UNACCOUNTED.commit),),
        lambda f: (
            f["readonly"] == 0
            and f["writable"] == f["mapped"]
            and f["readonly_again"] == (0 if f.has(UNACCOUNTED) else f["mapped"])
        ),
        control="mprotect-touched",
        given={"writable_flag": 1, "resident": 0},
        counterexamples=({"readonly_again": 4096}, {"writable": 0}),
        changes=(UNACCOUNTED,),
    ),
    Check(
        "noreserve-mode0",
        "commit",
        "In mode 0 memory mapped with MAP_NORESERVE is not charged.",
        (ACCOUNTING, Source("mm/mmap.c", "do_mmap")),
        lambda f: f["charged"] == 0 and f["control_reserved"] == f["mapped"] > 0,
        control="within",
        given={"overcommit_memory": 0, "writable": 1},
        counterexamples=({"charged": 16384}, {"control_reserved": 0}),
    ),
    Check(
        "noreserve-mode1",
        "commit",
        "In mode 1 memory mapped with MAP_NORESERVE is not charged.",
        (ACCOUNTING, Source("mm/mmap.c", "do_mmap")),
        lambda f: f["charged"] == 0 and f["control_reserved"] == f["mapped"] > 0,
        control="within",
        given={"overcommit_memory": 1, "writable": 1},
        counterexamples=({"charged": 16384}, {"control_reserved": 0}),
    ),
    Check(
        "noreserve-mode2",
        "commit",
        "In mode 2 memory mapped with MAP_NORESERVE is charged all the same: the flag is ignored.",
        (ACCOUNTING, Source("mm/mmap.c", "do_mmap")),
        lambda f: f["charged"] == f["mapped"] and f["control_mode0"] == 0,
        control="within",
        given={"overcommit_memory": 2},
        counterexamples=({"charged": 0}, {"control_mode0": 16384}),
    ),
    Check(
        "mremap",
        "commit",
        "mremap charges what it adds and gives back what it takes off.",
        (ACCOUNTING, Source("mm/mremap.c", "mremap")),
        lambda f: f["charged"] == f["grown"] and f["after"] == 0,
        control="within",
        counterexamples=({"charged": 0}, {"after": 8192}),
    ),
    Check(
        "brk",
        "commit",
        "brk charges what it adds and gives back what it takes off.",
        (Source("mm/mmap.c", "do_brk_flags"),),
        lambda f: f["charged"] == f["grown"] and f["after"] == 0,
        control="within",
        given={"grown": 8192},
        counterexamples=({"charged": 0}, {"after": 8192}),
    ),
    Check(
        "stack",
        "commit",
        "The stack is charged as it grows.",
        (ACCOUNTING, Source("mm/mmap.c", "acct_stack_growth")),
        lambda f: f["grown"] >= 3 * 1024 and f["charged"] == f["grown"] and f["control_again"] == 0,
        control="within",
        counterexamples=({"charged": 0}, {"grown": 0, "charged": 0}, {"control_again": 4096}),
    ),
    Check(
        "munmap",
        "commit",
        "munmap gives the charge of what it unmaps back, also from the middle of a mapping.",
        (ACCOUNTING, Source("mm/mmap.c", "__vm_munmap")),
        lambda f: f["charged"] == f["mapped"] and f["left"] == f["mapped"] - f["unmapped"],
        control="within",
        counterexamples=({"left": 16384}, {"left": 0}),
    ),
    Check(
        "map-fixed",
        "commit",
        "A mapping that replaces another (MAP_FIXED) is charged, and the charge of what it replaces is given back.",
        (Source("mm/mmap.c", "mmap_region"),),
        lambda f: f["first"] == f["charged"] == f["mapped"] and f["control_beside"] == 2 * f["mapped"],
        control="within",
        counterexamples=({"charged": 32768}, {"charged": 0}, {"first": 0}, {"control_beside": 16384}),
    ),
    Check(
        "exit",
        "commit",
        "The end of a process gives its whole charge back.",
        (Source("mm/mmap.c", "exit_mmap"),),
        lambda f: f["during"] >= f["mapped"] and f["after"] == 0,
        control="within",
        counterexamples=({"after": 16384}, {"during": 0}),
    ),
    Check(
        "dontneed",
        "commit",
        "madvise with MADV_DONTNEED gives the pages back and keeps the charge: the promise stands.",
        (Source("mm/madvise.c", "madvise_dontneed_single_vma"),),
        lambda f: f["charged"] == f["mapped"] and f["control_unmapped"] == 0,
        control="within",
        given={"touched": 8192, "resident": 0},
        counterexamples=({"charged": 0}, {"control_unmapped": 8192}),
    ),
)
