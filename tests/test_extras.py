# SPDX-License-Identifier: MIT
"""What `make run` leaves out is asked for by the command that installs it, never by another project's name."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rig.extras import how_to_install

CHECKOUT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_extra_is_installed_from_the_checkout_into_the_python_that_runs_rig() -> None:
    python, *words = shlex.split(how_to_install("sweep"))

    assert python == sys.executable
    assert words == ["-m", "pip", "install", "-e", f"{CHECKOUT}[sweep]"]


@pytest.mark.parametrize(
    ("lacking", "words", "extra"),
    [
        ("pyarrow", ["sweep", "overcommit-oops", "--over", "every=1s"], "sweep"),
        ("junitparser", ["run", "overcommit-oops", "--junit", "x.xml"], "sweep"),
    ],
)
def test_command_without_its_extra_says_how_to_install_it_before_it_runs_anything(
    lacking: str, words: list[str], extra: str, tmp_path: Path
) -> None:
    code = f"import sys; sys.modules['{lacking}'] = None; from rig.cli import main; sys.argv = ['rig', *sys.argv[1:]]; main()"

    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
        env={"PATH": "/usr/bin", "RIG_RUNS": str(tmp_path / "runs"), "RIG_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip

    assert done.returncode == 3, done.stderr
    assert extra in EXTRAS
    assert f"{CHECKOUT}[{extra}]" in "".join(done.stderr.split("\n"))
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
