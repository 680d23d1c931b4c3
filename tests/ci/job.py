# SPDX-License-Identifier: MIT
"""Run a step of the action as GitHub's runner does: its expressions filled in, its files for outputs and summary given."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["ACTION", "Job", "steps"]

ACTION = Path(__file__).parents[2] / "action.yml"


def steps() -> list[dict[str, Any]]:
    """Return the steps of the action."""
    found: list[dict[str, Any]] = YAML(typ="safe").load(ACTION)["runs"]["steps"]
    return found


@dataclass(frozen=True)
class Job:
    """A job of a workflow. root: the checkout of the action. temp: the runner's directory for temporary files."""

    root: Path
    temp: Path

    @property
    def summary(self) -> Path:
        """The file of the step's summary."""
        return self.temp / "summary.md"

    def outputs(self) -> dict[str, str]:
        """Return the outputs that the steps wrote."""
        lines = (self.temp / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def run_step(self, name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run the step with this id. The shell's options are those of `shell: bash`."""
        step = next(each for each in steps() if each.get("id") == name)
        self.temp.mkdir(exist_ok=True)
        variables = {key: self._filled(value, inputs) for key, value in step.get("env", {}).items()}
        files = {"GITHUB_OUTPUT": self.temp / "output", "GITHUB_STEP_SUMMARY": self.summary}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            env={**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(self.root), **variables,
                 **{key: str(path) for key, path in files.items()}},
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip

    def _filled(self, text: str, inputs: dict[str, str]) -> str:
        """Return a text with the values of the inputs and of runner.temp in place of its expressions."""
        known = {"runner.temp": str(self.temp), **{f"inputs.{name}": value for name, value in inputs.items()}}
        return re.sub(r"\$\{\{ *([a-z.]+) *\}\}", lambda match: known[match[1]], text)
