# SPDX-License-Identifier: MIT
"""The checks, a rule a file; `catalogue()` gathers them."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from rig.verify.check import Check

__all__ = ["catalogue"]


def catalogue() -> dict[str, Check]:
    """Return all checks by name."""
    found: dict[str, Check] = {}
    for module in pkgutil.iter_modules(__path__):
        check: Check = import_module(f"{__name__}.{module.name}").CHECK
        found[check.name] = check
    return found
