# SPDX-License-Identifier: MIT
"""The verbs that scenarios may use are those that the agent knows, with the same keys."""

from __future__ import annotations

import re

from rig.assets import assets
from rig.scenario.verbs import VERBS

TYPE = re.compile(r'^\t\{ "(?P<type>\w+)", is_\w+,', re.MULTILINE)
ROW = re.compile(
    r'^\t\{ "(?P<verb>\w+)", "(?P<needed>[^"]*)",\s+"(?P<allowed>[^"]*)", (?P<waits>true|false),', re.MULTILINE
)
# Written by rig itself: a scenario's spawn names the program, and rig writes its command line.
OURS = {"spawn": ({"program"}, {"run"})}


def test_verbs_and_keys_are_those_of_the_agent() -> None:
    source = (assets("guest") / "agent" / "plan.c").read_text()
    rows = {row["verb"]: row for row in ROW.finditer(source)}

    assert set(VERBS) == set(rows)
    for name, row in rows.items():
        needed, allowed = (_without_types(row[column].split()) for column in ("needed", "allowed"))
        repeated = {word.rstrip("*") for word in needed | allowed if word.endswith("*")}
        words = {word.rstrip("*") for word in needed | allowed} - {"."}
        ours = VERBS[name]
        own_needed, own_allowed = OURS.get(name, (None, set()))
        waits = {"timeout"} if row["waits"] == "true" else set()
        assert ours.needed == (own_needed or {word.rstrip("*") for word in needed} | waits), name
        assert ours.allowed == words | waits | own_allowed, name
        assert ours.repeated == repeated, name
        assert ours.any_dotted == ("." in allowed), name


def test_types_of_the_keys_are_those_of_the_agent() -> None:
    agent = assets("guest") / "agent"
    types = set(TYPE.findall((agent / "values.c").read_text()))
    rows = list(ROW.finditer((agent / "plan.c").read_text()))

    named = {key.partition(":")[2] for row in rows for key in f"{row['needed']} {row['allowed']}".split()} - {""}

    assert named
    assert named <= types


def _without_types(keys: list[str]) -> set[str]:
    return {key.partition(":")[0] for key in keys}
