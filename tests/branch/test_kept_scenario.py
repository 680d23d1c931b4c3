# SPDX-License-Identifier: MIT
"""An imported run names a scenario of the catalogue, and no file of this host."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.branch.kept_scenario import kept_scenario
from rig.branch.source import read_past
from rig.errors import RigError
from rig.image.store import Store
from rig.run.document import Run
from rig.run.imported import write_imported
from tests.run.test_directory import a_run


def _run(scenario: str, directory: Path, **settings: str) -> Run:
    return a_run().model_copy(update={"scenario": scenario, "scenario_directory": str(directory), "settings": settings})


def test_own_run_has_the_scenario_of_its_directory(tmp_path: Path) -> None:
    assert kept_scenario(_run("mine", tmp_path), tmp_path) == str(tmp_path)


def test_imported_run_has_the_scenario_of_the_catalogue(tmp_path: Path) -> None:
    write_imported(tmp_path, {})
    run = _run("overcommit-oops", tmp_path, kernel="debian:bookworm", image="quick", hog="30M")

    assert kept_scenario(run, tmp_path) == "overcommit-oops"


@pytest.mark.parametrize(
    ("scenario", "settings", "what"),
    [
        ("mine", {}, "its scenario is none of rig's own"),
        ("/tmp/x", {}, "its scenario is none of rig's own"),
        ("overcommit-oops", {"kernel": "tree:/tmp/x"}, "its kernel is a path"),
        ("overcommit-oops", {"kernel": "/tmp/bzImage"}, "its kernel is a path"),
        ("overcommit-oops", {"kernel": "debian:../x"}, "its kernel is a path"),
        ("overcommit-oops", {"image": "/tmp/root.img"}, "its image is a path"),
    ],
)
def test_path_of_an_imported_run_is_refused(scenario: str, settings: dict[str, str], what: str, tmp_path: Path) -> None:
    write_imported(tmp_path, {})

    with pytest.raises(RigError, match=f"the run was imported, and {what}"):
        kept_scenario(_run(scenario, tmp_path, **settings), tmp_path)


def test_parent_that_is_a_path_is_not_looked_for(tmp_path: Path) -> None:
    branch = {"point": "p", "parent": "../elsewhere", "key": "", "step": 0, "time": 0.0}
    for directory, about in ((tmp_path / "runs/x", {"branch": branch}), (tmp_path / "elsewhere", {})):
        directory.mkdir(parents=True)
        text = Run.model_validate({**a_run().model_dump(), **about}).model_dump_json()
        (directory / "run.json").write_text(text)

    with pytest.raises(RigError, match="which is not kept"):
        read_past(tmp_path / "runs/x", Store(tmp_path / "cache"))
