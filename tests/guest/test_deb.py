# SPDX-License-Identifier: MIT
"""The Debian package: what it depends on and carries, and that the rig in it runs. pip is a stand-in that copies rig."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# packaging/build-deb calls `PYTHON -m pip install … --target DIRECTORY SOURCE`. rig's libraries are those of the tests.
PYTHON = """\
#!/bin/bash
if [ "$1 $2" != "-m pip" ]; then exec {python} "$@"; fi
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/rig/_data"
cp -r {root}/rig "$2/"
mkdir -p "$2/rig/_data" && cp -r {root}/docs {root}/guest {root}/images {root}/scenarios "$2/rig/_data/"
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("deb")
    python = directory / "python"
    python.write_text(PYTHON.format(python=sys.executable, root=ROOT))
    python.chmod(0o755)
    done = subprocess.run(
        [ROOT / "packaging/build-deb", python, directory / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (found,) = (directory / "out").glob("oomrig_*.deb")
    return found


def field(package: Path, name: str) -> str:
    return subprocess.run(
        ["dpkg-deb", "--field", package, name], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_package_depends_on_what_make_run_installs(package: Path) -> None:
    wanted = re.search(r"^PACKAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    depends = {each.split()[0] for each in field(package, "Depends").split(", ")}

    assert wanted is not None
    assert depends == set(wanted[1].split()) - {"make", "python3-venv"}
    assert field(package, "Package") == "oomrig"


def test_unpacked_package_has_pages_and_completion_and_runs(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", package, tmp_path], check=True)
    assert not list((tmp_path / "usr").rglob("__pycache__"))

    called = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv.pop(1)); import rig.cli; print(rig.__file__); rig.cli.main()",
         tmp_path / "usr/lib/oomrig", "list"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert {"rig.1.gz", "rig-run.1.gz"} <= {path.name for path in (tmp_path / "usr/share/man/man1").iterdir()}
    assert "_RIG_COMPLETE" in (tmp_path / "usr/share/bash-completion/completions/rig").read_text()
    assert called.returncode == 0, called.stderr
    assert called.stdout.startswith(str(tmp_path))
    assert "overcommit-oops" in called.stdout
