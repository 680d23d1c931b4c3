# SPDX-License-Identifier: MIT
"""Represent one run of a sweep as a row."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from rig.errors import RigError
from rig.run.document import Claimed, Run, Verdict

__all__ = ["Row", "row_of_error", "row_of_run"]


class Row(BaseModel):
    """The result of one run of one point; rig/sweep/columns.py documents the columns made of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    point: int
    """Number of the point, from 0, in the order of the axes."""
    repeat: int
    """Number of this run among those of the point, from 0."""
    settings: dict[str, str]
    """Values of the axes at this point, in the notation of the user."""
    verdict: Verdict
    reason: str = ""
    run: str = ""
    """Id of the run; empty if the run did not start."""
    kernel: str = ""
    kernel_package: str = ""
    kernel_hash: str = ""
    image_hash: str = ""
    host_seconds: float | None = None
    overhead_seconds: float | None = None
    """Host seconds that rig itself took: the whole run without the phases boot, restore and plan."""
    guest_seconds: float | None = None
    oom_count: int = 0
    oom_time: float | None = None
    oom_invoker: str = ""
    oom_victim: str = ""
    oom_tied: str = ""
    """Names of the tasks that might as well have been killed, with commas; empty where it was no tie."""
    oom_scope: str = ""
    oom_constraint: str = ""
    panic: str = ""
    worker: str = ""
    shared: str = ""
    """The branch point from which the run began, its past being that of other runs too; empty for a whole run."""
    claims: tuple[Claimed, ...] = ()

    @property
    def victim(self) -> str:
        """The first that was killed, and who might as well have been: `child, in a tie with hog`; empty for nobody."""
        tied = self.oom_tied.replace(",", " and ")
        return f"{self.oom_victim}, in a tie with {tied}" if tied else self.oom_victim

    def values(self) -> dict[str, float]:
        """Return the numeric values of the claims: `CLAIM.VALUE` -> number."""
        return {
            f"{claim.id}.{value.name}": float(value.value)
            for claim in self.claims
            for value in claim.values
            if isinstance(value.value, int | float) and not isinstance(value.value, bool)
        }


def row_of_run(run: Run, point: int, repeat: int, settings: dict[str, str], worker: str = "") -> Row:
    """Return the row of a run that has a run.json."""
    first = run.ooms[0] if run.ooms else None
    guest = sum(phase.host_seconds for phase in run.phases if phase.name in ("boot", "restore", "plan"))
    return Row(
        point=point,
        repeat=repeat,
        settings=settings,
        verdict=run.verdict,
        reason=run.reason,
        run=run.id,
        kernel=run.environment.kernel,
        kernel_package=run.environment.kernel_package,
        kernel_hash=run.environment.kernel_hash,
        image_hash=run.environment.image_hash,
        host_seconds=run.host_seconds,
        overhead_seconds=None if run.host_seconds is None else run.host_seconds - guest,
        guest_seconds=run.guest_seconds,
        oom_count=len(run.ooms),
        oom_time=first.time if first else None,
        oom_invoker=first.invoker if first else "",
        oom_victim=first.killed[0].rsplit(" ", 1)[0] if first and first.killed else "",
        oom_tied=",".join(first.tied_with) if first else "",
        oom_scope=first.scope if first else "",
        oom_constraint=(first.constraint or "") if first else "",
        panic=run.panic or "",
        worker=worker,
        shared=run.branch.point if run.branch is not None else "",
        claims=run.claims,
    )


def row_of_error(error: RigError, point: int, repeat: int, settings: dict[str, str], worker: str = "") -> Row:
    """Return the row of a run that did not start: settings that exclude each other, a kernel that cannot be fetched."""
    return Row(point=point, repeat=repeat, settings=settings, verdict="error", reason=str(error), worker=worker)
