# SPDX-License-Identifier: MIT
"""Causes of a kill that the kernel log does not show, printed for a log without an OOM report."""

from __future__ import annotations

__all__ = ["SILENT_KILLERS"]

SILENT_KILLERS: tuple[tuple[str, str], ...] = (
    ("systemd-oomd kills on memory pressure, from user space", "journalctl -u systemd-oomd; oomctl"),
    (
        "a cgroup's own limit: its counter keeps the kills when the log has rotated",
        "grep oom /sys/fs/cgroup/PATH/memory.events",
    ),
    (
        "exit status 137 is 128 + 9: something sent SIGKILL; in Kubernetes and Docker look for OOMKilled",
        "docker inspect -f '{{.State.OOMKilled}}' NAME; kubectl describe pod NAME",
    ),
    ("earlyoom, nohang or Android's lmkd kill from user space", "journalctl -u earlyoom"),
    (
        "a limit of the process itself (RLIMIT_AS, RLIMIT_DATA): malloc fails and the program ends",
        "prlimit -p PID",
    ),
    (
        "overcommit refused (vm.overcommit_memory=2): fork and malloc fail, and the kernel mostly says nothing",
        "grep -E 'Commit' /proc/meminfo",
    ),
    (
        "the report was there and is gone: the ring buffer is small and the console's level hides it",
        "journalctl -k -b -1; dmesg --level=err,warn,info",
    ),
)
