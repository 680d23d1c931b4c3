# SPDX-License-Identifier: MIT
"""Collect the names and functions that expressions may use, from their declarations in rig/scenario/functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from rig.scenario.declare import DECLARED, Declared
from rig.scenario.functions import plain as _plain  # noqa: F401 # imported for its declarations

if TYPE_CHECKING:
    from rig.scenario.evidence import Evidence

__all__ = ["BEFORE", "GUEST_FIELDS", "PLAIN_FUNCTIONS", "from_records", "functions_of", "names_of", "words"]

GUEST_FIELDS = frozenset({"memory", "cpus", "swap", "zram", "disk", "clock"})
"""Fields of `guest`: sizes in bytes, the number of CPUs, and the clock, `warp` or `live`."""

BEFORE = frozenset({"params", "guest", "to_the_end"})
"""Names that are known before the guest starts; checks and the `when` of a step use them."""

PLAIN_FUNCTIONS: dict[str, Callable[..., Any]] = {
    declared.word: declared.call for declared in DECLARED.values() if declared.source == "value"
}
"""Functions that compute from their arguments alone, without evidence of a run."""


def words() -> dict[str, Declared]:
    """Return every word of the language."""
    # Imported on demand, for start-up time: checking settings does not need them.
    import rig.scenario.functions.arithmetic
    import rig.scenario.functions.log
    import rig.scenario.functions.names
    import rig.scenario.functions.page_maps
    import rig.scenario.functions.records  # noqa: F401

    return DECLARED


def from_records() -> frozenset[str]:
    """Return the words computed from the agent's records; a claim that uses one is invalid when records were lost."""
    return frozenset(word for word, declared in words().items() if declared.source == "records")


def names_of(evidence: Evidence) -> dict[str, Any]:
    """Return the names that claims may use, with their values."""
    return {word: declared.call(evidence) for word, declared in words().items() if declared.kind == "name"}


def functions_of(evidence: Evidence) -> dict[str, Callable[..., Any]]:
    """Return the functions that claims may call, bound to the run."""
    return {
        word: declared.call if declared.source == "value" else partial(declared.call, evidence)
        for word, declared in words().items()
        if declared.kind == "function"
    }
