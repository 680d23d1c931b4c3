"""Where a frontier is kept: frontier.json in a folder beside those of the sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from rig.errors import RigError, WrongCall
from rig.experiment.frontier.conduct import Curve
from rig.experiment.frontier.scale import Scale, show
from rig.experiment.sweep.folder import sweeps_folder
from rig.report.frontier import FRONTIER_VERSION, Frontier, FrontierCurve, FrontierEdge, FrontierRun
from rig.run.folder import new_run_id

__all__ = ["find_frontier_folder", "keep_frontier", "read_frontier"]

FILE = "frontier.json"


def keep_frontier(scenario: str, scale: Scale, fixed: Sequence[tuple[str, str]], curves: Sequence[Curve]) -> Path:
    """Write a search into a folder of its own and return that. Raises RigError when it cannot be written."""
    path = sweeps_folder() / new_run_id()
    frontier = Frontier(
        id=path.name,
        scenario=scenario,
        axis=scale.name,
        kind=scale.kind,
        low=scale.text(0),
        high=scale.text(scale.steps),
        resolution=show(scale.kind, scale.resolution),
        fixed=tuple(fixed),
        curves=tuple(_curve(curve, scale.name) for curve in curves),
    )
    try:
        path.mkdir(parents=True)
        (path / FILE).write_text(frontier.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise RigError(f"the frontier cannot be kept: {error.strerror}", where=path) from error
    return path


def _curve(curve: Curve, axis: str) -> FrontierCurve:
    edges = tuple(
        FrontierEdge(
            below=each.edge.below, above=each.edge.above, low=each.low, high=each.high, noisy=each.edge.noisy,
            predicted=each.predicted, off_by=each.off_by,
        )
        for each in curve.edges
    )  # fmt: skip
    runs = tuple(FrontierRun(value=row.settings[axis], verdict=row.verdict, run=row.run) for row in curve.rows)
    return FrontierCurve(at=curve.at, edges=edges, runs=runs)


def find_frontier_folder(frontier: str) -> Path:
    """Return the folder of a path, an id or a unique prefix of one. Raises WrongCall."""
    path = Path(frontier).expanduser()
    if (path / FILE).is_file():
        return path.resolve()
    found = [
        file.parent for file in sweeps_folder().glob(f"*/{FILE}") if frontier and file.parent.name.startswith(frontier)
    ]
    if len(found) == 1:
        return found[0]
    what = f"'{frontier}' begins {len(found)} frontiers' ids" if found else f"there is no frontier '{frontier}'"
    raise WrongCall(what, where=sweeps_folder(), remedy="'rig frontier' prints its own when it ends")


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
