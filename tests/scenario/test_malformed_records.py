# SPDX-License-Identifier: MIT
"""Records with fields of the wrong type are counted, and end neither the reading nor the judgement nor a view."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rig.report.live import PlainProgress, TerminalProgress
from rig.run.progress import show_record
from rig.scenario.build_run import build_run
from rig.scenario.judge import judge_scenario
from rig.telemetry.stall import find_stalls
from rig.telemetry.timeline import write_timeline
from tests.scenario.recorded import recorded

VALUES: tuple[Any, ...] = (
    None, "x", -1, 10**400, 1 << 63, 1e300, True, [1], [[]], ["a", "b"], {"a": 1}, {"": {"": []}}, "9" * 5000,
)  # fmt: skip
Path_ = tuple[str | int, ...]


def _paths(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if at or name not in ("n", "t", "ev"):
                yield (*at, name)
                yield from _paths(inner, (*at, name))
    elif isinstance(value, list) and value:
        yield (*at, 0)
        yield from _paths(value[0], (*at, 0))


def _with(record: dict[str, Any], path: Path_, value: Any) -> dict[str, Any]:
    changed = json.loads(json.dumps(record))
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return {**changed, "malformed": True}


def _beside_each(records: tuple[dict[str, Any], ...], value: Any) -> Iterator[dict[str, Any]]:
    """Give the records, each followed by copies of it in which one field has that value."""
    done = set()
    for record in records:
        yield record
        for path in _paths(record):
            if (record["ev"], path) not in done and path[:1] not in (("meminfo",), ("vmstat",)):
                done.add((record["ev"], path))
                yield _with(record, path, value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: str(value)[:12])
@pytest.mark.parametrize("name", ["memory-is-copied", "fd-passing"])
def test_field_of_the_wrong_type_ends_nothing(name: str, value: Any, tmp_path: Path) -> None:
    run = recorded(name)
    changed = run.with_records(_beside_each(run.records, value))
    terminal = TerminalProgress(Console(file=io.StringIO(), force_terminal=True, width=80))

    evidence = changed.evidence()
    stalls = find_stalls(evidence.records)
    write_timeline(evidence.records, tmp_path / "timeline.csv")
    judgement = judge_scenario(run.scenario, evidence)
    document = build_run(run.scenario, evidence, judgement, id="x", started="", stalls=stalls).model_dump_json()
    for record in evidence.records.items:
        show_record(record, PlainProgress(io.StringIO()))
        show_record(record, terminal)
        terminal._render()

    assert json.loads(document)["verdict"]
    assert len(evidence.records.items) + evidence.records.bad_lines == len(changed.records)
