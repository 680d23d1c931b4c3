# SPDX-License-Identifier: MIT
"""Where a run begins that does not begin at its guest's snapshot: at a branch point, with other steps to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.image.continuation import Continuation
from rig.machine.branch_point import BranchPoint

if TYPE_CHECKING:
    from rig.run.document import Branch

__all__ = ["Departure"]


@dataclass(frozen=True)
class Departure:
    """The branch point of a future, the steps that it goes on with, and its entry `branch` of run.json.

    snapshot: key of the snapshot from which the branch point's own guest was restored.
    """

    point: BranchPoint
    continuation: Continuation
    branch: Branch
    snapshot: str
