# SPDX-License-Identifier: MIT
"""Making a private mapping writable charges it; making it read-only again gives nothing back once it was written to."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["readonly"] == 0 and saw["writable"] == saw["mapped"] and saw["readonly_again"] == saw["mapped"]


CHECK = Check(
    name="mprotect-touched",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/mprotect.c", "mprotect_fixup"),
    ),
    judge=judge,
)
