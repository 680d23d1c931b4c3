# SPDX-License-Identifier: MIT
"""The lists of rig as JSON (`--json`): scenarios, runs, the cache. Keys may be added; none is renamed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from textwrap import indent
from typing import TYPE_CHECKING, Any

from rig.errors import RigError
from rig.sanitize import for_json
from rig.scenario.load import Scenario, load_scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rig.image.entry import Entry
    from rig.run.directory import Listed

__all__ = ["cache_entry", "print_array", "print_json", "run_entry", "scenario_document", "scenario_entry"]


def print_json(document: object) -> None:
    """Print a document as JSON."""
    print(for_json(json.dumps(document, indent=1, ensure_ascii=False)))


def print_array(entries: Iterable[object], *, default: Callable[[Any], Any] | None = None) -> None:
    """Print a JSON array as print_json() does, one entry at a time: the entries need not fit into memory together.

    default: called with a value that JSON has no form for; returns one that it has.
    """
    before = "["
    for entry in entries:
        text = for_json(json.dumps(entry, indent=1, default=default, ensure_ascii=False))
        print(before, indent(text, " "), sep="\n", end="")
        before = ","
    print("[]" if before == "[" else "\n]")


def scenario_entry(directory: Path) -> dict[str, Any]:
    """Return the entry of a scenario in `rig list`; an invalid scenario has the key `problem`."""
    try:
        scenario = load_scenario(str(directory))
    except RigError as error:
        return {"name": directory.name, "problem": str(error)}
    return {
        "name": directory.name,
        "title": scenario.file.title,
        "summary": scenario.file.summary,
        "parameters": list(scenario.parameters),
    }


def scenario_document(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as `rig show` prints it: values as in scenario.toml, the guest's sizes in bytes."""
    file = scenario.file
    return {
        "name": scenario.name,
        "path": str(scenario.path),
        "title": file.title,
        "summary": file.summary,
        "story": scenario.story(),
        "parameters": {
            name: each.model_dump(mode="json", exclude_none=True) for name, each in scenario.parameters.items()
        },
        "guest": file.guest.model_dump(mode="json"),
        "sysctls": file.sysctls,
        "claims": [
            {
                "id": each.claim.id,
                "kind": each.claim.kind,
                "text": each.claim.text,
                "expr": each.expr.text,
                "when": None if each.when is None else each.when.text,
            }
            for each in scenario.claims
        ],
    }


def run_entry(listed: Listed) -> dict[str, Any]:
    """Return the entry of a run in `rig runs`; a run that cannot be read has the key `problem`."""
    if listed.run is None:
        return {"id": listed.id, "path": str(listed.directory), "problem": listed.problem}
    run = listed.run
    return {
        "id": listed.id,
        "path": str(listed.directory),
        "started": run.started,
        "scenario": run.scenario,
        "settings": dict(run.settings),
        "verdict": run.verdict,
        "host_seconds": run.host_seconds,
        "guest_seconds": run.guest_seconds,
    }


def cache_entry(entry: Entry) -> dict[str, Any]:
    """Return an entry of the cache; size in bytes, used: when it was used last."""
    used = datetime.fromtimestamp(entry.used, UTC).isoformat(timespec="seconds")
    return {"key": entry.key, "kind": entry.kind, "size": entry.size, "used": used, "about": entry.about}
