# SPDX-License-Identifier: MIT
"""A program that prints more than rig keeps: the run is still judged, and reports how much output it dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest

SCENARIO = """
title = "Noise"
summary = "A program that prints much."

[[programs]]
name = "noise"
source = "noise.c"

[[plan.steps]]
do = "spawn"
program = "noise"

[[plan.steps]]
do = "wait_exit"
program = "noise"
timeout = 900

[[claims]]
id = "it-ended"
text = "The program came to its end"
expr = "len(exits) == 1"

[[claims]]
id = "all-was-printed"
text = "All its lines are there"
expr = "len(lines_of('noise')) == BYTES / 100"
"""

PROGRAM = r"""
#include <stdio.h>
int main(void)
{
	for (long left = BYTES; left > 0; left -= 100)
		printf("%099ld\n", left);
	return 0;
}
"""


@pytest.mark.parametrize(("size", "verdict"), [(2_000_000, "held"), (12_000_000, "invalid")])
def test_program_that_prints_much_is_judged(size: int, verdict: str, rig: Rig, tmp_path: Path) -> None:
    directory = tmp_path / "noise"
    directory.mkdir()
    (directory / "scenario.toml").write_text(SCENARIO.replace("BYTES", str(size)))
    (directory / "noise.c").write_text(PROGRAM.replace("BYTES", str(size)))

    called = rig("run", str(directory), "--memory", "128M", "--json")
    replayed = rig("replay", "last", "-q")

    held = dict.fromkeys(("plan-ran", "programs-lived", "it-ended"), "held")
    assert called.claims() == {**held, "all-was-printed": verdict}, called.err
    [events] = (tmp_path / "runs").glob("*/events.jsonl")
    assert events.stat().st_size < 17 << 20
    assert bool(called.run()["left_out"]) == (verdict == "invalid")
    assert json.loads(events.read_text().splitlines()[-1])["ev"] == "end"
    assert replayed.status == 0, replayed.out + replayed.err
