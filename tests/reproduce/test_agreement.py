# SPDX-License-Identifier: MIT
"""Two fingerprints beside each other: what agrees, what differs, and what is not judged."""

from __future__ import annotations

from dataclasses import replace

from rig.reproduce.agreement import Compared, compare_fingerprints
from rig.reproduce.fingerprint import Fingerprint, fingerprint_of
from rig.reproduce.replica import Replica
from rig.reproduce.scaling import replica_of
from tests.klog import made
from tests.reproduce.test_replica import event_of


def report() -> Fingerprint:
    return fingerprint_of(event_of(made.oom_report()))


def exact(scaled: Replica) -> Fingerprint:
    """Return what a run has that is the report, scaled."""

    def small(kb: int) -> int:
        return round(kb / scaled.scale)

    of = scaled.report
    holders = tuple(
        replace(each, rss_kb=small(each.rss_kb), points=None if each.points is None else small(each.points))
        for each in of.holders
    )
    return replace(of, holders=holders, kinds={kind: small(kb) for kind, kb in of.kinds.items()})


def compare(**changes: object) -> dict[str, Compared]:
    scaled = replica_of(report())
    run = replace(exact(scaled), **changes)  # type: ignore[arg-type] # of the tests below
    return {each.field: each for each in compare_fingerprints(scaled, run, {})}


def differing(rows: dict[str, Compared]) -> set[str]:
    return {field for field, row in rows.items() if row.outcome == "differs"}


def test_scaled_report_agrees_with_itself() -> None:
    assert differing(compare()) == set()


def test_each_field_differs_alone() -> None:
    assert differing(compare(scope="memcg")) == {"scope"}
    assert differing(compare(path="file-read")) == {"path"}
    assert differing(compare(order=2)) == {"order"}
    assert differing(compare(request="kernel")) == {"request"}
    assert differing(compare(invoker="hog")) == {"invoker"}
    assert differing(compare(victim="hog")) == {"victim"}


def test_size_may_be_off_by_a_tenth_and_not_by_more() -> None:
    kinds = exact(replica_of(report())).kinds

    assert differing(compare(kinds={**kinds, "anonymous": int(kinds["anonymous"] * 1.09)})) == set()
    assert differing(compare(kinds={**kinds, "anonymous": int(kinds["anonymous"] * 1.12)})) == {"anonymous memory"}


def test_small_size_may_be_off_by_a_hundredth_of_the_memory() -> None:
    kinds = exact(replica_of(report())).kinds

    assert differing(compare(kinds={**kinds, "page tables": kinds["page tables"] * 3})) == set()


def test_ranking_in_another_order_differs_and_a_tie_does_not() -> None:
    run = exact(replica_of(report()))
    parent, hog = run.holders[0], run.holders[1]
    others = run.holders[2:]
    swapped = (replace(hog, points=(parent.points or 0) + 5000), parent, *others)
    tied = (replace(hog, points=(parent.points or 0) + 100), parent, *others)

    assert differing(compare(holders=swapped)) == {"ranking"}
    assert differing(compare(holders=tied)) == set()


def test_run_without_oom_agrees_in_nothing() -> None:
    rows = compare_fingerprints(replica_of(report()), None, {})

    assert not [row.field for row in rows if row.outcome == "agrees"]


def test_what_the_guest_held_before_is_taken_off() -> None:
    scaled = replica_of(report())
    run = exact(scaled)
    more = replace(run, kinds={**run.kinds, "slab": run.kinds["slab"] + 20000})

    def slab(before: dict[str, int]) -> str:
        rows = compare_fingerprints(scaled, more, before)
        return next(row.outcome for row in rows if row.field == "slab, unreclaimable")

    assert (slab({}), slab({"slab": 20000})) == ("differs", "agrees")


def test_path_that_the_report_shows_as_a_fault_alone_agrees_with_any_fault() -> None:
    scaled = replica_of(replace(report(), path="fault"))
    run = replace(exact(scaled), path="anonymous")

    rows = {each.field: each for each in compare_fingerprints(scaled, run, {})}

    assert rows["path"].outcome == "agrees"


def test_field_that_the_report_lacks_is_left_out_with_the_reason() -> None:
    scaled = replica_of(replace(report(), victim=None))

    rows = {each.field: each for each in compare_fingerprints(scaled, exact(scaled), {})}

    assert (rows["victim"].outcome, rows["victim"].why) == ("left out", "the report does not show it")
