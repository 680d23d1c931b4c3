# SPDX-License-Identifier: MIT
"""In mode 2 a single request is granted up to what CommitLimit leaves, and refused above; the counter's CPUs blur the
edge.
"""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import ENOMEM, slack_kb

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    free = saw["limit"] - saw["committed"]
    return abs(saw["largest"] - free) <= slack_kb(saw["limit"]) and saw["errno"] == ENOMEM


CHECK = Check(
    name="mode2-single",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/util.c", "__vm_enough_memory"),
    ),
    judge=judge,
)
