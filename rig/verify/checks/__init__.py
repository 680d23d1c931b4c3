# SPDX-License-Identifier: MIT
"""The checks, a table a module. The C half of each is in guest/programs/verify/, in a file of the module's name."""

from __future__ import annotations

from rig.verify.check import Check
from rig.verify.checks import commit, fork, limits, memcg, oom, panic, refusals, score, shared, watermarks

__all__ = ["MODULES", "catalogue"]

MODULES = {
    module.__name__.rpartition(".")[2]: module.CHECKS
    for module in (limits, refusals, watermarks, commit, shared, fork, score, oom, memcg, panic)
}
"""Name of the module, here and in C -> its checks."""


def catalogue() -> dict[str, Check]:
    """Return all checks by name."""
    return {check.name: check for checks in MODULES.values() for check in checks}
