# SPDX-License-Identifier: MIT
"""Where a scenario's programs may come from, and the errors for sources that do not exist or are of another kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.scenario.load import load_scenario
from rig.scenario.plan import RenderedPlan, render_plan
from rig.scenario.settings import parse_settings

SCENARIO = """
title = "A program"
summary = "One program."

[[programs]]
name = "server"
source = "{source}"
{more}

[[plan.steps]]
do = "spawn"
program = "server"
arg = ["--flag"]

[[claims]]
id = "always"
text = "Always"
expr = "True"
"""


def rendered(directory: Path, source: str, more: str = "") -> RenderedPlan:
    (directory / "scenario.toml").write_text(SCENARIO.format(source=source, more=more))
    scenario = load_scenario(f"{directory}/")
    return render_plan(scenario, parse_settings(scenario))


def steps(plan: RenderedPlan) -> list[str]:
    return [step.text().replace("\t", " ") for step in plan.steps]


def test_package_is_a_layer_over_rigs_own_root(tmp_path: Path) -> None:
    assert steps(rendered(tmp_path, "deb:redis-server")) == [
        "root name=server layer=deb:redis-server layer=/",
        "spawn program=server arg=redis-server root=server arg=--flag",
    ]


def test_package_may_name_another_program(tmp_path: Path) -> None:
    assert "arg=redis-cli" in steps(rendered(tmp_path, "deb:redis-tools:redis-cli"))[1]


def test_image_is_a_root_of_its_own(tmp_path: Path) -> None:
    assert steps(rendered(tmp_path, "root:app:/usr/bin/app")) == [
        "root name=server layer=root:app",
        "spawn program=server arg=/usr/bin/app root=server arg=--flag",
    ]


def test_executable_lies_over_rigs_own_root_with_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "server").write_text("#!/bin/sh\n")
    (tmp_path / "server").chmod(0o755)

    plan = rendered(tmp_path, "./server")

    assert steps(plan)[0] == "root name=server layer={payload}/copy-server layer=/"
    assert "arg=/work/server" in steps(plan)[1]
    assert plan.programs[0].payload_path == "copy-server/work/server"


def test_c_program_has_libraries_and_further_files(tmp_path: Path) -> None:
    (tmp_path / "server.c").touch()
    (tmp_path / "part.c").touch()

    program = rendered(tmp_path, "server.c", 'libs = ["m", "pthread"]\nfiles = ["part.c"]').programs[0]

    assert (program.libs, [path.name for path in program.more]) == (("m", "pthread"), ["part.c"])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("deb:", "names no program"),
        ("root:app", "names no program"),
        ("root::/bin/x", "names no program"),
        ("../server", "outside the scenario's directory"),
        ("./nothing", "is missing"),
        ("notes", "neither an executable nor a script"),
    ],
)
def test_source_that_is_none_is_a_usage_error(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "notes").write_text("hello")

    with pytest.raises(UsageError, match=words):
        rendered(tmp_path, source)


@pytest.mark.parametrize("name", ["-Wl,evil", "m -static", ""])
def test_library_is_a_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "server.c").touch()

    with pytest.raises(UsageError):
        rendered(tmp_path, "server.c", f'libs = ["{name}"]')
