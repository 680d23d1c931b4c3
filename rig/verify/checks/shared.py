# SPDX-License-Identifier: MIT
"""What shared memory, files in memory and huge pages are charged, and what is reserved for them."""

from __future__ import annotations

from rig.verify.check import Check, Source
from rig.verify.rules import ENOMEM

__all__ = ["CHECKS"]

ACCOUNTING = Source("Documentation/mm/overcommit-accounting.rst")
# Named accountable_mapping() and in mm/mmap.c up to 6.14, in mm/vma.c since.
ACCOUNTABLE = Source("mm/mmap.c", "accountable_mapping")
SIGBUS = 7

CHECKS = (
    Check(
        "sysv-shm",
        "commit",
        "A System V segment is charged whole when it is made and given back when it is removed.",
        (ACCOUNTING, Source("ipc/shm.c", "newseg")),
        lambda f: f["charged"] == f["size"] and f["after"] == 0,
        control="within",
        counterexamples=({"charged": 0}, {"after": 8192}),
    ),
    Check(
        "memfd-by-page",
        "commit",
        "A memfd is charged page by page as pages are written, whatever its size, and the charge is given back with "
        "its last descriptor.",
        (ACCOUNTING, Source("mm/shmem.c", "shmem_acct_block")),
        lambda f: f["empty"] == 0 and f["full"] == f["written"] and f["after"] == 0,
        control="within",
        given={"size": 16384, "written": 4096},
        counterexamples=({"empty": 16384}, {"full": 16384}, {"after": 4096}),
    ),
    Check(
        "hugetlb-free",
        "commit",
        "Memory from the pool of huge pages is not charged.",
        (ACCOUNTABLE,),
        lambda f: f["charged"] == 0 and f["pool"] > 0 and f["control_plain"] == f["mapped"] > 0,
        control="within",
        given={"huge": 1},
        counterexamples=({"charged": 2048}, {"pool": 0}, {"control_plain": 0}),
    ),
    Check(
        "sysv-noreserve",
        "commit",
        "A System V segment with SHM_NORESERVE is charged page by page as it is touched.",
        (Source("ipc/shm.c", "newseg"), Source("mm/shmem.c", "shmem_acct_block")),
        lambda f: f["made"] == 0 and f["written"] == f["touched"] and f["after"] == 0,
        control="sysv-shm",
        given={"size": 8192},
        counterexamples=({"made": 8192}, {"written": 8192}, {"after": 1024}),
    ),
    Check(
        "tmpfs-by-page",
        "commit",
        "A file on tmpfs is charged page by page as it is written, and the charge is given back when it is cut.",
        (ACCOUNTING, Source("mm/shmem.c", "shmem_acct_block")),
        lambda f: f["sparse"] == 0 and f["full"] == 4096 and f["after"] == 0,
        control="within",
        counterexamples=({"sparse": 16384}, {"full": 0}, {"after": 4096}),
    ),
    Check(
        "hugetlb-reserve",
        "commit",
        "A mapping of huge pages reserves them when it is made: one that the pool cannot serve is refused with ENOMEM, "
        "unless it has MAP_NORESERVE.",
        (Source("Documentation/mm/hugetlbfs_reserv.rst"), Source("mm/hugetlb.c", "hugetlb_reserve_pages")),
        lambda f: f["reserved"] == 3 and f["errno"] == ENOMEM and f["control_noreserve"] == 0,
        control="within",
        given={"pool": 4, "free": 4},
        counterexamples=({"reserved": 0}, {"errno": 0}, {"control_noreserve": ENOMEM}),
    ),
    Check(
        "hugetlb-fork",
        "commit",
        "After fork a child that writes to a private huge page gets SIGBUS when the pool is empty; the parent, which "
        "made the reservation, keeps its pages.",
        (Source("Documentation/mm/hugetlbfs_reserv.rst"), Source("mm/hugetlb.c", "hugetlb_wp")),
        lambda f: (
            f["signal"] == SIGBUS and f["parent_reads"] == 3 and f["control_free"] > 0 and f["control_signal"] == 0
        ),
        control="within",
        given={"pool": 2, "free": 0},
        counterexamples=({"signal": 0}, {"parent_reads": 2}, {"control_signal": SIGBUS}, {"control_free": 0}),
    ),
)
