# SPDX-License-Identifier: MIT
"""A mapping that was made writable, never touched, and made read-only again: the charge stays on kernels before 6.7,
and is given back since.
"""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    kept = 0 if saw.release >= (6, 7) else saw["mapped"]
    return saw["writable"] == saw["mapped"] and saw["readonly_again"] == kept


CHECK = Check(
    name="mprotect-untouched",
    batch="commit",
    rule=__doc__,
    sources=(
        Source(
            "mm/mprotect.c",
            "mprotect_fixup",
            "'mm/mprotect: allow unfaulted VMAs to be unaccounted on mprotect()' (6.7)",
        ),
    ),
    judge=judge,
)
