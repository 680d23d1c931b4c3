# SPDX-License-Identifier: MIT
"""Functions of claims over page maps: what a process has copied of the pages that it shared since a fork."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from rig.run.records import MOST_PAGES, PAGE_STATES, Record
from rig.scenario.declare import function
from rig.scenario.evidence import Evidence
from rig.scenario.functions.records import find_process
from rig.scenario.suggestion import did_you_mean
from rig.scenario.views import MissingRecord

__all__: list[str] = []


@dataclass
class ProcessMap:
    """A page map of one process.

    runs: the lists [pages, state] of all of its records.
    unproved: faults since the process's first map that may have brought a page without a copy, with the pages that the
        kernel has moved to other frames since then. None if these are not known.
    copies: faults since then that may have copied a page. None if these are not known, as in the first map itself.
    brought_others: system calls since then that may have put other pages into the array's place.
    """

    label: object
    start: object
    runs: list[Any] = field(default_factory=list)
    unproved: int | None = 0
    copies: int | None = None
    brought_others: int = 0

    def states(self) -> Iterator[str]:
        """Yield the state of each page."""
        for count, state in self.runs:
            yield from repeat(state, min(int(count), MOST_PAGES))


@function("records", "unshared('child', 'forked') >= 0.8 * copied('child', 'writing-starts')")
def unshared(evidence: Evidence, role: str, label: str, until: str | None = None) -> int | None:
    """bytes of its array that were shared in the page map of that label, and are in frames of its own in its last map
    up to the OOM, or in the one labelled `until`: what it has copied of what it had from the fork, and of nothing else.
    A page that the other process gave up is not copied. A page that this process dropped and wrote anew is not either:
    as many are taken off as its faults on absent pages may have brought, and as the kernel moved. No more pages are
    copied than there were write faults of the process on pages that were there: what another process wrote into it
    (ptrace, process_vm_writev) does not count. A kernel without the tracepoint `page_fault_user` does not count these
    faults, and nothing is taken off. Where they are not known for another reason (more than 16 threads, a process that
    shares its memory, an array beyond the 16th, no memory to note its frames), or where system calls put other pages
    into the array's place (mremap, userfaultfd), the claim cannot be judged. None where there is no such map
    """
    maps = _maps_of(evidence, role, label)
    first = _labelled(maps, role, label)
    later: list[ProcessMap] = []
    for each in maps:
        if each is not first and each.start == first.start and until in (None, each.label):
            later.append(each)
        if each.label == "oom":
            break
    if not later:
        return None
    last = later[-1]
    pages = sum(pair == ("shared", "private") for pair in zip(first.states(), last.states(), strict=False))
    unproved = _known(evidence, last, role) - _known(evidence, first, role)
    copied = max(pages - max(unproved, 0), 0)
    if last.copies is not None:
        copied = min(copied, max(last.copies - (first.copies or 0), 0))
    return _of_the_array(copied, last.brought_others - first.brought_others, role) * evidence.page_size()


@function("records", "mapped_as('child', 'forked', 'shared') > 0.9 * params.parent")
def mapped_as(evidence: Evidence, role: str, label: str, *states: str) -> int:
    """bytes of its array that are in one of these states (`shared`, `private`, …, as in
    [agent-protocol.md](agent-protocol.md)) in its first page map of that label
    """
    for state in states:
        # No page has such a state: a claim that compares the answer with a bound above it would hold for nothing.
        if state not in PAGE_STATES:
            raise MissingRecord(f"a page has no state '{state}': {did_you_mean(state, PAGE_STATES)}")
    if "private" in states:
        states = (*states, "kept")
    found = _labelled(_maps_of(evidence, role, label), role, label)
    return sum(state in states for state in found.states()) * evidence.page_size()


@function(
    "records", "both_own('parent', 'child', 'done') > both_own('parent', 'child', 'forked') > 0", run="snapshot-by-fork"
)
def both_own(evidence: Evidence, role: str, other: str, label: str) -> int:
    """bytes of their array of which two processes have each a page of its own, in their first page maps of that label:
    what either has copied since the fork. A page that one of them has given up does not count, nor, as in `unshared`,
    what either may have dropped and written anew since its first page map
    """
    one = _labelled(_maps_of(evidence, role, label), role, label)
    two = _labelled(_maps_of(evidence, other, label), other, label)
    if one.start != two.start:
        raise MissingRecord(f"the page maps '{label}' of '{role}' and '{other}' are of different arrays")
    pages = sum(set(pair) <= {"private", "kept"} for pair in zip(one.states(), two.states(), strict=False))
    unproved = _known(evidence, one, role) + _known(evidence, two, other)
    copied = max(pages - unproved, 0)
    if one.copies is not None and two.copies is not None:
        copied = min(copied, one.copies + two.copies)
    brought_others = one.brought_others + two.brought_others
    return _of_the_array(copied, brought_others, f"{role}' or '{other}") * evidence.page_size()


def _known(evidence: Evidence, found: ProcessMap, role: str) -> int:
    """Return ProcessMap.unproved; 0 from a kernel that cannot count such faults.

    Raises MissingRecord where the kernel can, and they are not known.
    """
    if found.unproved is None and (evidence.records.first("go") or {}).get("faults") is not False:
        raise MissingRecord(f"which pages '{role}' copied, and which are new, is not known of page map '{found.label}'")
    return found.unproved or 0


def _of_the_array(copied: int, brought_others: int, role: str) -> int:
    """Return the number of copied pages. Raises MissingRecord where they may be others than those that were shared."""
    if copied and brought_others > 0:
        raise MissingRecord(
            f"'{role}' may have other pages in its array's place (mremap or userfaultfd): what it copied is not known"
        )
    return copied


def _labelled(maps: list[ProcessMap], role: str, label: str) -> ProcessMap:
    """Return the first map of that label. Raises MissingRecord."""
    for each in maps:
        if each.label == label:
            return each
    raise MissingRecord(f"there is no page map '{label}' of '{role}'")


def _maps_of(evidence: Evidence, role: str, label: str) -> list[ProcessMap]:
    """Return the page maps of the process that has that role in the sample of that label, in order."""
    pid = find_process(evidence, role, label).pid
    found: list[ProcessMap] = []
    goes_on = False
    for record in evidence.records.of("pagemap"):
        if record.get("pid") != pid:
            continue
        if not goes_on:
            found.append(ProcessMap(record.get("label"), record.get("start")))
        found[-1].runs.extend(record.get("runs", ()))
        found[-1].unproved = _unproved(record)
        found[-1].copies = _count(record.get("copy_faults"))
        found[-1].brought_others = _count(record.get("brought_others")) or 0
        # A map that is too long for one record goes on in the next (docs/reference/agent-protocol.md).
        goes_on = record.get("last") is False
    return found


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _unproved(record: Record) -> int | None:
    """Return ProcessMap.unproved of the last record of a map. The first map of a process has none of the fields."""
    counts = [record.get("fresh_faults", 0), record.get("migrated", 0)]
    return sum(counts) if all(isinstance(count, int) and count >= 0 for count in counts) else None
