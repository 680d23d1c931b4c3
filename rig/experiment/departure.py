# SPDX-License-Identifier: MIT
"""Where a run begins that does not begin at its guest's snapshot: at a branch point, with the steps to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.image.continuation import Continuation
from rig.machine.branch_point import BranchPoint

if TYPE_CHECKING:
    from rig.run.document import Branch

__all__ = ["Departure", "KeptPast"]


@dataclass(frozen=True)
class KeptPast:
    """What the branch point of a run's own past does not know itself.

    name: of the step `branch` in the plan.
    made: whether this run saved it.
    content: key of the payload that the run would have had from the boot on.
    """

    name: str
    made: bool
    content: str


@dataclass(frozen=True)
class Departure:
    """The branch point that a run begins at, and the steps that it goes on with.

    snapshot: key of the snapshot from which the branch point's own guest was restored.
    branch: the entry of run.json for a future of another run.
    past: for a run whose own past was kept.
    """

    point: BranchPoint
    continuation: Continuation
    snapshot: str
    branch: Branch | None = None
    past: KeptPast | None = None
