# SPDX-License-Identifier: MIT
"""The checks, one table in each module. The C half of a check is in the file of that name in guest/programs/verify/."""

from __future__ import annotations

from rig.verify.check import Check
from rig.verify.checks import (
    commit,
    exiting,
    fork,
    limits,
    memcg,
    oom,
    origins,
    panic,
    refusals,
    requests,
    reserves,
    score,
    shared,
    watermarks,
)

__all__ = ["MODULES", "catalogue"]

MODULES = {
    module.__name__.rpartition(".")[2]: module.CHECKS
    for module in (
        limits,
        reserves,
        refusals,
        watermarks,
        commit,
        shared,
        fork,
        score,
        origins,
        oom,
        exiting,
        requests,
        memcg,
        panic,
    )
}
"""Name of the module, here and in C -> its checks."""


def catalogue() -> dict[str, Check]:
    """Return all checks by name."""
    return {check.name: check for checks in MODULES.values() for check in checks}
