# SPDX-License-Identifier: MIT
"""Output of `rig list`, `rig show` and `rig runs`."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console, RenderableType

from rig.report.catalogue import runs_table, scenario_page, scenarios_table
from rig.run.directory import Listed
from rig.run.document import Run
from rig.scenario.load import list_scenarios, load_scenario


def printed(*parts: RenderableType) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=160)
    for part in parts:
        console.print(part)
    return stream.getvalue()


def test_list_has_every_scenario_with_its_summary() -> None:
    text = printed(scenarios_table(list_scenarios()))

    assert "overcommit-oops" in text
    assert "A parent fills memory and forks." in text


def test_list_reads_a_summary_that_stands_anywhere(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "scenario.toml").write_text('title = "t"\nsummary = """\n[one]"""\n[guest]\nx = 1')

    text = printed(scenarios_table([tmp_path / "mine"]))

    assert "broken: unknown key 'x'" in text


def test_list_says_which_scenario_is_broken(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "scenario.toml").write_text("x = 1")

    text = printed(scenarios_table([tmp_path / "mine"]))

    assert "broken: unknown key 'x'" in text


def test_page_has_story_parameters_and_claims() -> None:
    text = printed(*scenario_page(load_scenario("overcommit-oops")))

    assert "The memory that fork promised is called in" in text
    assert "how long the child waits between two steps" in text
    assert "c | python" in text
    assert "the fork itself cost less than 5 MB" in text
    assert "cost < max(5, params.parent" in text
    assert "when guest.zram == 0" in text


def test_runs_show_their_settings_and_a_damaged_one_its_problem() -> None:
    run = Run(
        id="a", scenario="overcommit-oops", started="2025-01-31T12:00:00+00:00", verdict="reproduced",
        settings={"every": "5s"}, host_seconds=2.31,
    )  # fmt: skip

    text = printed(runs_table([Listed("a", Path("a"), run), Listed("b", Path("b"), None, "not a run")]))

    assert "every=5s" in text
    assert "2.3 s" in text
    assert "not a run" in text
