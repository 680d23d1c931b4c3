# SPDX-License-Identifier: MIT
"""Scenarios written to mislead, each with the verdict that is right; `make lies` runs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["LIES", "Lie"]

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Lie:
    """A scenario of this directory, or of the catalogue, its settings, and what is right.

    right: the verdict, or `refused` where no run may be made; because: the claim that has to say so, or empty.
    """

    scenario: str
    sets: tuple[str, ...]
    right: str
    because: str = ""

    @property
    def name(self) -> str:
        return " ".join((self.scenario, *self.sets))

    @property
    def path(self) -> str:
        own = HERE / self.scenario
        return str(own) if own.is_dir() else self.scenario


def _lie(words: str, right: str, because: str = "") -> Lie:
    scenario, *sets = words.split()
    return Lie(scenario, tuple(sets), right, because)


LIES = [
    # Text that is not the kernel's.
    _lie("forged where=/dev/kmsg", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/console", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/ttyS0", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/ttyS0 what=other-pid", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/console decoy=yes", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/kmsg decoy=yes what=other-pid", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/ttyS0 real=yes", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/kmsg what=panic", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/ttyS0 what=panic-off", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/console what=panic-twice", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/ttyS0 what=takes", "invalid", "kernel-said-it"),
    _lie("forged what=by-name", "invalid", "kernel-said-it"),
    _lie("forged what=silence real=yes", "invalid", "kernel-said-it"),
    _lie("forged what=silence", "not-reproduced", "oom-came"),
    _lie("forged what=blind real=yes", "invalid", "kernel-said-it"),
    _lie("forged what=body real=yes", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/ttyS0 what=oops", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/console what=hung", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/ttyS0 what=early-hung", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/ttyS0 what=late", "invalid", "oom-came"),
    _lie("forged where=/dev/ttyS0 what=instead real=yes vm.panic_on_oom=1", "invalid", "oom-came"),
    _lie("forged where=/dev/ttyS0 what=hung floods=1", "invalid", "kernel-said-it"),
    _lie("forged where=/dev/ttyS0 what=hung floods=40", "invalid", "crashed"),
    _lie("forged what=body real=yes floods=1", "invalid", "kernel-said-it"),
    _lie("forged what=nothing real=yes floods=1", "reproduced"),
    _lie("forged what=sysrq", "invalid", "no-kill-by-sysrq"),
    _lie("forged what=port number=13", "error"),
    _lie("forged what=attack", "reproduced"),
    _lie("forged what=nothing", "not-reproduced", "oom-came"),
    _lie("forged what=nothing real=yes", "reproduced"),
    _lie("forged what=nothing real=yes vm.panic_on_oom=1", "not-reproduced", "oom-came"),
    # Memory that is not there.
    _lie("held how=honest", "reproduced"),
    _lie("held how=shared", "reproduced"),
    _lie("held how=memfd", "invalid", "holds"),
    _lie("held how=merged", "invalid", "holds"),
    _lie("held how=given-back", "invalid", "holds"),
    _lie("held how=reserved", "invalid", "holds"),
    _lie("held how=only-read", "invalid", "holds"),
    _lie("held how=borrowed", "invalid", "holds"),
    _lie("held how=one-vm", "invalid", "holds"),
    _lie("held how=swapped zram=64M", "reproduced"),
    _lie("held how=same-filled zram=64M", "invalid", "holds"),
    _lie("held how=written", "reproduced"),
    _lie("held how=written-to-file", "reproduced"),
    _lie("held how=sparse", "invalid", "holds"),
    _lie("held how=leaderless", "reproduced"),
    _lie("held how=two-leaderless", "reproduced"),
    # Pages that were never shared.
    _lie("copied how=honest", "reproduced"),
    _lie("copied how=zero", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=merged", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=covered", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=file", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=parent-unmaps", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=drops", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=populates", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=rereads", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=drops-huge", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=drops-mthp", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=collapses", "not-reproduced", "copied-what-it-shared"),
    _lie("copied how=helped", "invalid", "copied-what-it-shared"),
    _lie("copied how=threads", "reproduced"),
    _lie("copied how=early-threads", "reproduced"),
    # Pages that came in another way than by a write of the child's, and copies that no exception shows.
    _lie("replaced", "reproduced"),
    _lie("replaced how=moves", "not-reproduced", "copied"),
    _lie("replaced how=moves-and-writes", "invalid", "copied"),
    _lie("replaced how=khugepaged", "not-reproduced", "copied"),
    _lie("replaced how=khugepaged-and-writes", "not-reproduced", "copied"),
    _lie("replaced how=userfaultfd", "not-reproduced", "copied"),
    _lie("replaced how=userfaultfd-and-writes", "invalid", "copied"),
    _lie("replaced how=unmerges", "not-reproduced", "copied"),
    _lie("replaced how=written", "not-reproduced", "copied"),
    _lie("replaced how=splices", "not-reproduced", "copied"),
    _lie("replaced how=populates", "reproduced"),
    _lie("replaced how=reads-direct", "reproduced"),
    _lie("replaced how=io-uring", "reproduced"),
    # Memory that the agent itself would need.
    _lie("exhausted array=2G", "reproduced"),
    _lie("exhausted kids=100 ends=oom", "reproduced"),
    # Forks that were not refused, and some that were.
    _lie("refused how=says-so", "invalid", "kernel-refused-it"),
    _lie("refused how=says-so-as-bash", "invalid", "kernel-refused-it"),
    _lie("refused how=says-so-as-python", "invalid", "programs-lived"),
    _lie("refused how=32-bit", "not-reproduced", "no-fork-refused"),
    _lie("refused how=sh", "not-reproduced", "no-fork-refused"),
    _lie("refused how=python", "not-reproduced", "no-fork-refused"),
    # Settings and programs that are not what they were.
    _lie("meddled", "reproduced"),
    _lie("meddled how=sysctl", "invalid", "settings-held"),
    _lie("meddled how=sysctl-and-back", "invalid", "settings-held"),
    _lie("meddled how=blink", "invalid", "settings-held"),
    _lie("meddled how=blink-limit", "invalid", "settings-held"),
    _lie("meddled how=escapes", "invalid", "settings-held"),
    _lie("meddled how=escapes-and-is-killed", "invalid", "settings-held"),
    _lie("meddled how=swapoff zram=64M", "invalid", "settings-held"),
    _lie("meddled how=thp", "invalid", "settings-held"),
    _lie("meddled how=limit", "invalid", "settings-held"),
    _lie("meddled how=limit-and-back", "invalid", "settings-held"),
    _lie("meddled how=written-sysctl", "invalid", "settings-held"),
    _lie("meddled how=not-taken", "invalid", "settings-held"),
    _lie("meddled how=blinds-agent", "invalid", "settings-held"),
    _lie("meddled ends=panic", "reproduced"),
    _lie("meddled how=sysctl ends=panic", "invalid", "settings-held"),
    _lie("meddled how=dies", "invalid", "programs-lived"),
    _lie("meddled how=aborts", "invalid", "programs-lived"),
    _lie("meddled how=child-aborts", "invalid", "programs-lived"),
    _lie("meddled how=child-fails", "invalid", "programs-lived"),
    _lie("meddled how=many", "invalid", "few-kids"),
    _lie("meddled how=twins", "invalid", "twin"),
    _lie("meddled how=looked-at-twins", "invalid", "plan-ran"),
    # Children that crash where nobody looks, or where something else seems to explain it.
    _lie("unseen", "reproduced"),
    _lie("unseen how=reaped", "invalid", "programs-lived"),
    _lie("unseen how=ignored", "invalid", "programs-lived"),
    _lie("unseen how=daemon", "invalid", "programs-lived"),
    _lie("unseen how=sibling", "invalid", "programs-lived"),
    _lie("unseen how=crowd", "invalid", "programs-lived"),
    _lie("unseen how=deaf", "invalid", "programs-lived"),
    _lie("unseen how=signalled", "invalid", "programs-lived"),
    _lie("unseen how=twin", "invalid", "programs-lived"),
    _lie("unseen how=oom", "invalid", "programs-lived"),
    _lie("unseen how=awaited", "invalid", "programs-lived"),
    _lie("unseen how=namespace", "invalid", "programs-lived"),
    _lie("unseen how=leaderless", "invalid", "programs-lived"),
    _lie("unseen how=thread-exec", "invalid", "programs-lived"),
    _lie("unseen how=vfork", "invalid", "programs-lived"),
    _lie("unseen how=shared", "reproduced"),
    _lie("unseen how=sysrq", "reproduced"),
    _lie("unseen how=listens", "reproduced"),
    _lie("unseen how=storm", "reproduced"),
    _lie("unseen how=throng memory=512M", "reproduced"),
    _lie("fork-fails by=half vm.overcommit_memory=2", "refused"),
    _lie("meddled vm.swapiness=10", "refused"),
    _lie("meddled net.core.somaxcon=10", "refused"),
    # A process that is taken for another.
    _lie("mistaken", "reproduced"),
    _lie("mistaken how=successors", "invalid", "holds"),
    _lie("mistaken how=renames", "invalid", "holds"),
    # Files of the kernel that are covered.
    _lie("covered", "reproduced"),
    _lie("covered what=sysctl", "invalid", "settings-held"),
    _lie("covered what=all-of-proc", "invalid", "settings-held"),
    _lie("covered what=smaps", "invalid", "holds"),
    _lie("covered what=memory-events", "not-reproduced", "killed-there"),
    _lie("covered what=all-of-sys", "not-reproduced", "killed-there"),
    _lie("covered what=debugfs", "reproduced"),
    _lie("covered what=no-debugfs", "invalid", "plan-ran"),
    # Results that are not the usual one.
    _lie("snapshot-by-fork memory=192M", "not-reproduced", "no-oom"),
    _lie("prefault vm.panic_on_oom=1", "reproduced"),
    _lie("overcommit-in-cgroup vm.panic_on_oom=2", "reproduced"),
    _lie("overcommit-in-cgroup vm.panic_on_oom=2 every=1ms", "reproduced"),
    _lie("oom-victim vm.panic_on_oom=1", "reproduced"),
    _lie("respawn vm.panic_on_oom=2", "reproduced"),
    _lie("snapshot-by-fork child=collect", "reproduced"),
    _lie("overcommit-in-cgroup vm.overcommit_memory=2", "not-reproduced", "fork-succeeded"),
    _lie("snapshot-by-fork vm.overcommit_memory=2 size=150M", "not-reproduced", "no-fork-refused"),
    _lie("fork-remedies vm.overcommit_memory=2 advise=none parent=150M", "not-reproduced", "no-fork-refused"),
    _lie("oom-victim vm.overcommit_memory=2", "not-reproduced", "fork-succeeded"),
    _lie("overcommit-oops vm.panic_on_oom=1 every=1ms", "reproduced"),
]
