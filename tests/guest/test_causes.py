# SPDX-License-Identifier: MIT
"""Memory that runs out for a known cause, in a guest: the explanation of what its console prints names that cause."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.image.hosttools import tool
from rig.klog import read
from rig.klog.explain import explain
from tests.guest.conftest import Rig
from tests.klog import causes
from tests.klog.causes import TABLE

pytestmark = pytest.mark.guest

LIVE = ("ramfs", "messages", "page-tables", "huge-pages", "movable-zone", "cgroup-ancestor")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return cause.c, built static."""
    built = tmp_path_factory.mktemp("cause") / "cause"
    source = Path(causes.__file__).with_name("cause.c")
    subprocess.run(
        [tool("cc"), "-std=gnu11", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", built, source], check=True
    )
    return built


@pytest.mark.parametrize("name", LIVE)
def test_cause_that_is_made_is_the_one_that_is_named(name: str, rig: Rig, program: Path, tmp_path: Path) -> None:
    made = TABLE[name]

    called = rig("exec", "--no-record", "--expect", "oom", *made.options, "--", "./cause", made.way, cwd=program.parent)

    assert called.status == 0, called.err
    (console,) = tmp_path.glob("runs/*/console.log")
    event = next(event for event in read([console.read_bytes()]).events if event.kind == made.kind)
    assert explain(event).cause == made.cause
