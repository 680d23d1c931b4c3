# SPDX-License-Identifier: MIT
"""Each remedy that `rig explain` prints for a cause of its own prevents that report, in a guest that makes it without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rig.klog import OomEvent, read
from rig.klog.explain import explain
from tests.guest.conftest import Rig
from tests.guest.test_causes import program
from tests.klog.causes import TABLE

__all__ = ["program"]

pytestmark = pytest.mark.guest

SMALL = ("--memory", "256M")
NODES = TABLE["memory-policy"].options
V1 = (*SMALL, "--append=rig.cgroup=v1", "--append=swapaccount=1", "--swap=128M", "--cgroup=memory.limit_in_bytes=64M")


@dataclass(frozen=True)
class Guest:
    """options: of `rig exec`. command: what it runs; `./cause` is tests/klog/causes/cause.c."""

    options: tuple[str, ...]
    command: tuple[str, ...]


def _sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def _filled(mount: str, then: str = "true") -> tuple[str, ...]:
    return _sh(f"mkdir /ram; mount -t {mount} ram /ram; cat /dev/zero >/ram/file; {then}")


def _cause(*words: str) -> tuple[str, ...]:
    return ("./cause", *words)


@dataclass(frozen=True)
class Trial:
    """A guest whose report has this cause, and the guest with the remedy.

    expected: of the second one: `no-oom`; `oom` where the cgroup alone runs out of memory.
    needs: a guest whose command fails where the kernel cannot make the report.
    """

    cause: str
    without: Guest
    remedied: Guest
    expected: str = "no-oom"
    needs: Guest | None = None


PROCESSES = Guest(SMALL, _cause("processes"))
POLICY = Guest(NODES, _cause("one-node", "90"))
TABLES = Guest(("--memory", "128M"), _cause("mapped-again", "100"))

TRIALS = {
    "own-cgroup": Trial("processes", PROCESSES, replace(PROCESSES, options=(*SMALL, "--cgroup=memory.max=64M")), "oom"),
    "own-cgroup-of-page-tables": Trial(
        "page-tables",
        Guest(SMALL, _cause("page-tables")),
        Guest((*SMALL, "--cgroup=memory.max=64M"), _cause("page-tables")),
        "oom",
    ),
    "user-space-killer": Trial(
        "processes",
        Guest((*SMALL, "--deb=earlyoom"), _sh("tail /dev/zero; true")),
        Guest((*SMALL, "--deb=earlyoom"), _sh("earlyoom -r 0 -m 10 & tail /dev/zero; test $? = 143")),
    ),
    "preferred-node": Trial("mempolicy", POLICY, replace(POLICY, command=_cause("preferred-node", "90"))),
    "wider-cpuset": Trial(
        "cpuset",
        Guest((*NODES, "--cgroup=cpuset.mems=1"), _cause("processes", "90")),
        Guest((*NODES, "--cgroup=cpuset.mems=0-1"), _cause("processes", "90")),
    ),
    "released-huge-pages": Trial(
        "huge-pages",
        Guest((*SMALL, "--sysctl=vm.nr_hugepages=70"), _cause("processes", "90")),
        Guest((*SMALL, "--sysctl=vm.nr_hugepages=10"), _cause("processes", "90")),
    ),
    "huge-pages-for-shared": Trial(
        "page-tables",
        TABLES,
        Guest((*TABLES.options, "--sysctl=vm.nr_hugepages=1"), _cause("mapped-again-as-huge-page", "100")),
    ),
    "less-movable": Trial(
        "movable-zone",
        Guest(("--memory=512M", "--append=movablecore=300M"), _cause("messages", "200")),
        Guest(("--memory=512M",), _cause("messages", "200")),
    ),
    "less-cma": Trial(
        "cma",
        Guest((*SMALL, "--append=cma=96M"), _cause("messages", "150")),
        Guest(SMALL, _cause("messages", "150")),
        needs=Guest(("--append=cma=96M",), ("grep", "-q", "CmaTotal: *[1-9]", "/proc/meminfo")),
    ),
    "min-free": Trial(
        "fragmentation",
        Guest((*SMALL, "--sysctl=vm.min_free_kbytes=2048"), _cause("fragments", "16")),
        Guest((*SMALL, "--sysctl=vm.min_free_kbytes=16384"), _cause("fragments", "16")),
    ),
    "pids.max": Trial(
        "kernel-stacks",
        Guest(SMALL, _cause("threads")),
        Guest((*SMALL, "--cgroup=pids.max=1000"), _sh("./cause threads; test $? = 3")),
    ),
    "tmpfs-size": Trial(
        "shmem",
        Guest(SMALL, _filled("tmpfs -o size=90%", "./cause processes 60")),
        Guest(SMALL, _filled("tmpfs -o size=30%", "./cause processes 60")),
    ),
    "shmall": Trial(
        "shmem",
        Guest(SMALL, _cause("segments")),
        Guest((*SMALL, "--sysctl=kernel.shmall=16384"), _sh("./cause segments; test $? = 3")),
    ),
    "tmpfs-for-ramfs": Trial("unevictable", Guest(SMALL, _filled("ramfs")), Guest(SMALL, _filled("tmpfs -o size=30%"))),
    "memory.memsw.limit_in_bytes": Trial(
        "cgroup-memsw",
        Guest((*V1, "--cgroup=memory.memsw.limit_in_bytes=64M"), _cause("processes", "90")),
        Guest((*V1, "--cgroup=memory.memsw.limit_in_bytes=128M"), _cause("processes", "90")),
        needs=Guest(("--append=rig.cgroup=v1",), ("test", "-d", "/sys/fs/cgroup/memory")),
    ),
}


@pytest.mark.parametrize("name", TRIALS)
def test_remedy_prevents_the_report_that_it_is_printed_for(name: str, rig: Rig, program: Path, tmp_path: Path) -> None:
    trial = TRIALS[name]
    if trial.needs is not None:
        asked = rig("exec", "-q", *trial.needs.options, "--", *trial.needs.command)
        assert asked.status in (0, 1), asked.err
        if asked.status == 1:
            pytest.skip(f"this kernel has no {' '.join(trial.needs.command)}")

    def reports(guest: Guest, expected: str) -> list[OomEvent]:
        """Return the OOM reports on the console of a guest of which this is expected."""
        known = set(tmp_path.glob("runs/*/console.log"))
        words = ("--no-record", f"--expect={expected}", *guest.options, "--copy=cause", "--", *guest.command)
        called = rig("exec", *words, cwd=program.parent)
        assert called.status == 0, called.err
        (console,) = set(tmp_path.glob("runs/*/console.log")) - known
        return [event for event in read([console.read_bytes()]).events if isinstance(event, OomEvent)]

    before, after = reports(trial.without, "oom"), reports(trial.remedied, trial.expected)

    explained = explain(before[0])
    assert explained.cause == trial.cause
    assert name.removesuffix("-of-page-tables") in {remedy.name for remedy in explained.remedies}
    assert {report.scope for report in after} == ({"memcg"} if trial.expected == "oom" else set())
