# SPDX-License-Identifier: MIT
"""A frontier as frontier.json holds it, as far as the report reads it: edges found, edges foreseen, points run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rig.errors import RigError

__all__ = [
    "FILE",
    "FRONTIER_VERSION",
    "Curve",
    "Edge",
    "Foreseen",
    "Frontier",
    "FrontierAxis",
    "Point",
    "read_frontier",
]

FILE = "frontier.json"
FRONTIER_VERSION = 1


class Model(BaseModel):
    # A frontier of a later rig may hold more than this one knows: it is read all the same.
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class FrontierAxis(Model):
    """The axis that was searched. low, high, resolution: bytes, seconds, or the number itself, as kind tells."""

    name: str
    kind: Literal["size", "duration", "int", "float"]
    low: float
    high: float
    resolution: float


class Edge(Model):
    """A change of verdict between two neighbouring values: their text, and their numbers in the axis's unit.

    predicted and off_by are None where the arithmetic has no such edge.
    """

    below: str = Field(alias="from")
    above: str = Field(alias="to")
    low: str
    high: str
    low_value: float
    high_value: float
    noisy: bool = False
    predicted: str | None = None
    off_by: str | None = None
    predicted_value: float | None = None

    @property
    def middle(self) -> float:
        return (self.low_value + self.high_value) / 2


class Foreseen(Model):
    """A change of verdict that the arithmetic foresees, whether or not it was found."""

    below: str = Field(alias="from")
    above: str = Field(alias="to")
    value: float


class Point(Model):
    """A value that was run, and the verdicts of its runs."""

    value: float
    verdicts: tuple[str, ...] = ()


class Curve(Model):
    """What was found at one point of the other axes, whose values are `at`; edges from low to high."""

    at: dict[str, str] = Field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()
    points: tuple[Point, ...] = ()


class Frontier(Model):
    """A search as a whole."""

    schema_version: int
    scenario: str
    fixed: dict[str, str] = Field(default_factory=dict)
    axis: FrontierAxis
    curves: tuple[Curve, ...] = ()


def read_frontier(folder: Path) -> Frontier:
    """Read a frontier's folder. Raises RigError for what is none, or of another version."""
    where = folder / FILE
    try:
        frontier = Frontier.model_validate_json(where.read_bytes())
    except OSError as error:
        raise RigError(f"the frontier cannot be read: {error.strerror}", where=where) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RigError(f"not a frontier: {key}: {first['msg']}", where=where) from None
    if frontier.schema_version != FRONTIER_VERSION:
        raise RigError(
            f"the frontier has schema version {frontier.schema_version}, this rig reads {FRONTIER_VERSION}",
            where=where,
            remedy="use the rig that made it",
        )
    return frontier
