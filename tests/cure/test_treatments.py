# SPDX-License-Identifier: MIT
"""What each remedy changes in a run: the doses, and whether they can be given late."""

from __future__ import annotations

import asyncio
from io import BytesIO

import pytest

from rig.cure.cure import cure
from rig.cure.treatments import Treatment, not_played, own_treatment, treatments_for
from rig.cure.trial import Patient, with_service
from rig.errors import UsageError
from rig.klog import OomEvent, read
from rig.run.document import OomReport, Ranked, Run
from rig.run.progress import NullProgress
from rig.scenario.load import load_scenario
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings
from tests.klog import made

VICTIM = Ranked(
    pid=84, name="hog", points=52122, rss=52011, swap=0, page_tables=111, oom_score_adj=0, killed=True, ours=True
)
RUN = Run(id="x", scenario="x", started="", verdict="reproduced", ooms=(OomReport(ranking=(VICTIM,)),))


def treatments(scenario: str, cgroup: str | None = None, only: tuple[str, ...] = ()) -> dict[str, Treatment]:
    loaded = load_scenario(scenario)
    event = next(
        e for e in read(BytesIO(made.serial(made.oom_report(cgroup=cgroup)))).events if isinstance(e, OomEvent)
    )
    return {each.name: each for each in treatments_for(event, loaded, parse_settings(loaded), RUN, only)}


def test_machine_that_processes_filled_has_at_least_twelve() -> None:
    found = treatments("overcommit-oops")

    assert len(found) >= 12
    assert {"memory", "swap", "zram", "vm.overcommit_memory", "oom_score_adj of hog", "hog", "parent"} <= set(found)


def test_doses_grow() -> None:
    memory = treatments("overcommit-oops")["memory"]

    assert [dose.text for dose in memory.doses] == [
        "memory=544M", "memory=576M", "memory=640M", "memory=768M", "memory=1G",
    ]  # fmt: skip


def test_sysctl_is_given_late_and_a_promise_from_the_beginning() -> None:
    found = treatments("overcommit-oops")

    assert not found["vm.min_free_kbytes"].early
    assert found["vm.overcommit_memory"].early
    assert found["memory"].early


def test_score_is_that_of_the_process_that_was_killed() -> None:
    dose = treatments("overcommit-oops")["oom_score_adj of hog"].doses[-1]

    assert dict(dose.acts[0].words) == {"path": "/proc/84/oom_score_adj", "value": "-999"}


def test_limit_of_a_cgroup_is_raised_in_steps_from_its_own() -> None:
    found = treatments("overcommit-in-cgroup", cgroup="/service")

    assert found["memory.max of service"].doses[0].text == "service memory.max=136M"
    assert {"memory.swap.max of service", "memory.high of service", "memory.oom.group of service"} <= set(found)
    assert "memory" not in found


def test_limit_is_that_of_the_plan_and_not_another_parameter_of_that_name() -> None:
    scenario = load_scenario("fork-fails")
    event = next(e for e in read(BytesIO(made.serial(made.oom_report(cgroup="/full")))).events)
    settings = parse_settings(scenario, ["by=shortage"])
    limits = [dict(step.words).get("memory.max") for step in render_plan(scenario, settings).steps]

    [found] = treatments_for(event, scenario, settings, RUN, ("memory.max",))

    assert [str(found.none)] == [limit for limit in limits if limit is not None]


def test_named_remedy_is_tried_whether_it_fits_or_not() -> None:
    assert set(treatments("overcommit-oops", only=("swappiness",))) == {"vm.swappiness=100", "vm.swappiness=0"}


def test_own_idea_is_one_dose() -> None:
    assert own_treatment("vm.swappiness=1").doses[0].sets == ("vm.swappiness=1",)


def test_what_no_run_can_try_is_said() -> None:
    event = next(e for e in read(BytesIO(made.serial(made.oom_report()))).events if isinstance(e, OomEvent))

    assert any("earlyoom" in each for each in not_played(event, ()))
    assert not_played(event, (), ("swap",)) == ()


@pytest.mark.parametrize("choice", ["method=posix_spawn", "method=vfork"])
def test_way_to_spawn_is_tried_where_the_scenario_has_a_parameter_for_it(choice: str) -> None:
    found = treatments("fork-remedies", only=("spawn-without-fork",))

    assert found[choice].doses[0].sets == (choice,)
    assert treatments("oom-victim", only=("spawn-without-fork",)) == {}


def test_advice_that_is_given_already_is_not_tried() -> None:
    assert treatments("fork-remedies", only=("dont-fork",)) == {}


def test_user_space_killer_is_started_before_the_scenarios_programs() -> None:
    scenario = load_scenario("overcommit-oops")
    settings = parse_settings(scenario)
    [killer] = treatments("overcommit-oops", only=("user-space-killer",)).values()

    plan = with_service(scenario, settings, render_plan(scenario, settings), killer.doses[-1].service)

    spawned = [dict(step.words)["program"] for step in plan.steps if step.verb == "spawn"]
    assert spawned[0] == "earlyoom"
    assert [step.verb for step in plan.steps].index("root") < [step.verb for step in plan.steps].index("spawn")
    assert "deb:earlyoom" in {program.made_from for program in plan.programs}


@pytest.mark.parametrize(
    ("only", "also", "message"),
    [(("swop",), (), "there is no remedy 'swop'"), ((), ("nonsense=1",), "has no parameter 'nonsense'")],
)
def test_bad_call_starts_no_guest(only: tuple[str, ...], also: tuple[str, ...], message: str) -> None:
    patient = Patient("overcommit-oops", load_scenario("overcommit-oops"))

    with pytest.raises(UsageError, match=message):
        asyncio.run(cure(patient, NullProgress(), only=only, also=also))
