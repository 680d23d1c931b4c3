# SPDX-License-Identifier: MIT
"""Name the prefixes of a plan: what a run did up to a step `branch`, with all that shaped it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rig.branch.changes import counted_steps
from rig.image.digest import digest_text
from rig.image.payload import Payload, payload_key
from rig.scenario.plan import RenderedPlan

__all__ = ["PrefixKey", "note_of_prefix", "prefix_keys"]

FORMAT = "1"
"""Increase it when a prefix of the same name would be another one."""


@dataclass(frozen=True)
class PrefixKey:
    """A prefix of a plan.

    point: name of the step `branch` that ends it.
    index: index of that step.
    digest: a hash of the guest, the programs, and the steps up to that one. Later steps are not in it.
    """

    point: str
    index: int
    digest: str


def prefix_keys(plan: RenderedPlan, snapshot: str, payload: Payload, layers: Sequence[str]) -> list[PrefixKey]:
    """Return the prefixes of a plan, the shortest first.

    snapshot: key of the snapshot that the guest is restored from.
    payload: of the boot. Its programs are counted, its plan is not.
    layers: SHA-256 of the images of the programs' roots.
    """
    programs = payload_key(replace(payload, plan=None))
    found = []
    for index, step in enumerate(plan.steps[:-1]):
        if step.verb != "branch":
            continue
        steps = "".join(f"{each.text()}\n" for each in plan.steps[: index + 1])
        digest = digest_text(FORMAT, snapshot, programs, *layers, steps)
        found.append(PrefixKey(dict(step.words)["name"], index, digest))
    return found


def note_of_prefix(plan: RenderedPlan, key: PrefixKey, snapshot: str) -> dict[str, Any]:
    """Return what is kept beside a branch point, so that runs with another plan can begin there.

    plan: of the run that made it. snapshot: digest of the snapshot that it was restored from.
    """
    counted = [[*place, index] for place, index in counted_steps(plan.steps).items()]
    return {"prefix": key.digest, "snapshot": snapshot, "counted": counted}
