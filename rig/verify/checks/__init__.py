# SPDX-License-Identifier: MIT
"""The checks, as tables: commit, limits, oom, memcg, panic. The C half of each is in guest/programs/verify/."""

from __future__ import annotations

from rig.verify.check import Check
from rig.verify.checks import commit, limits, memcg, oom, panic

__all__ = ["MODULES", "catalogue"]

MODULES = {module.__name__.rpartition(".")[2]: module.CHECKS for module in (limits, commit, oom, memcg, panic)}
"""Name of the module, here and in C -> its checks."""


def catalogue() -> dict[str, Check]:
    """Return all checks by name."""
    return {check.name: check for checks in MODULES.values() for check in checks}
