# SPDX-License-Identifier: MIT
"""The step of the action that runs a scenario, with rig and a guest, as GitHub's runner runs it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.ci.job import ACTION, Job

pytestmark = pytest.mark.guest


def test_job_leaves_verdict_explanation_report_and_results(tmp_path: Path) -> None:
    # The script calls the rig of its own checkout; here that is the one under test.
    root = tmp_path / "action"
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".ci").mkdir()
    shutil.copy(ACTION.parent / ".ci/job", root / ".ci/job")
    (root / ".venv/bin/python").symlink_to(sys.executable)
    (root / ".venv/bin/rig").write_text(f'#!/bin/sh\nexec {sys.executable} -m rig "$@"\n')
    (root / ".venv/bin/rig").chmod(0o755)
    job = Job(root, tmp_path / "runner")

    options = "--memory 208M --set parent=40M --set hog=70M --set every=1ms"
    done = job.run_step("run", scenario="overcommit-oops", options=options, artifact="rig")

    assert done.returncode == 0, done.stderr
    assert job.outputs()["verdict"] == "reproduced"
    assert "</html>" in Path(job.outputs()["report"]).read_text()
    assert "oom-came" in (job.temp / "rig-rig/rig.xml").read_text()
    summary = job.summary.read_text()
    assert summary.startswith("### overcommit-oops: reproduced")
    assert "| ✓ | oom-came | held | invoker&#58; child" in summary
    assert "<summary>What the kernel said, explained</summary>" in summary
