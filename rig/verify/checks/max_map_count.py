# SPDX-License-Identifier: MIT
"""Too many mappings are ENOMEM with memory to spare: vm.max_map_count, not the OOM killer."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import ENOMEM

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["errno"] == ENOMEM and 0 <= saw["bound"] - saw["made"] <= 64 and saw["free"] > 4 * saw["made"]


CHECK = Check(
    name="max-map-count",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/mmap.c", "do_mmap"),
    ),
    judge=judge,
)
