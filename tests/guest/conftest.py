# SPDX-License-Identifier: MIT
"""Fixtures for tests with guests: rig runs as a user runs it, and each test checks that no QEMU of its own is left."""

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

# Seconds. pytest's own time-out bounds a test too, but the error of subprocess.run names the command that hung.
COMMAND_DEADLINE = 240


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test below this directory `guest`, so that none boots a guest among the unit tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.guest)


@dataclass(frozen=True)
class Called:
    """A finished rig process: its exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    def run(self) -> dict[str, Any]:
        """Return the run.json that --json printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    def claims(self) -> dict[str, str]:
        """Return claim id -> verdict."""
        return {claim["id"]: claim["verdict"] for claim in self.run()["claims"]}

    def value(self, claim: str, name: str) -> Any:
        """Return a value that a claim was judged on."""
        found = next(each for each in self.run()["claims"] if each["id"] == claim)
        return next(each["value"] for each in found["values"] if each["name"] == name)


Rig = Callable[..., Called]


@pytest.fixture(scope="session", autouse=True)
def one_kernel() -> Iterator[None]:
    """Boot the distribution's kernel in all tests, whatever default the user of this machine chose for rig.

    RIG_KERNEL in the environment of the test run still names another.
    """
    with pytest.MonkeyPatch.context() as patch:
        if "RIG_KERNEL" not in os.environ:
            patch.setenv("RIG_KERNEL", f"debian:{host_suite()}")
        yield


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a rig process. Tests share the cache; each has a directory of runs to itself."""
    return {**os.environ, "RIG_RUNS": str(tmp_path / "runs"), "PYTHONUNBUFFERED": "1", "RIG_PREFIX": "no"}


@pytest.fixture
def rig(environment: dict[str, str]) -> Rig:
    """Return a function that runs rig with these arguments to its end."""

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
    """Return the pids of QEMUs that a rig with this environment started. Any other QEMU on the host is left out."""
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


def qemus_that_stay(environment: dict[str, str]) -> set[int]:
    """Wait until none of these QEMUs is left, and return those that are still there after a minute."""
    deadline = time.monotonic() + 60
    while (left := qemus(environment)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@pytest.fixture(autouse=True)
def no_qemu_is_left(environment: dict[str, str]) -> Iterator[None]:
    yield

    left = qemus_that_stay(environment)
    assert not left, f"QEMU is still running: {left}"
