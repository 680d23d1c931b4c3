# SPDX-License-Identifier: MIT
"""Programs that others wrote, each by one `rig exec`: an OCI archive, a fork storm, Python's worker pools.

The whole list is in tests/benchmarks/foreign_programs.py, which measures it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmarks.foreign_programs import ROWS, start

pytestmark = pytest.mark.guest


@pytest.mark.parametrize("name", ["busybox-oci", "stress-ng-fork", "python-multiprocessing"])
def test_foreign_program_works(
    name: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable, value in environment.items():
        if os.environ.get(variable) != value:
            monkeypatch.setenv(variable, value)
    row = next(row for row in ROWS if row.name == name)
    row.prepare(tmp_path)

    done, _ = start(row, tmp_path)

    assert done.returncode == row.status, done.stderr
    assert row.worked(done), done.stdout + done.stderr
