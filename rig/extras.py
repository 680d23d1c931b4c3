# SPDX-License-Identifier: MIT
"""Libraries that only some commands need, and the extra of the distribution `oomrig` that brings each."""

from __future__ import annotations

from importlib.util import find_spec

from rig.errors import RigError

__all__ = ["EXTRAS", "lacking", "require"]

EXTRAS = {
    "capstone": "debug", "drgn": "debug", "elftools": "debug", "lz4": "debug",
    "matplotlib": "plot",
    "distributed": "sweep", "duckdb": "sweep", "junitparser": "sweep", "pyarrow": "sweep",
}  # fmt: skip
"""Module -> extra, as pyproject.toml has them."""


def lacking(module: str, why: str = "") -> RigError:
    """Return the error for a module that cannot be imported."""
    remedy = f"pip install 'oomrig[{EXTRAS[module]}]', or make all-extras in a checkout"
    return RigError(f"{module} is not installed{why and f': {why}'}", where="Python", remedy=remedy)


def require(*modules: str) -> None:
    """Raise RigError where one of these modules is not installed: before work begins whose end would need it."""
    for module in modules:
        if find_spec(module) is None:
            raise lacking(module)
