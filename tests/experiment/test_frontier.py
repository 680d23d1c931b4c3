"""The search for edges over verdicts that are known, and what of a frontier's call is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rig.errors import WrongCall
from rig.experiment.frontier.predict import predict
from rig.experiment.frontier.scale import parse_scale
from rig.experiment.frontier.search import Edge, Found, find_edges
from rig.run.model import Claimed, Shown
from rig.scenario.load import load_scenario
from tests.experiment import made

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
    # The first look at 40 is the exception; two of three runs there say otherwise.
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
    ("text", "resolution", "said"),
    [
        ("hog=1M", None, "is no range"),
        ("hog=300M..0M", None, "range is empty"),
        ("hog=0M..9T", None, "steps in the range"),
        ("hog=0M..9G", None, "out of bounds"),
        ("hog=a..b", None, "'a' is not a size"),
        ("hogg=0M..3M", None, "no axis 'hogg'"),
        ("language=c..python", None, "type choice"),
        ("hog=0M..3M", "0", "not above zero"),
        ("hog=0M..3M", "x", "'x' is not a size"),
    ],
)
def test_range_that_is_none_is_refused(text: str, resolution: str | None, said: str) -> None:
    with pytest.raises(WrongCall, match=said):
        parse_scale(text, load_scenario("overcommit-oops"), resolution)


def reproduced(hog: str, left: int) -> object:
    claim = Claimed(
        id="copied-what-was-left", text="", verdict="held", values=(Shown(name="left", value=left, unit="bytes"),)
    )
    return made.row(settings={"hog": hog}, claims=(claim,))


def test_arithmetic_of_a_neighbour_gives_each_edge() -> None:
    rows = [reproduced("40M", 190 * MB), reproduced("220M", 10 * MB)]
    parameters = {"parent": 200 * MB, "step": 4 * MB}

    def at(below: str, above: str) -> float | None:
        return predict(Edge(0, 1, below, above), "hog", rows, parameters)  # type: ignore[arg-type] # rows are rows

    assert at("not-reproduced", "reproduced") == 30 * MB
    assert at("reproduced", "not-reproduced") == 226 * MB
    assert at("reproduced", "invalid") == 230 * MB


def test_axis_without_a_rule_has_no_prediction() -> None:
    assert predict(Edge(0, 1, "invalid", "reproduced"), "parent", [], {"parent": 1, "step": 1}) is None
