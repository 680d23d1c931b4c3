# SPDX-License-Identifier: MIT
"""Map optional libraries to the extras of the distribution `oomrig` that install them."""

from __future__ import annotations

from importlib.util import find_spec

from rig.errors import RigError
from rig.installer import add_extra

__all__ = ["EXTRAS", "lacking", "require"]

EXTRAS = {
    "capstone": "debug", "drgn": "debug", "elftools": "debug", "lz4": "debug",
    "junitparser": "junit",
    "matplotlib": "plot",
    "pandas": "frame",
    "distributed": "sweep", "duckdb": "sweep", "pyarrow": "sweep",
}  # fmt: skip
"""Module -> extra, as in pyproject.toml."""


def lacking(module: str, why: str = "") -> RigError:
    """Return the error for a module that cannot be imported."""
    remedy = f"{add_extra(EXTRAS[module])}, or make all-extras in a checkout"
    return RigError(f"{module} is not installed{why and f': {why}'}", where="Python", remedy=remedy)


def require(*modules: str) -> None:
    """Raise RigError if one of these modules is not installed.

    Commands call it before long work, so that they do not fail at the end of it.
    """
    for module in modules:
        if find_spec(module) is None:
            raise lacking(module)
