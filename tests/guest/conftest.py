# SPDX-License-Identifier: MIT
"""Guests for tests: rig is called as a person calls it, and after each test no QEMU of ours may be left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rig.image.apt import host_suite

# A run in a test is bounded by pytest's own time-out too; this one names the command.
COMMAND_DEADLINE = 240


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test below this directory `guest`: one without the mark would boot guests among the unit tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.guest)


@dataclass(frozen=True)
class Called:
    """A call of rig that is over."""

    status: int
    out: str
    err: str

    def run(self) -> dict[str, Any]:
        """The run.json that --json printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    def claims(self) -> dict[str, str]:
        """Claim -> its verdict."""
        return {claim["id"]: claim["verdict"] for claim in self.run()["claims"]}

    def value(self, claim: str, name: str) -> Any:
        """A value that a claim was judged on."""
        found = next(each for each in self.run()["claims"] if each["id"] == claim)
        return next(each["value"] for each in found["values"] if each["name"] == name)


Rig = Callable[..., Called]


@pytest.fixture(scope="session", autouse=True)
def one_kernel() -> Iterator[None]:
    """Let all tests boot the distribution's kernel, also when that which is built beside them is done half-way."""
    with pytest.MonkeyPatch.context() as patch:
        if "RIG_KERNEL" not in os.environ:
            patch.setenv("RIG_KERNEL", f"debian:{host_suite()}")
        yield


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a call: images and snapshots are shared, runs are the test's own."""
    return {**os.environ, "RIG_RUNS": str(tmp_path / "runs"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def rig(environment: dict[str, str]) -> Rig:
    """Call rig with these words and wait for its end."""

    def call(*words: str, cwd: Path | None = None, **variables: str) -> Called:
        done = subprocess.run(
            [sys.executable, "-m", "rig", *words],
            env={**environment, **variables},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE,
            check=False,
        )
        return Called(done.returncode, done.stdout, done.stderr)

    return call


def qemus(environment: dict[str, str]) -> set[int]:
    """Running QEMUs that a rig with this environment started; other people's are theirs."""
    mark = f"RIG_RUNS={environment['RIG_RUNS']}".encode()
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            program = (path / "exe").readlink().name
            ours = mark in (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours and program.startswith("qemu-system"):
            found.add(int(path.name))
    return found


@pytest.fixture(autouse=True)
def no_qemu_is_left(environment: dict[str, str]) -> Iterator[None]:
    yield

    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and qemus(environment):
        time.sleep(0.1)
    left = qemus(environment)
    assert not left, f"QEMU is still running: {left}"
