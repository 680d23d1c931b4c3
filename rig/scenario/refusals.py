# SPDX-License-Identifier: MIT
"""Forks that the kernel refused: what programs say of them, and what the kernel counted.

A program's line is a hint, and its own word. The agent counts how often fork, vfork, clone and clone3 failed with
EAGAIN or ENOMEM (guest/agent/forks.c), which no program can make up. Of a 32-bit program only clone and clone3 are
counted. Where the kernel does not count that, the line is believed if it names the call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rig.run.records import Record, Records
from rig.scenario.evidence import Evidence

if TYPE_CHECKING:
    from rig.run.document import Claimed

__all__ = ["count_refused_forks", "refusals", "refused_by_kernel"]

CLAIM = "kernel-refused-it"
ERRNO = r"(?:EAGAIN|ENOMEM|(?i:cannot allocate memory|resource temporarily unavailable))"
NAMED = re.compile(
    # guest/programs/phases.h, perror(3), and bash with "fork: retry: …" before it gives up
    rf"(?:^|[\s:])(?P<said>(?:v?fork|clone3?)(?:: retry)?: {ERRNO})\b"
    # dash: forkparent() of its src/jobs.c
    r"|: (?P<dash>Cannot fork)$"
)
"""Lines that name the call. The errnos are those of fork(2)."""
UNNAMED = re.compile(
    # posix_spawn(3) and Go report the errors of execve(2) as their own: "fork/exec /bin/true: cannot allocate memory"
    rf"(?:^|[\s:])(?P<spawn>posix_spawnp?: {ERRNO})\b"
    rf"|(?P<go>fork/exec \S+: {ERRNO})"
    # Python: "BlockingIOError: [Errno 11] Resource temporarily unavailable", as of any call
    rf"|(?P<python>(?:BlockingIOError|OSError): \[Errno 1[12]\] {ERRNO})"
    # Java: "java.io.IOException: Cannot run program "true": error=11, Resource temporarily unavailable"
    rf"|(?P<java>error=1[12], {ERRNO})"
    # Node.js: "Error: spawn true EAGAIN"
    r"|(?P<node>spawn \S+ (?:EAGAIN|ENOMEM))"
    r"|(?P<thread>unable to create (?:new )?native thread)"
)
"""Lines that may be about another call: only the kernel's count tells that it was a fork."""


def count_refused_forks(records: Records) -> int | None:
    """Return how many forks the kernel refused during the plan; None if it does not count them, or after a panic."""
    first = (records.first("go") or {}).get("refused_forks")
    last = (records.first("end") or {}).get("refused_forks")
    return last - first if isinstance(first, int) and isinstance(last, int) else None


def refusals(evidence: Evidence) -> Iterator[tuple[Record, str]]:
    """Yield the `exit` record of each program that failed because the kernel refused its fork, and what it said."""
    found = list(_hints(evidence))
    counted = count_refused_forks(evidence.records)
    for record, said, named in found:
        if (named and counted is None) or (counted is not None and counted >= len(found)):
            yield record, said


def refused_by_kernel(evidence: Evidence) -> Claimed | None:
    """Return the condition that the kernel refused the forks of which programs said so before they failed.

    None where no program names such a call, or where the kernel does not count refused forks.
    """
    # Imported on demand: a scenario is checked before its guest starts, the models of run.json are built after that.
    from rig.run.document import Claimed, Shown

    hints = _hints(evidence)
    said = [f"{each.get('program')} ({each.get('pid')}): {text}" for each, text, named in hints if named]
    counted = count_refused_forks(evidence.records)
    if not said or counted is None:
        return None
    held = counted >= len(said)
    return Claimed(
        id=CLAIM,
        text="the forks of which programs said that they were refused were refused by the kernel",
        kind="condition",
        verdict="held" if held else "failed",
        values=(Shown(name="refused_forks", value=counted, shown=str(counted)),),
        reason="" if held else f"{said[0]}; the kernel refused {counted or 'no'} forks",
    )


def _hints(evidence: Evidence) -> Iterator[tuple[Record, str, bool]]:
    """Yield the `exit` record of each program that failed after a line about a refusal; the line; if it names the call.

    A line that names the call counts before a line that does not.
    """
    said: dict[object, tuple[str, bool]] = {}
    for record in evidence.records.items:
        program = record.get("program")
        if record["ev"] == "line":
            text = str(record.get("text", "")).rstrip()
            for pattern, named in ((NAMED, True), (UNNAMED, False)):
                if (match := pattern.search(text)) and (named or program not in said):
                    said[program] = (str(match[match.lastgroup or 0]), named)
                    break
        elif record["ev"] == "exit" and record.get("code") and program in said:
            yield (record, *said.pop(program))
