# SPDX-License-Identifier: MIT
"""Reports that rig's own guests printed, each made by one known cause: `make cause-logs` makes them, the tests read them."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from rig.verify.measure import NUMA

__all__ = ["DATA", "KERNELS", "TABLE", "Made", "archived", "logs"]

DATA = Path(__file__).with_name("data")
KERNELS = {"bullseye": "5.10", "bookworm": "6.1", "trixie": "6.12", "sid": "7.2"}
"""Debian suite -> version of its kernel."""


@dataclass(frozen=True)
class Made:
    """A report of one known cause.

    what: what filled memory, in words.
    way: the argument of cause.c.
    cause: what the explanation must name; empty for an event that has no cause.
    options: of `rig exec`.
    kind: of the event.
    not_on: suites whose kernels cannot make it, and why.
    also: the name of logs in tests/klog/data, of guests without rig, that were made in the same way.
    """

    what: str
    way: str
    cause: str
    options: tuple[str, ...] = ()
    kind: str = "oom"
    not_on: Mapping[str, str] = field(default_factory=dict)
    also: str = ""


_SMALL = ("--memory", "256M")
_NODES = ("--memory", "224M", *(f"--qemu-arg={word}" for word in NUMA))
_V1 = ("--append", "rig.cgroup=v1")
_NO_V1 = dict.fromkeys(("trixie", "sid"), "CONFIG_MEMCG_V1, which exists since 6.11 (e93d4166b40a), is not set")
_NO_CMA = dict.fromkeys(("bullseye", "bookworm", "trixie"), "CONFIG_CMA is not set")


def _cgroup(*settings: str) -> tuple[str, ...]:
    return (*_SMALL, *(f"--cgroup={setting}" for setting in settings))


TABLE = {
    "processes": Made("a process that grows", "processes", "processes", _SMALL),
    "many-of-one-name": Made("ten processes of one name that grow", "many", "processes", _SMALL),
    "storm": Made("three processes, one after the other", "storm", "processes", _SMALL),
    "locked": Made("a process that locks its memory", "locked", "processes", _SMALL),
    "swap-full": Made("a process that grows, with 64 MB of swap", "processes", "processes", (*_SMALL, "--swap", "64M")),
    "zram-full": Made("the same with 64 MB of swap on zram", "processes", "processes", (*_SMALL, "--zram", "64M")),
    "panic-on-oom": Made("the same with vm.panic_on_oom=1", "processes", "processes", (*_SMALL, "--sysctl=vm.panic_on_oom=1"), also="panicoom"),
    "allocating-task": Made("the same with vm.oom_kill_allocating_task=1", "processes", "processes", (*_SMALL, "--sysctl=vm.oom_kill_allocating_task=1"), also="alloctask"),
    "nobody-killable": Made("the same with oom_score_adj -1000", "exempt", "processes", _SMALL, also="deadlock"),
    "tmpfs": Made("a file in tmpfs", "tmpfs", "shmem", _SMALL),
    "memfd": Made("a file of memfd_create(2)", "memfd", "shmem", _SMALL),
    "segments": Made("System V segments that nobody has attached", "segments", "shmem", _SMALL),
    "shared-anonymous": Made("a process that grows in shared mappings", "shared", "shmem", _SMALL),
    "ramfs": Made("a file in ramfs", "ramfs", "unevictable", _SMALL),
    "page-tables": Made("page tables of a process that reads one page in each 2 MB", "page-tables", "page-tables", _SMALL),
    "messages": Made("System V messages", "messages", "slab", _SMALL),
    "open-files": Made("open event descriptors of five processes", "files", "slab", _SMALL),
    "pipes": Made("full pipes", "pipes", "uncounted", _SMALL),
    "semaphores": Made("sets of 32,000 semaphores", "semaphores", "slab", _SMALL),
    "trace-buffer": Made("the ring buffer of tracing", "trace-buffer", "uncounted", _SMALL),
    "threads": Made("threads that only wait", "threads", "kernel-stacks", _SMALL),
    "sockets": Made("datagrams that nobody reads", "sockets", "uncounted", _SMALL),
    "huge-pages": Made("huge pages that nobody uses", "huge-pages", "huge-pages", _SMALL),
    "huge-pages-in-use": Made("huge pages that a process uses", "huge-pages-in-use", "huge-pages", _SMALL),
    "movable-zone": Made("messages, with movablecore=300M", "messages", "movable-zone", ("--memory", "512M", "--append", "movablecore=300M")),
    "cma": Made("messages, with cma=96M", "messages", "cma", (*_SMALL, "--append", "cma=96M"), not_on=_NO_CMA),
    "fragmentation": Made("free memory in single pages, and a pipe with 512 buffers", "fragments", "fragmentation", _SMALL),
    "memory-policy": Made("a process bound to one of two nodes", "one-node", "mempolicy", _NODES),
    "cpuset": Made("a process in a cpuset of one of two nodes", "cpuset", "cpuset", _NODES),
    "small-machine": Made(
        "a process that grows, with mem=80M", "processes", "small-machine", ("--memory", "96M", "--append", "mem=80M"),
        not_on={"sid": "with mem=80M this kernel runs out of memory while it starts"},
    ),
    "cgroup": Made("a process that grows in a cgroup", "processes", "cgroup-memory", _cgroup("memory.max=64M")),
    "cgroup-as-one": Made("ten processes in a cgroup with memory.oom.group=1", "many", "cgroup-memory", _cgroup("memory.max=64M", "memory.oom.group=1")),
    "cgroup-ancestor": Made("a process in a cgroup below the one with the limit", "below", "cgroup-memory", _cgroup("memory.max=64M")),
    "cgroup-lowered": Made("a limit that is set to less than what is held", "lowered", "cgroup-memory", _SMALL),
    "cgroup-tmpfs": Made("a file of memfd_create(2) in a cgroup", "memfd", "cgroup-memory", _cgroup("memory.max=64M")),
    "cgroup-slab": Made("messages in a cgroup", "messages", "cgroup-memory", _cgroup("memory.max=64M")),
    "cgroup-without-swap": Made(
        "a process in a cgroup with memory.swap.max=0, with swap", "processes", "cgroup-memory", (*_cgroup("memory.max=64M", "memory.swap.max=0"), "--swap", "64M")
    ),
    "cgroup-v1": Made("a process in a cgroup of version 1", "processes", "cgroup-memory", (*_V1, *_cgroup("memory.limit_in_bytes=64M")), not_on=_NO_V1),
    "cgroup-v1-memsw": Made(
        "a process in a cgroup of version 1, with a limit of memory and swap", "processes", "cgroup-memsw",
        (*_V1, "--append", "swapaccount=1", *_cgroup("memory.limit_in_bytes=64M", "memory.memsw.limit_in_bytes=64M"), "--swap", "64M"),
        not_on=_NO_V1,
    ),
    "large-vmalloc": Made("a set of 8 million semaphores", "large-set", "vmalloc-size", _SMALL, kind="allocation-failure"),
    "sysrq-f": Made("SysRq f", "sysrq-f", "sysrq", _SMALL, also="sysrqf"),
    "sysrq-m": Made("SysRq m", "sysrq-m", "", _SMALL, kind="memory-info", also="sysrqm"),
}  # fmt: skip


@cache
def archived(suite: str) -> Mapping[str, bytes]:
    """Return name in TABLE -> log that `make cause-logs` kept for the kernel of a Debian suite."""
    path = DATA / f"{suite}.tar.xz"
    if not path.is_file():
        return {}
    with tarfile.open(path) as archive:
        found = {member.name.removesuffix(".log"): archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in found.items() if file is not None}


@cache
def logs(suite: str) -> Mapping[str, bytes]:
    """Return name in TABLE -> log, also those of guests without rig."""
    others = {name: DATA.parents[1] / "data" / f"amd64-{suite}-{made.also}.log" for name, made in TABLE.items()}
    return {name: path.read_bytes() for name, path in others.items() if path.is_file()} | archived(suite)
