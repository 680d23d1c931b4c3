# SPDX-License-Identifier: MIT
"""What runs in the guest, built once and run here: plans and programs with small sizes, no QEMU."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Record = dict[str, Any]
RunPlan = Callable[..., "PlanRun"]

COW_WRITER = "{payload}/programs/cow-writer"
HOG = "{payload}/programs/hog"


class PlanRun:
    """What a plan run on this machine said: its records, standard error and exit status."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status = done.returncode
        self.stderr = done.stderr
        self.records: list[Record] = [json.loads(line) for line in done.stdout.splitlines()]

    def of(self, ev: str) -> list[Record]:
        return [record for record in self.records if record["ev"] == ev]

    def step(self, index: int) -> Record:
        return next(record for record in self.of("step") if record["i"] == index)

    def lines(self, stream: str = "stdout") -> list[str]:
        return [record["text"] for record in self.of("line") if record["stream"] == stream]


def step(verb: str, *words: str) -> str:
    """Return a line of a plan."""
    return "\t".join([verb, *words]) + "\n"


def shell(script: str, program: str = "sh") -> str:
    return step("spawn", f"program={program}", "arg=/bin/sh", "arg=-c", f"arg={script}")


def spawn_cow_writer(*args: str) -> str:
    return step("spawn", "program=w", f"arg={COW_WRITER}", *(f"arg={arg}" for arg in args))


@pytest.fixture
def run_plan(build: Path, tmp_path: Path) -> RunPlan:
    def run(*steps: str, timeout: float = 60) -> PlanRun:
        plan = tmp_path / "plan"
        plan.write_text("".join(steps))
        return PlanRun(
            subprocess.run(
                [build / "rig-agent", "--run", plan, build],
                capture_output=True, text=True, timeout=timeout, check=False,
            )
        )  # fmt: skip

    return run


@pytest.fixture
def check_plan(build: Path, tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    def check(text: str) -> subprocess.CompletedProcess[str]:
        plan = tmp_path / "plan"
        plan.write_bytes(text.encode())
        return subprocess.run([build / "rig-agent", "--check", plan], capture_output=True, text=True, check=False)

    return check
