# SPDX-License-Identifier: MIT
"""Compare two fingerprints, the report's and the run's, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rig.reproduce.fingerprint import KINDS, Fingerprint, Holder
from rig.reproduce.replica import KERNEL, OTHERS, Replica

__all__ = ["TOLERANCE", "Compared", "compare_fingerprints"]

TOLERANCE = 0.10
"""The fraction by which a size may differ from the scaled figure of the report."""
SMALL = 0.01
"""Sizes that differ by less than this fraction of the memory agree, whatever the share of their own figure."""
RANKED = 5

Outcome = Literal["agrees", "differs", "left out"]


@dataclass(frozen=True)
class Compared:
    """A field of the two fingerprints.

    report, run: the values as a user reads them.
    scaled: what the run should have; empty where nothing was scaled.
    distance: how far the run is from it; empty where values are not sizes.
    why: the reason for `left out`.
    """

    field: str
    report: str
    scaled: str
    run: str
    distance: str
    outcome: Outcome
    why: str = ""


def compare_fingerprints(replica: Replica, run: Fingerprint | None, before: Mapping[str, int]) -> tuple[Compared, ...]:
    """Return the fields of the report beside those of the run.

    run: None when the run had no OOM.
    before: kB by kind that the guest held before the first actor; they are taken off the run's figures.
    """
    return tuple(_Comparison(replica, run, before).rows())


class _Comparison:
    def __init__(self, replica: Replica, run: Fingerprint | None, before: Mapping[str, int]) -> None:
        self.replica, self.report, self.run, self.before = replica, replica.report, run, before
        self.whys: dict[str, list[str]] = {}
        for each in replica.left_out:
            self.whys.setdefault(each.field, []).append(each.why)
        self.total_kb = self.report.total_kb or sum(self.report.kinds.values())

    def rows(self) -> Iterator[Compared]:
        report, run = self.report, self.run
        yield self.words("scope", report.scope, (run.scope if run is not None else None))
        if report.limit is not None:
            owner = run.limit.owner if run is not None and run.limit is not None else None
            counter = run.limit.counter if run is not None and run.limit is not None else None
            yield self.words("limit's owner", report.limit.owner, owner and owner.lstrip("/"), self.replica.limit_owner)
            yield self.words("limit", report.limit.counter, counter)
            yield self.size(
                "limit's size",
                report.limit.limit_kb if report.limit.counter != "kmem" else None,
                run.limit.limit_kb if run is not None and run.limit is not None else None,
            )
        if not self.replica.by_hand:
            yield self.words("order", _number(report.order), (_number(run.order) if run is not None else None))
            if report.zone is not None:
                yield self.words("zone", report.zone, (run.zone if run is not None else None))
            yield self.path()
            yield self.words("request", report.request or None, (run.request if run is not None else None))
        yield self.words("invoker", _invoker(report), (_invoker(run) if run is not None else None))
        yield self.words("victim", report.victim, (run.victim if run is not None else None))
        if report.killed > 1 or report.group:
            yield self.words(
                "killed together", str(report.group).lower(), (str(run.group).lower() if run is not None else None)
            )
        yield from self.ranking()
        yield from self.shares()
        yield from self.kinds()
        yield from self.swap()

    def words(self, field: str, report: str | None, run: str | None, wanted: str | None = None) -> Compared:
        """Compare two texts. wanted: the text that the run should have, if it is not the report's."""
        if report is None:
            return Compared(field, "not shown", "", run or "–", "", "left out", "the report does not show it")
        scaled = wanted if wanted is not None and wanted != report else ""
        if field in self.whys:
            return Compared(field, report, scaled, run or "–", "", "left out", "; ".join(self.whys[field]))
        same = run is not None and run == (wanted if wanted is not None else report)
        return Compared(field, report, scaled, run or "–", "", "agrees" if same else "differs")

    def path(self) -> Compared:
        report, run = self.report.path, self.run.path if self.run is not None else None
        if report == "fault" and run in ("anonymous", "zero-page", "copy-on-write", "file-read", "shared", "fault"):
            # The report shows a page fault and no more of it.
            return Compared("path", report, "", run, "", "agrees")
        if {report, run} <= {"anonymous", "zero-page"}:
            return Compared("path", report, "", run or "–", "", "agrees")
        return self.words("path", report or None, run)

    def size(self, field: str, report_kb: int | None, run_kb: int | None, *, small: float = 0.0) -> Compared:
        """Compare two sizes. small: a fraction of the memory; sizes that differ by less agree."""
        if report_kb is None:
            return Compared(field, "not shown", "", _megabytes(run_kb), "", "left out", "the report does not show it")
        wanted = report_kb / self.replica.scale
        scaled = _megabytes(wanted)
        if field in self.whys:
            return Compared(
                field, _megabytes(report_kb), scaled, _megabytes(run_kb), "", "left out", "; ".join(self.whys[field])
            )
        if run_kb is None:
            return Compared(field, _megabytes(report_kb), scaled, "–", "", "differs")
        off = run_kb - wanted
        near = abs(off) <= max(TOLERANCE * wanted, small * self.total_kb / self.replica.scale)
        distance = f"{off / wanted:+.1%}" if wanted >= 1024 else f"{off / 1024:+.1f} MB"
        return Compared(
            field, _megabytes(report_kb), scaled, _megabytes(run_kb), distance, "agrees" if near else "differs"
        )

    def ranking(self) -> Iterator[Compared]:
        """Compare who ranks first; tasks whose badness differs by less than the counters' error may change places."""
        report = self.report.ranking[:RANKED]
        if not report:
            yield Compared("ranking", "not shown", "", "–", "", "left out", "the report has no task table")
            return
        names = ", ".join(holder.comm for holder in report)
        if self.run is None:
            yield Compared("ranking", names, "", "–", "", "differs")
            return
        ranked = [holder for holder in self.run.ranking if holder.comm not in (KERNEL, OTHERS, "cast")]
        run = ", ".join(holder.comm for holder in ranked[: len(report)])
        same = _same_ranking([holder.comm for holder in report], ranked, self.slack())
        yield Compared("ranking", names, "", run, "", "agrees" if same else "differs")

    def slack(self) -> int:
        """Return the pages by which two tasks of the run may differ and still be a tie: 1 % of the memory."""
        return int(SMALL * self.total_kb / self.replica.scale / 4)

    def shares(self) -> Iterator[Compared]:
        """Compare what each of the first five holds, in memory and in swap."""
        if "holders" in self.whys:
            yield Compared("holders", "", "", "", "", "left out", "; ".join(self.whys["holders"]))
            return
        left = list(self.run.holders) if self.run is not None else []
        for number, holder in enumerate(self.report.ranking[:RANKED], 1):
            found = _nearest(left, holder, self.replica.scale)
            if found is not None:
                left.remove(found)
            field = f"{number}. {holder.comm}"
            yield self.size(field, holder.held_kb, found.held_kb if found is not None else None, small=SMALL)
            if holder.adj:
                yield self.words(f"{field}: adj", str(holder.adj), str(found.adj) if found is not None else None)

    def kinds(self) -> Iterator[Compared]:
        for kind, name in KINDS.items():
            if kind not in self.report.kinds:
                continue
            run = None
            if self.run is not None and kind in self.run.kinds:
                run = max(self.run.kinds[kind] - self.before.get(kind, 0), 0)
            row = self.size(kind, self.report.kinds[kind], run, small=SMALL)
            yield Compared(name, row.report, row.scaled, row.run, row.distance, row.outcome, row.why)

    def swap(self) -> Iterator[Compared]:
        report, run = self.report, self.run
        if report.swap_total_kb:
            used = report.swap_total_kb - (report.swap_free_kb or 0)
            run_used = None
            if run is not None and run.swap_total_kb is not None:
                run_used = run.swap_total_kb - (run.swap_free_kb or 0)
            yield self.size("swap", report.swap_total_kb, run.swap_total_kb if run is not None else None, small=SMALL)
            yield self.size("swap used", used, run_used, small=SMALL)


def _same_ranking(report: Sequence[str], ranked: Sequence[Holder], slack: int) -> bool:
    """Return whether the run's tasks can be put into the report's order by exchanging tied neighbours alone."""
    left = list(ranked)
    for comm in report:
        place = next((index for index, holder in enumerate(left) if holder.comm == comm), None)
        if place is None or (left[0].points or 0) - (left[place].points or 0) > slack:
            return False
        del left[place]
    return True


def _nearest(run: Sequence[Holder], holder: Holder, scale: float) -> Holder | None:
    """Return the task of the run of that name whose size is nearest."""
    named = [each for each in run if each.comm == holder.comm]
    return min(named, key=lambda each: abs(each.held_kb - holder.held_kb / scale), default=None)


def _invoker(fingerprint: Fingerprint) -> str | None:
    comm = fingerprint.invoker
    # A kworker's name holds its CPU and its number: kworker/0:2.
    return comm.split("/", 1)[0] if comm is not None and comm.startswith("kworker/") else comm


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


def _megabytes(kb: float | None) -> str:
    return "–" if kb is None else f"{kb / 1024:,.1f} MB"
