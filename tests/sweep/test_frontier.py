# SPDX-License-Identifier: MIT
"""The threshold search over known verdicts, its predictions, and usage errors of `rig frontier`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from rig.cli.app import _run
from rig.errors import UsageError
from rig.run.document import Claimed, Shown
from rig.scenario.load import load_scenario
from rig.scenario.settings import Settings, parse_settings
from rig.sweep.axes import Axis
from rig.sweep.directory import find_sweep
from rig.sweep.frontier.arithmetic import Asked, Foreseen, Measured, at_value, edges_between, foresee
from rig.sweep.frontier.curves import Curve, CurveEdge
from rig.sweep.frontier.document import read_frontier
from rig.sweep.frontier.keep import keep_frontier, open_frontier
from rig.sweep.frontier.predict import predict
from rig.sweep.frontier.scale import parse_scale
from rig.sweep.frontier.search import Edge, Found, find_edges
from rig.sweep.journal import append_row
from rig.sweep.row import Row
from tests.sweep import made

MB = 1 << 20


def search(verdict: Callable[[int, int], str], steps: int, **options: int) -> Found:
    async def judge(step: int, repeat: int) -> str:
        await asyncio.sleep(0)
        return verdict(step, repeat)

    found: Found = made.finish(find_edges(judge, steps, **options))
    return found


def three_parts(step: int, repeat: int) -> str:
    return "not-reproduced" if step <= 32 else "reproduced" if step <= 225 else "invalid"


def test_every_edge_is_found_to_the_step_and_named_by_its_sides() -> None:
    found = search(three_parts, 300)

    assert [(edge.low, edge.high, edge.below, edge.above) for edge in found.edges] == [
        (32, 33, "not-reproduced", "reproduced"),
        (225, 226, "reproduced", "invalid"),
    ]
    assert not any(edge.noisy for edge in found.edges)


def test_third_verdict_that_a_bisection_meets_has_two_edges() -> None:
    found = search(lambda step, _: "a" if step < 50 else "b" if step < 60 else "c", 100, scan=2)

    assert [(edge.low, edge.below, edge.above) for edge in found.edges] == [(49, "a", "b"), (59, "b", "c")]


def test_range_without_a_change_has_no_edge() -> None:
    found = search(lambda step, _: "reproduced", 300)

    assert found.edges == ()
    assert len(found.seen) == 9


def test_few_runs_find_an_edge_in_many_steps() -> None:
    found = search(lambda step, _: "a" if step < 123_456 else "b", 1 << 20)

    assert [edge.high for edge in found.edges] == [123_456]
    assert sum(len(runs) for runs in found.seen.values()) < 9 + 20 + 6


def test_noise_at_the_boundary_is_told() -> None:
    found = search(lambda step, repeat: "a" if step < 40 or (step == 40 and repeat == 1) else "b", 64)

    (edge,) = found.edges
    assert (edge.low, edge.high, edge.noisy) == (39, 40, True)
    assert edge.runs_above == ("b", "a", "b")


def test_edge_that_noise_displaced_is_where_most_runs_change() -> None:
    # At 40 the first run is the exception: the other two of three runs there give the verdict "a".
    found = search(lambda step, repeat: "b" if step > 40 or (step == 40 and repeat == 0) else "a", 64)

    (edge,) = found.edges
    assert (edge.low, edge.high, edge.noisy) == (40, 41, True)


def test_scale_walks_in_the_settings_own_unit() -> None:
    scale = parse_scale("hog=0M..300M", load_scenario("overcommit-oops"))

    assert (scale.steps, scale.text(0), scale.text(32), scale.text(300)) == (300, "0", "32M", "300M")


def test_duration_is_walked_too() -> None:
    scale = parse_scale("every=1s..3s", load_scenario("overcommit-oops"), "500ms")

    assert [scale.text(step) for step in range(scale.steps + 1)] == ["1s", "1.5s", "2s", "2.5s", "3s"]


@pytest.mark.parametrize(
    ("text", "resolution", "message"),
    [
        ("hog=1M", None, "is not a range"),
        ("hog=300M..0M", None, "range is empty"),
        ("hog=0M..8G", "1K", "the range has"),
        ("hog=0M..9T", None, "out of bounds"),
        ("hog=0M..9G", None, "out of bounds"),
        ("hog=a..b", None, "'a' is not a size"),
        ("hogg=0M..3M", None, "no axis 'hogg'"),
        ("language=c..python", None, "type choice"),
        ("memory=1M..50M", None, "1M is not a guest's memory"),
        ("memory=1..2", None, "is not a guest's memory"),
        ("memory=400M..100G", None, "100G is not a guest's memory"),
        ("cpus=0..3", None, "'0' is not a number of CPUs"),
        ("hog=0M..3M", "0", "not above zero"),
        ("hog=0M..3M", "x", "'x' is not a size"),
    ],
)
def test_range_that_is_none_is_refused(text: str, resolution: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_scale(text, load_scenario("overcommit-oops"), resolution)


PARENT = 40 * MB
ASKED = Asked(
    Fraction(PARENT), Fraction(40 * MB), Fraction(4 * MB), Fraction(192 * MB), Fraction(0), min_free=Fraction(2048)
)
KNOWN = Measured(ASKED, Fraction(153 * MB), Fraction(2 * MB), Fraction(40 * MB), judged=True)


def foreseen(field: str, low: int, high: int, **changes: Fraction) -> list[tuple[str, str, float]]:
    asked = replace(ASKED, **changes)
    found = edges_between(Fraction(low), Fraction(high), lambda x: foresee(at_value(asked, field, x), KNOWN))
    return [(each.below, each.above, round(float(each.value) / MB, 1)) for each in found]


def test_growing_hog_leaves_less_until_nothing_is_left() -> None:
    assert foreseen("hog", 0, 150 * MB) == [
        ("not-reproduced", "reproduced", 40.0),
        ("reproduced", "not-reproduced", 75.9),
        ("not-reproduced", "invalid", 79.9),
    ]


def test_growing_memory_goes_the_other_way() -> None:
    edges = foreseen("memory", 128 * MB, 256 * MB)

    assert [edge[:2] for edge in edges] == [
        ("invalid", "not-reproduced"),
        ("not-reproduced", "reproduced"),
        ("reproduced", "not-reproduced"),
    ]
    assert [edge[2] for edge in edges] == [151.4, 155.4, 192.0]


def test_growing_parent_is_missed_twice_by_its_child() -> None:
    # A parent larger by one byte leaves one byte less free, and its child has one byte more to copy.
    assert foreseen("parent", 4 * MB, 100 * MB)[0] == ("not-reproduced", "reproduced", 40.0)


def test_larger_step_does_not_fit() -> None:
    assert foreseen("step", 1 * MB, 45 * MB, parent=Fraction(41 * MB)) == [("reproduced", "not-reproduced", 39.0)]


def test_memory_that_the_kernel_keeps_free_is_missing() -> None:
    (edge, *_) = foreseen("min_free", 1024, 60 * 1024)

    assert edge[:2] == ("not-reproduced", "reproduced")
    assert edge[2] * MB == pytest.approx(2048, abs=0.06 * MB)


def test_strict_mode_refuses_parent_then_fork_then_hog() -> None:
    low, high = Fraction(10), Fraction(150)
    asked = replace(ASKED, mode=Fraction(2), hog=Fraction(41 * MB))

    edges = list(edges_between(low, high, lambda x: foresee(at_value(asked, "ratio", x), KNOWN)))

    assert [(each.below, each.above) for each in edges] == [
        ("invalid", "not-reproduced"),
        ("not-reproduced", "invalid"),
        ("invalid", "reproduced"),
    ]
    # (2 + 40) / 153, (2 + 80 + 40 / 32) / 153 and (2 + 80 + 41 + 41 / 32) / 153 percent.
    assert [round(float(each.value), 1) for each in edges] == [27.5, 54.4, 81.2]


def test_limit_in_kilobytes_stands_before_the_ratio() -> None:
    asked = replace(ASKED, mode=Fraction(2), ratio=Fraction(150), kbytes=Fraction(41 * 1024))

    assert foresee(asked, KNOWN) == "invalid"
    assert foresee(replace(asked, kbytes=Fraction(0)), KNOWN) == "not-reproduced"


def test_heuristic_mode_refuses_one_request_above_ram_and_swap() -> None:
    asked = replace(ASKED, parent=Fraction(160 * MB), hog=Fraction(0), swap=Fraction(200 * MB))

    assert foresee(asked, KNOWN) != "invalid"
    assert foresee(replace(asked, parent=Fraction(354 * MB)), KNOWN) == "invalid"


def run_of(directory: Path, hog: int, left: int | None) -> Row:
    """Return a row of a run, and write the run's directory with a first sample. hog: MB; left: bytes or None."""
    meminfo = {"MemTotal": 153 << 10, "MemAvailable": 120 << 10, "Committed_AS": 2 << 10}
    place = directory / f"run-{hog}"
    place.mkdir()
    record = {"n": 0, "t": 1.0, "ev": "sample", "label": "start", "meminfo": meminfo}
    (place / "events.jsonl").write_text(json.dumps(record) + "\n")
    values = () if left is None else (Shown(name="left", value=left, unit="bytes"),)
    claim = Claimed(id="copied-what-was-left", text="", verdict="held", values=values)
    return made.row(settings={"hog": f"{hog}M"}, claims=(claim,), run=place.name)


def predicted(rows: list[Row], over: str) -> list[float]:
    scenario = load_scenario("overcommit-oops")

    def settings_of(row: Row) -> Settings:
        sets = {"parent": "40M", "memory": "192M"} | row.settings
        return parse_settings(scenario, [f"{name}={value}" for name, value in sets.items()])

    return [round(float(each.value) / MB, 1) for each in predict(parse_scale(over, scenario), rows, settings_of)]


def test_each_edge_is_worked_out_from_the_run_nearest_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path))
    rows = [run_of(tmp_path, 42, 38 * MB), run_of(tmp_path, 72, 6 * MB), run_of(tmp_path, 0, None)]

    assert predicted(rows, "hog=0M..150M") == [40.0, 74.0, 78.0]


def test_without_an_oom_the_guest_s_available_memory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path))

    assert predicted([run_of(tmp_path, 0, None)], "hog=0M..150M") == [39.8, 75.7, 79.7]


def test_axis_without_a_rule_has_no_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path))

    assert predicted([run_of(tmp_path, 0, 38 * MB)], "every=1s..9s") == []
    assert predicted([], "hog=0M..150M") == []


def test_search_that_was_killed_is_not_taken_for_a_sweep(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path))
    directory = open_frontier("overcommit-oops", [Axis("memory", ("192M", "256M"))], [("parent", "4M")])
    append_row(directory.journal, made.row(point=1, settings={"memory": "192M", "hog": "1M"}))

    shown = _run(["results", "last"])
    resumed = _run(["sweep", "--resume", "last"])

    assert shown == 0
    assert "whether runs are missing, is not known" in caplog.text
    assert "--resume" not in caplog.text
    assert resumed == 64
    assert "that is a frontier, and only a sweep can be resumed" in capsys.readouterr().err


def test_what_was_found_is_kept_with_the_foreseen_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path))
    scenario = load_scenario("overcommit-oops")
    scale = parse_scale("hog=0M..3M", scenario)
    edge = Edge(1, 2, "not-reproduced", "reproduced", runs_below=("not-reproduced",), runs_above=("reproduced",))
    rows = tuple(made.row(point=step, settings={"memory": "192M", "hog": scale.text(step)}) for step in (1, 2))
    line = Foreseen("not-reproduced", "reproduced", Fraction(3 * MB, 2))
    found = CurveEdge(edge, "1M", "2M", "1.5M", "+0.0M", line.value, Fraction(0))
    directory = open_frontier("overcommit-oops", [Axis("memory", ("192M",))], [("parent", "4M")])
    for row in rows:
        append_row(directory.journal, row)

    kept = keep_frontier(directory, scenario, scale, [Curve((("memory", "192M"),), (found,), rows, (line,))])

    content = json.loads((kept.path / "frontier.json").read_text())
    (curve,) = content["curves"]
    assert content["axis"] == {"name": "hog", "kind": "size", "low": 0, "high": 3 * MB, "resolution": MB}
    assert curve["at"] == {"memory": "192M"}
    assert curve["foreseen"] == [{"from": "not-reproduced", "to": "reproduced", "value": 3 * MB // 2}]
    assert (curve["edges"][0]["low_value"], curve["edges"][0]["predicted_value"]) == (MB, 3 * MB // 2)
    assert [point["value"] for point in curve["points"]] == [MB, 2 * MB]
    assert read_frontier(kept.path).curves[0].edges[0].middle == 3 * MB / 2
    assert find_sweep("last").plan.axes == (Axis("memory", ("192M",)), Axis("hog", ("1M", "2M")))
