"""A frontier as frontier.json holds it: curves, each with its edges, its runs, and what was foreseen."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["FRONTIER_VERSION", "Frontier", "FrontierCurve", "FrontierEdge", "FrontierRun"]

FRONTIER_VERSION = 1


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FrontierRun(Model):
    """One run of the search. value: the axis's, as the command line takes it."""

    value: str
    verdict: str
    run: str = ""
    """Id of the run; empty where none was made."""


class FrontierEdge(Model):
    """A change of verdict between two neighbouring values; predicted is None where no rule foresees it."""

    below: str
    above: str
    low: str
    high: str
    noisy: bool = False
    predicted: str | None = None
    off_by: str | None = None


class FrontierCurve(Model):
    """What was found at one point of the other axes. at: (axis, value) of those."""

    at: tuple[tuple[str, str], ...] = ()
    edges: tuple[FrontierEdge, ...] = ()
    runs: tuple[FrontierRun, ...] = ()


class Frontier(Model):
    """A search as a whole. low, high and resolution are of the axis, whose kind tells how its values are written."""

    schema_version: int = FRONTIER_VERSION
    id: str
    scenario: str
    axis: str
    kind: Literal["size", "duration", "int", "float"]
    low: str
    high: str
    resolution: str
    fixed: tuple[tuple[str, str], ...] = ()
    curves: tuple[FrontierCurve, ...] = ()
