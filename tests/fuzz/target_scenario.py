# SPDX-License-Identifier: MIT
"""Whatever a scenario.toml has in it: it is refused with a message, or loaded, rendered to a plan and judged."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from rig.errors import RigError
from rig.klog import read
from rig.run.records import Records
from rig.scenario.build_run import build_run
from rig.scenario.evidence import Evidence
from rig.scenario.judge import judge_scenario
from rig.scenario.load import load_scenario, read_summary
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings

__all__ = ["one"]


@cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="rig-fuzz-")


def one(data: bytes) -> None:
    """Load one scenario, with a program beside it, and judge its claims over a guest that reported nothing."""
    directory = Path(_directory().name) / "scenario"
    directory.mkdir(exist_ok=True)
    (directory / "scenario.toml").write_bytes(data)
    (directory / "own.c").write_text("int main(void) { return 0; }\n")
    try:
        read_summary(directory)
        scenario = load_scenario(str(directory))
        settings = parse_settings(scenario)
        plan = render_plan(scenario, settings)
        plan.text().encode()
    except RigError:
        return
    evidence = Evidence(settings, plan, Records(), read([b""]))
    judgement = judge_scenario(scenario, evidence)
    build_run(scenario, evidence, judgement, id="x", started="").model_dump_json()
