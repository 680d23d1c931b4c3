"""What the guest's own arithmetic says about an edge, from the numbers of a run beside it.

The scenarios in which a child copies what it shares with its parent measure `left`: what the kernel can still hand out
when the child begins to write (rig/scenario/evidence.py). Another process, the hog, takes from it a byte a byte. So the
child runs dry when the hog leaves less than the parent holds, cannot complete a step when the hog leaves less than one,
and does not come to begin when the hog leaves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rig.experiment.frontier.search import Edge
from rig.experiment.sweep.row import Row
from rig.units import parse_size

__all__ = ["predict"]

AXIS = "hog"
LEFT = "copied-what-was-left.left"


def predict(edge: Edge, name: str, rows: Sequence[Row], parameters: Mapping[str, object]) -> float | None:
    """Return the axis's value at which the verdict should change, in bytes; None where no rule is known.

    rows: the runs of this search; parameters: the scenario's, of which `parent` and `step` (bytes) are read.
    """
    parent, step = parameters.get("parent"), parameters.get("step")
    if name != AXIS or not isinstance(parent, int) or not isinstance(step, int):
        return None
    reproduced = [row for row in rows if row.verdict == "reproduced" and LEFT in row.values()]
    if not reproduced:
        return None
    spared = {
        ("not-reproduced", "reproduced"): parent,
        ("reproduced", "not-reproduced"): step,
        ("reproduced", "invalid"): 0,
        ("not-reproduced", "invalid"): 0,
    }.get((edge.below, edge.above))
    if spared is None:
        return None
    nearest = (min if edge.above == "reproduced" else max)(reproduced, key=_hog)
    return _hog(nearest) + nearest.values()[LEFT] - spared


def _hog(row: Row) -> int:
    return parse_size(row.settings[AXIS])
