# SPDX-License-Identifier: MIT
"""A source of futures that no guest has run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.branch.origin import Source
from rig.experiment.request import Request
from rig.scenario.load import load_scenario
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings

SCENARIO = """
title = "t"
summary = "s"

[parameters.early]
type = "int"
default = 1
help = "h"

[parameters.late]
type = "int"
default = 1
help = "h"

[[programs]]
name = "p"
source = "p.c"

[[plan.steps]]
do = "spawn"
program = "p"
arg = ["{{ early }}"]

[[plan.steps]]
do = "sample"
label = "here"

[[plan.steps]]
do = "wait_line"
program = "p"
text = "x"
timeout = 5

[[plan.steps]]
do = "sleep"
seconds = "{{ late }}"

[[plan.steps]]
do = "mark"
name = "last"

[[claims]]
id = "c"
text = "t"
expr = "True"
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    directory = tmp_path / "scenario"
    directory.mkdir()
    (directory / "scenario.toml").write_text(SCENARIO)
    (directory / "p.c").write_text("int main(void) { return 0; }\n")
    scenario = load_scenario(str(directory))
    settings = parse_settings(scenario, ["vm.swappiness=10"])
    return Source(Request(str(directory)), scenario, settings, render_plan(scenario, settings))
