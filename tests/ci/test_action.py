# SPDX-License-Identifier: MIT
"""The action for GitHub and the component for GitLab: valid by their schemas, and their steps run as the services run them.

rig itself is a stand-in here. tests/guest/test_action.py runs the same step with rig and a guest.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.ci.job import ACTION, Job, steps
from tests.ci.test_ci_files import ROOT, checked

COMPONENT = ROOT / "templates/rig.yml"
STAND_IN = """\
#!/bin/bash
echo "$@" >>"${0%/*}/calls"
case $1 in
run)
    [ "$2" != nosuch ] || exit 64
    mkdir -p "$RIG_RUNS/one"
    echo '{"verdict": "not-reproduced"}' >"$RIG_RUNS/one/run.json"
    exit 1
    ;;
explain) printf 'oom: child\\n````\\n# not a heading\\n' ;;
esac
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A checkout of the action in which rig is a stand-in that finds a run not reproduced."""
    root = tmp_path / "action"
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/job", root / ".ci/job")
    (root / ".venv/bin/rig").write_text(STAND_IN)
    (root / ".venv/bin/rig").chmod(0o755)
    (root / ".venv/bin/python").symlink_to(sys.executable)
    return Job(root, tmp_path / "runner")


def test_action_is_valid_by_githubs_schema() -> None:
    done = checked(ROOT / "action.yml", ("--builtin-schema", "vendor.github-actions"))

    assert done.returncode == 0, done.stdout


def test_component_is_valid_by_gitlabs_schema(tmp_path: Path) -> None:
    # The schema is of one document. A component has two: its inputs, and its jobs.
    inputs, jobs = tmp_path / "inputs.yml", tmp_path / "jobs.yml"
    for path, text in zip((inputs, jobs), COMPONENT.read_text().split("\n---\n"), strict=True):
        path.write_text(text)

    done = checked(jobs, ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(inputs)))

    assert done.returncode == 0, done.stdout


def test_failed_claims_fail_the_step_and_leave_verdict_report_and_explanation(job: Job) -> None:
    done = job.run_step(
        "run", scenario="overcommit-oops", options="--set hog=70M\n  --kernel debian:trixie\n", artifact="a"
    )

    assert done.returncode == 1, done.stderr
    runs = job.temp / "rig-a"
    calls = (job.root / ".venv/bin/calls").read_text().splitlines()
    assert calls[0] == f"run overcommit-oops --set hog=70M --kernel debian:trixie --junit {runs}/rig.xml"
    assert calls[1] == f"report {runs}/one/"
    assert job.outputs() == {"verdict": "not-reproduced", "report": f"{runs}/one/report.html"}
    summary = job.summary.read_text()
    assert "````text\noom: child\n\n# not a heading\n````" in summary


def test_usage_error_is_the_steps_status_and_its_verdict_an_error(job: Job) -> None:
    done = job.run_step("run", scenario="nosuch", options="", artifact="a")

    assert done.returncode == 64
    assert job.outputs() == {"verdict": "error"}


def test_input_of_a_workflow_is_never_a_command(job: Job, tmp_path: Path) -> None:
    made = tmp_path / "made"

    job.run_step("run", scenario=f"$(touch {made})", options=f"; touch {made} `touch {made}`", artifact="a")

    assert not made.exists()
    assert all("${{" not in step.get("run", "") for step in steps())


def test_caches_of_both_hold_images_and_kernels_alone() -> None:
    (github,) = [step["with"] for step in steps() if str(step.get("uses", "")).startswith("actions/cache")]
    gitlab = list(YAML(typ="safe").load_all(COMPONENT))[1]["$[[ inputs.job ]]"]["cache"]["paths"]

    kept = {"initramfs", "kernel", "refs", "rootfs", "toolchain"}
    assert {Path(path).name for path in github["path"].split()} == kept
    assert {Path(path).name for path in gitlab} == kept


def test_component_runs_what_the_action_runs() -> None:
    found = list(YAML(typ="safe").load_all(COMPONENT))[1]["$[[ inputs.job ]]"]

    assert found["before_script"][-1] == "/tmp/rig/.ci/job install"
    assert found["script"] == ["/tmp/rig/.ci/job run"]
    assert [step["run"] for step in steps() if "run" in step] == [
        '"$GITHUB_ACTION_PATH/.ci/job" install', '"$GITHUB_ACTION_PATH/.ci/job" run',
    ]  # fmt: skip
    assert {"RIG_SCENARIO", "RIG_OPTIONS", "RIG_RUNS"} <= found["variables"].keys()


@pytest.mark.parametrize("path", [ACTION, COMPONENT], ids=lambda path: path.name)
def test_what_was_not_run_on_its_service_says_so(path: Path) -> None:
    assert path.read_text().startswith("# Not run on the service")


def test_job_without_a_known_word_is_a_usage_error() -> None:
    done = subprocess.run([ROOT / ".ci/job", "nonsense"], capture_output=True, text=True, check=False)

    assert done.returncode == 64
    assert "usage: .ci/job install|run" in done.stderr
