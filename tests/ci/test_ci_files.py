# SPDX-License-Identifier: MIT
"""The CI files: valid by the schemas of their services, and calling what exists. None of them was run here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from rig.cli.app import app

ROOT = Path(__file__).parents[2]
FILES = {
    ".github/workflows/check.yml": ("--builtin-schema", "vendor.github-workflows"),
    ".github/workflows/fresh.yml": ("--builtin-schema", "vendor.github-workflows"),
    ".gitlab-ci.yml": ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}


def checked(path: Path, options: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "check_jsonschema", *options, str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "options"), FILES.items())
def test_ci_file_is_valid_by_its_services_schema(name: str, options: tuple[str, ...]) -> None:
    done = checked(ROOT / name, options)

    assert done.returncode == 0, done.stdout


def test_mistake_in_a_ci_file_would_be_seen(tmp_path: Path) -> None:
    broken = tmp_path / "check.yml"
    broken.write_text((ROOT / ".github/workflows/check.yml").read_text().replace("runs-on:", "runs-at:"))

    assert checked(broken, FILES[".github/workflows/check.yml"]).returncode == 1


def commands() -> list[str]:
    """Every call of rig in the CI files and the container file."""
    found = []
    for name in (*FILES, "Containerfile"):
        for line in (ROOT / name).read_text().splitlines():
            if match := re.search(r"\.venv/bin/rig (.*)$|CMD \[(.*)\]", line):
                found.append(match[1] or match[2].replace('"', "").replace(",", ""))
    return found


def test_calls_of_rig_in_ci_files_name_options_that_exist() -> None:
    group: Any = typer.main.get_command(app)

    assert len(commands()) >= 6
    for command in commands():
        name, *words = shlex.split(command)
        known = {option for parameter in group.get_command(None, name).params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, command


@pytest.mark.parametrize("name", [*FILES, "Containerfile"])
def test_file_that_was_not_run_says_so(name: str) -> None:
    assert "Not run here" in (ROOT / name).read_text()


def test_container_has_the_packages_that_the_makefile_installs() -> None:
    makefile = re.search(r"^PACKAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert makefile is not None
    assert set(makefile[1].split()) <= set((ROOT / "Containerfile").read_text().split())


def test_each_suite_that_a_fresh_root_may_be_of_is_tried_on_a_schedule() -> None:
    workflow = YAML(typ="safe").load(ROOT / ".github/workflows/fresh.yml")
    job = workflow["jobs"]["fresh"]
    accepted = re.search(r"^\tcase \$suite in ([a-z |]+)\)", (ROOT / ".ci/run").read_text(), re.MULTILINE)

    assert accepted is not None
    assert job["strategy"]["matrix"]["suite"] == accepted[1].strip().split(" | ")
    assert workflow["on"]["schedule"]


def test_kvm_job_opens_the_device_and_runs_the_live_clock() -> None:
    jobs = YAML(typ="safe").load(ROOT / ".github/workflows/check.yml")["jobs"]
    steps = " ".join(step.get("run", "") for step in jobs["kvm"]["steps"])

    assert 'KERNEL=="kvm"' in steps
    assert "--require-kvm" in steps
    assert "--clock live --accel kvm" in steps


def test_no_runner_gets_the_snapshots_and_the_kvm_verdict_of_another() -> None:
    github = YAML(typ="safe").load(ROOT / ".github/workflows/check.yml")
    caches = [
        step["with"]["path"].split()
        for job in github["jobs"].values()
        for step in job["steps"]
        if str(step.get("uses", "")).startswith("actions/cache")
    ]
    gitlab = YAML(typ="safe").load(ROOT / ".gitlab-ci.yml")["default"]["cache"]["paths"]

    assert caches
    for paths in caches:
        assert {"!~/.cache/rig/snapshot", "!~/.cache/rig/accel"} <= set(paths)
    assert {Path(path).name for path in gitlab} & {"snapshot", "accel", "rig"} == set()
