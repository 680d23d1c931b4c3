# SPDX-License-Identifier: MIT
"""Find which memory tasks share: mapped files, shared memory, and the pages that forks have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rig.reproduce.fingerprint import Fingerprint, Holder

__all__ = ["Families", "Share", "families_of", "shares_of"]


@dataclass(frozen=True)
class Share:
    """The parts of a task's memory, in kB: anonymous, mapped from files, mapped from shared memory."""

    anon: int
    file: int
    shmem: int


@dataclass
class Families:
    """The forks of a report.

    of: pid of the parent -> (the members, kB that they share).
    taken: pids of the other members.
    factor: what each task is taken as of what its row says, where rows claim more than forks explain; 1 elsewhere.
    """

    of: dict[int, tuple[list[Holder], int]] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    factor: float = 1.0


def shares_of(report: Fingerprint, holders: Sequence[Holder], least_kb: float) -> dict[int, Share]:
    """Return pid -> what is anonymous, from files and shared of each task's memory.

    least_kb: fewer mapped pages of files and shared memory are not played. An actor has those of its own program.
    Before 6.8 the table has only their sum. What the tasks claim beyond the anonymous memory that exists is mapped
    pages where the report counts so many, and else pages that forks share.
    """
    found = {}
    known = all(holder.file_kb is not None for holder in holders)
    claimed = sum(holder.rss_kb for holder in holders)
    present = report.kinds.get("anonymous")
    excess = 0 if present is None else max(claimed - present - report.kinds.get("unevictable", 0), 0)
    guessed = report.mapped_kb >= least_kb and not known and claimed > 0
    shmem = report.kinds.get("shmem", 0)
    # Mapped pages that are not in the page cache are shared memory.
    of_files = report.kinds.get("cache", 0) * 2 >= report.mapped_kb
    for holder in holders:
        file, mapped = holder.file_kb or 0, holder.shmem_kb or 0
        anon = max(holder.rss_kb - file - mapped, 0)
        file, mapped = (size if size >= least_kb else 0 for size in (file, mapped))
        if guessed:
            mapping = int(holder.rss_kb * excess / claimed)
            file, mapped = (mapping, 0) if of_files else (0, mapping)
            anon = max(holder.rss_kb - mapping, 0)
        found[holder.pid] = Share(anon, file, min(mapped, shmem))
    return found


def families_of(report: Fingerprint, total_kb: int, played: Sequence[Holder], shares: dict[int, Share]) -> Families:
    """Find forks: rows of one user with one size of address space, whose pages are counted more than once."""
    present = report.kinds.get("anonymous")
    families = Families()
    if present is None:
        return families
    claimed = sum(share.anon for share in shares.values())
    excess = claimed - present - report.kinds.get("unevictable", 0)
    if excess < max(0.05 * present, 0.02 * total_kb):
        return families
    groups: dict[tuple[int | None, int], list[Holder]] = defaultdict(list)
    for holder in played:
        groups[holder.uid, holder.vm_kb // 1024].append(holder)
    for members in sorted(groups.values(), key=lambda group: -min(shares[each.pid].anon for each in group)):
        if len(members) < 2 or excess <= 0:
            continue
        members.sort(key=lambda holder: holder.pid)
        smallest = min(shares[each.pid].anon for each in members)
        shared = min(smallest, excess // (len(members) - 1))
        if shared * 2 < smallest:
            continue
        families.of[members[0].pid] = members, shared
        families.taken.update(each.pid for each in members[1:])
        excess -= shared * (len(members) - 1)
    if excess > max(0.05 * present, 0.02 * total_kb):
        families.factor = present / (present + excess)
    return families
