# SPDX-License-Identifier: MIT
"""Where a run begins that does not begin at its guest's snapshot: at a branch point, with the steps to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.image.continuation import Continuation
from rig.machine.branch_point import BranchPoint

if TYPE_CHECKING:
    from rig.run.document import Branch, Prefix

__all__ = ["Departure"]


@dataclass(frozen=True)
class Departure:
    """The branch point that a run begins at, and the steps that it goes on with.

    snapshot: key of the snapshot from which the branch point's own guest was restored.
    branch, prefix: the entry of run.json that says where the run began: `branch` for a future of another run, `prefix`
    for a run whose own past was kept.
    """

    point: BranchPoint
    continuation: Continuation
    snapshot: str
    branch: Branch | None = None
    prefix: Prefix | None = None
