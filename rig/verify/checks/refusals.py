# SPDX-License-Identifier: MIT
"""Limits that refuse memory or processes while memory is free: none of them is an OOM."""

from __future__ import annotations

from rig.verify.check import Check, Source
from rig.verify.rules import EAGAIN, ENOMEM, ENOSPC

__all__ = ["CHECKS"]

VM = Source("Documentation/admin-guide/sysctl/vm.rst")

CHECKS = (
    Check(
        "max-map-count",
        "commit",
        "Too many mappings are refused with ENOMEM while memory is free: vm.max_map_count, not the OOM killer.",
        (VM, Source("mm/mmap.c", "do_mmap")),
        lambda f: (
            f["errno"] == ENOMEM
            and 0 <= f["max_map_count"] - f["made"] <= 64
            and f["free"] > 4 * f["made"]
            and f["control_raised"] == 0
        ),
        control="within",
        given={"max_map_count": 1000},
        counterexamples=({"errno": 0}, {"made": 2000}, {"free": 100}, {"control_raised": ENOMEM}),
    ),
    Check(
        "rlimit-as",
        "commit",
        "RLIMIT_AS refuses what is above it with ENOMEM, while memory is free.",
        (Source("mm/mmap.c", "may_expand_vm"),),
        lambda f: f["control_before"] == 0 and f["within"] == 0 and f["above"] == ENOMEM and f["free"] > f["asked"],
        control="within",
        given={"room": 8192},
        counterexamples=({"above": 0}, {"within": ENOMEM}, {"free": 100}, {"control_before": ENOMEM}),
    ),
    Check(
        "pids-max",
        "commit",
        "pids.max refuses fork with EAGAIN, while memory is free.",
        (Source("Documentation/admin-guide/cgroup-v2.rst"), Source("kernel/cgroup/pids.c", "pids_can_fork")),
        lambda f: (
            f["errno"] == EAGAIN and f["forked"] == f["pids.max"] - 1 and f["free"] > 1024 and f["control_raised"] == 0
        ),
        control="within",
        given={"pids.max": 5},
        counterexamples=({"errno": ENOMEM}, {"forked": 16}, {"free": 100}, {"control_raised": EAGAIN}),
    ),
    Check(
        "rlimit-data",
        "commit",
        "RLIMIT_DATA counts every private writable mapping, not the heap alone; it does not count read-only and shared "
        "ones.",
        (Source("mm/mmap.c", "may_expand_vm", "84638335900f"),),
        lambda f: (
            f["control_before"] == f["within"] == 0
            and f["above"] == ENOMEM
            and f["readonly"] == f["shared"] == 0
            and f["free"] > f["asked"]
        ),
        control="within",
        given={"room": 8192},
        counterexamples=({"above": 0}, {"within": ENOMEM}, {"readonly": ENOMEM}, {"shared": ENOMEM}, {"free": 1}),
    ),
    Check(
        "rlimit-memlock",
        "commit",
        "RLIMIT_MEMLOCK refuses mlock with ENOMEM and MAP_LOCKED with EAGAIN, except to CAP_IPC_LOCK.",
        (Source("mm/mlock.c", "do_mlock"), Source("mm/mmap.c", "mlock_future_check")),
        lambda f: f["control_capable"] == f["within"] == 0 and f["above"] == ENOMEM and f["mapped"] == EAGAIN,
        control="within",
        given={"uid": 65534, "limit": 64 << 10},
        counterexamples=({"above": 0}, {"mapped": ENOMEM}, {"within": ENOMEM}, {"control_capable": ENOMEM}),
    ),
    Check(
        "rlimit-nproc",
        "commit",
        "RLIMIT_NPROC refuses fork with EAGAIN, while memory is free.",
        (Source("kernel/fork.c", "copy_process"),),
        lambda f: f["errno"] == EAGAIN and f["free"] > 1024 and f["control_root"] == 0,
        control="within",
        given={"uid": 65534, "limit": 1},
        counterexamples=({"errno": ENOMEM}, {"errno": 0}, {"free": 1}, {"control_root": EAGAIN}),
    ),
    Check(
        "tmpfs-full",
        "commit",
        "A tmpfs that is full refuses with ENOSPC at its size, while memory is free.",
        (Source("Documentation/filesystems/tmpfs.rst"), Source("mm/shmem.c", "shmem_inode_acct_block")),
        lambda f: f["errno"] == ENOSPC and 896 <= f["written"] <= 1024 and f["free"] > 4096,
        control="~size",
        counterexamples=({"errno": 0}, {"errno": ENOMEM}, {"written": 2048}, {"free": 1}),
    ),
)
