# SPDX-License-Identifier: MIT
"""The plan is the protocol's text: escaped, bounded, and without the steps that do not apply."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.scenario.load import load_scenario
from rig.scenario.plan import RenderedPlan, RenderedStep, render_plan
from rig.scenario.settings import parse_settings


def plan(*sets: str, to_the_end: bool = False) -> RenderedPlan:
    scenario = load_scenario("overcommit-oops")
    return render_plan(scenario, parse_settings(scenario, sets, to_the_end=to_the_end))


def own_scenario(tmp_path: Path, programs: str, steps: str) -> str:
    (tmp_path / "scenario.toml").write_text(
        f'title = "t"\nsummary = "s"\n[parameters.x]\ntype = "text"\ndefault = ""\nhelp = "h"\n{programs}\n'
        f'[plan]\nsteps = [{steps}]\n[[claims]]\nid = "c"\ntext = "t"\nexpr = "len(steps) > 0"\n'
    )
    return str(tmp_path)


def test_a_value_cannot_break_out_of_its_word() -> None:
    step = RenderedStep("mark", (("name", "a\tb\nsignal\tprogram=x\\"),))

    assert step.text() == "mark\tname=a\\tb\\nsignal\\tprogram=x\\\\"


def test_parameter_with_a_newline_stays_one_step(tmp_path: Path) -> None:
    scenario = load_scenario(own_scenario(tmp_path, "", '{ do = "mark", name = "{{ x }}" }'))

    rendered = render_plan(scenario, parse_settings(scenario, ["x=1\nend\treason=lie"]))

    assert rendered.text() == "mark\tname=1\\nend\\treason=lie\n"


def test_sysctls_and_swap_come_first() -> None:
    lines = plan("vm.panic_on_oom=1", "swap=64M", "zram=32M").text().splitlines()

    assert lines[:3] == [
        "sysctl\tname=vm.panic_on_oom\tvalue=1",
        "swapon\tpath=/dev/vda\tmkswap=1",
        f"swapon\tzram={32 << 20}",
    ]


def test_program_is_started_from_the_payload_with_its_arguments() -> None:
    rendered = plan("every=500ms")

    spawn = next(step for step in rendered.steps if step.verb == "spawn")

    assert spawn.words == (
        ("program", "cow-writer"),
        ("arg", "{payload}/bin/cow-writer"),
        ("stdin", "plan"),
        ("arg", f"--size={200 << 20}"),
        ("arg", "--told"),
    )
    told = next(step for step in rendered.steps if step.verb == "tell")
    assert dict(told.words)["text"] == f"step={4 << 20} every=0.5"


def test_option_that_a_template_leaves_empty_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "own.py").touch()
    programs = '[[programs]]\nname = "own"\nsource = "own.py"'
    step = """{ do = "spawn", program = "own", arg = ["{{ '--loud' if x == 'yes' }}", "last"] }"""
    scenario = load_scenario(own_scenario(tmp_path, programs, step))

    quiet, loud = (render_plan(scenario, parse_settings(scenario, [f"x={x}"])) for x in ("no", "yes"))

    assert [value for _, value in quiet.steps[0].words[3:]] == ["last"]
    assert [value for _, value in loud.steps[0].words[3:]] == ["--loud", "last"]


def test_step_is_repeated_with_its_number(tmp_path: Path) -> None:
    step = '{ do = "mark", name = "{{ item }} of {{ x }}", repeat = "{{ x }}" }'
    scenario = load_scenario(own_scenario(tmp_path, "", step))

    assert render_plan(scenario, parse_settings(scenario, ["x=2"])).text() == "mark\tname=1 of 2\nmark\tname=2 of 2\n"
    assert render_plan(scenario, parse_settings(scenario, ["x=0"])).text() == ""
    with pytest.raises(UsageError, match="not a number from 0 to 1000"):
        render_plan(scenario, parse_settings(scenario, ["x=100000"]))


@pytest.mark.parametrize(
    ("step", "refused"),
    [
        ("""{ do = "mark", name = "{{ 'x' * 60000 }}", repeat = 1000 }""", "larger than the 128 KiB"),
        ("""{ do = "mark", name = "a", repeat = "{{ '9' * 60000 }}" }""", "not a number from 0 to 1000"),
    ],
)
def test_plan_that_would_fill_memory_is_refused_with_its_step(step: str, refused: str, tmp_path: Path) -> None:
    scenario = load_scenario(own_scenario(tmp_path, "", step))

    with pytest.raises(UsageError, match=refused) as raised:
        render_plan(scenario, parse_settings(scenario))

    assert "plan.steps[0] (mark)" in str(raised.value.where)
    assert len(raised.value.what) < 200


@pytest.mark.parametrize(("last", "sets", "fits"), [(11037, (), True), (11038, (), False), (11037, ("vm.x=1",), False)])
def test_plan_with_all_its_steps_is_as_large_as_the_agent_takes(
    last: int, sets: tuple[str, ...], fits: bool, tmp_path: Path
) -> None:
    """The agent refuses a plan of 131,071 bytes: three lines with 11 bytes of their own, and a sysctl of the caller."""
    steps = ", ".join(f"""{{ do = "mark", name = "{{{{ 'x' * {size} }}}}" }}""" for size in (60000, 60000, last))
    scenario = load_scenario(own_scenario(tmp_path, "", steps))
    settings = parse_settings(scenario, sets)

    if fits:
        assert len(render_plan(scenario, settings).text()) == 131070
        return
    with pytest.raises(UsageError, match="larger than the 128 KiB") as raised:
        render_plan(scenario, settings)
    assert raised.value.remedy


def test_python_program_is_run_by_the_guests_python() -> None:
    rendered = plan("language=python")

    spawn = next(step for step in rendered.steps if step.verb == "spawn")
    assert spawn.words[1:3] == (("arg", "/usr/bin/python3"), ("arg", "{payload}/bin/cow-writer.py"))
    assert rendered.programs[0].language == "python"
    assert rendered.programs[0].origin == "guest"


def test_run_ends_when_its_claims_are_decided_unless_asked_to_go_on() -> None:
    assert "end\treason=decided" in plan().text()
    assert "end\treason=decided" not in plan(to_the_end=True).text()


def test_without_a_hog_no_step_speaks_of_it() -> None:
    assert "hog" not in plan("hog=0").text().replace("label=hogging", "").replace("name=hogging", "")


def test_missing_program_file_names_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "teller.py").touch()
    programs = '[[programs]]\nname = "w"\nsource = "teler.py"'
    scenario = load_scenario(own_scenario(tmp_path, programs, '{ do = "spawn", program = "w" }'))

    with pytest.raises(UsageError) as caught:
        render_plan(scenario, parse_settings(scenario))

    assert "'teler.py' is missing" in caught.value.what
    assert caught.value.remedy == "did you mean 'teller.py'?"


def test_unknown_guest_program_names_what_was_probably_meant(tmp_path: Path) -> None:
    programs = '[[programs]]\nname = "h"\nsource = "hogg"'
    scenario = load_scenario(own_scenario(tmp_path, programs, '{ do = "spawn", program = "h" }'))

    with pytest.raises(UsageError) as caught:
        render_plan(scenario, parse_settings(scenario))

    assert "did you mean 'hog.c'" in (caught.value.remedy or "")


@pytest.mark.parametrize("source", ["../secret.py", "/etc/passwd.c"])
def test_source_outside_the_directory_is_refused(tmp_path: Path, source: str) -> None:
    programs = f'[[programs]]\nname = "w"\nsource = "{source}"'
    scenario = load_scenario(own_scenario(tmp_path, programs, '{ do = "spawn", program = "w" }'))

    with pytest.raises(UsageError, match="outside the scenario's directory"):
        render_plan(scenario, parse_settings(scenario))


@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "inf"])
def test_wait_that_is_not_bounded_is_refused(tmp_path: Path, timeout: str) -> None:
    steps = f'{{ do = "wait_any", oom = true, timeout = "{timeout}" }}'
    scenario = load_scenario(own_scenario(tmp_path, "", steps))

    with pytest.raises(UsageError, match="not a number of seconds above zero"):
        render_plan(scenario, parse_settings(scenario))


def test_template_cannot_reach_into_python(tmp_path: Path) -> None:
    scenario = load_scenario(own_scenario(tmp_path, "", '{ do = "mark", name = "{{ x.__class__.__mro__ }}" }'))

    with pytest.raises(UsageError, match="cannot be rendered"):
        render_plan(scenario, parse_settings(scenario))
