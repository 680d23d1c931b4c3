# SPDX-License-Identifier: MIT
"""Whatever a guest sends as records and prints on its console: the run is read, judged and written."""

from __future__ import annotations

import io
import json
import os
from functools import cache
from pathlib import Path

from rig.klog import read
from rig.report.live import PlainProgress
from rig.run.progress import show_record
from rig.scenario.build_run import build_run
from rig.scenario.evidence import Evidence
from rig.scenario.judge import judge_scenario
from rig.scenario.load import Scenario, load_scenario
from rig.scenario.plan import RenderedPlan, render_plan
from rig.scenario.settings import Settings, parse_settings
from rig.telemetry.holders import held
from rig.telemetry.records import read_records
from rig.telemetry.stall import find_stalls
from rig.telemetry.timeline import write_timeline

__all__ = ["one"]

SCENARIOS = ("overcommit-oops", "fd-passing", "memory-is-copied", "oom-victim", "overcommit-in-cgroup", "fork-fails")
CONSOLE = b"\n--\n"
"""What stands between the records and the console. The line above the records names the scenario."""


@cache
def _prepared(name: str) -> tuple[Scenario, Settings, RenderedPlan]:
    scenario = load_scenario(name)
    settings = parse_settings(scenario)
    return scenario, settings, render_plan(scenario, settings)


def one(data: bytes) -> None:
    """Judge one run."""
    name, _, rest = data.partition(b"\n")
    lines, _, console = rest.partition(CONSOLE)
    scenario, settings, plan = _prepared(next((each for each in SCENARIOS if each.encode() == name), SCENARIOS[0]))
    records = read_records(lines)
    evidence = Evidence(settings, plan, records, read([console]))
    stalls = find_stalls(records)
    held(records)
    write_timeline(records, Path(os.devnull))
    judgement = judge_scenario(scenario, evidence)
    document = build_run(scenario, evidence, judgement, id="x", started="", stalls=stalls).model_dump_json()
    assert json.loads(document)["verdict"] == judgement.verdict
    for record in records.items:
        show_record(record, PlainProgress(io.StringIO()))
