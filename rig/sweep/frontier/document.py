# SPDX-License-Identifier: MIT
"""frontier.json, the document of a threshold search: edges found, edges predicted, points run.

It stands in the search's directory beside a sweep's files (sweep.json, rows.jsonl, results.parquet). Values along the
axis are numbers in the axis's unit: bytes, seconds, or the number itself.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rig.errors import RigError
from rig.seal import seal_is_broken
from rig.sweep.directory import FRONTIER
from rig.validation import describe_first

__all__ = [
    "FRONTIER_VERSION",
    "Curve",
    "Edge",
    "Foreseen",
    "Frontier",
    "FrontierAxis",
    "OtherAxis",
    "Point",
    "read_frontier",
]

logger = logging.getLogger(__name__)
FRONTIER_VERSION = 1


Number = int | float


class Model(BaseModel):
    # frontier.json of a later version may hold more than this one knows; it is read all the same.
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class FrontierAxis(Model):
    """The axis that was searched. low, high, resolution: in the unit of `kind`."""

    name: str
    kind: Literal["size", "duration", "int", "float"]
    low: Number
    high: Number
    resolution: Number


class OtherAxis(Model):
    """An axis whose values, as text, have a curve each."""

    name: str
    values: tuple[str, ...]


class Edge(Model):
    """A change of verdict between two neighbouring values, given as text and as numbers.

    noisy: a repeated run did not give its side's verdict.
    predicted, off_by: None where the arithmetic predicts no such edge.
    """

    below: str = Field(alias="from")
    above: str = Field(alias="to")
    low: str
    high: str
    low_value: Number
    high_value: Number
    noisy: bool = False
    runs_below: tuple[str, ...] = ()
    runs_above: tuple[str, ...] = ()
    predicted: str | None = None
    off_by: str | None = None
    predicted_value: Number | None = None
    off_by_value: Number | None = None

    @property
    def middle(self) -> float:
        return (self.low_value + self.high_value) / 2


class Foreseen(Model):
    """A change of verdict that the arithmetic predicts, whether or not it was found."""

    below: str = Field(alias="from")
    above: str = Field(alias="to")
    value: Number


class Point(Model):
    """A value that was run, and the verdicts of its runs."""

    value: Number
    verdicts: tuple[str, ...] = ()


class Curve(Model):
    """What was found at one point of the other axes, whose values are `at`; edges from low to high."""

    at: dict[str, str] = Field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()
    points: tuple[Point, ...] = ()


class Frontier(Model):
    """A search as a whole. fixed: the settings that all its points share."""

    schema_version: int
    scenario: str
    fixed: dict[str, str] = Field(default_factory=dict)
    axis: FrontierAxis
    others: tuple[OtherAxis, ...] = ()
    curves: tuple[Curve, ...] = ()


def read_frontier(directory: Path) -> Frontier:
    """Read frontier.json in `directory`. Raises RigError where there is none or its version is another."""
    where = directory / FRONTIER
    try:
        text = where.read_bytes()
        frontier = Frontier.model_validate_json(text)
    except OSError as error:
        raise RigError(f"the frontier cannot be read: {error.strerror}", where=where) from error
    except ValidationError as error:
        raise RigError(f"not a frontier: {describe_first(error)}", where=where) from None
    if frontier.schema_version != FRONTIER_VERSION:
        raise RigError(
            f"the frontier has schema version {frontier.schema_version}, this rig reads {FRONTIER_VERSION}",
            where=where,
            remedy="use the rig that made it",
        )
    if seal_is_broken(text):
        logger.warning("%s was changed after it was written: its numbers may be wrong", where)
    return frontier
