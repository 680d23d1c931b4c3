# SPDX-License-Identifier: MIT
"""Extras: what they are called, and that they are asked for before work begins."""

from __future__ import annotations

import re
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from rig import extras
from rig.cli.app import _run
from rig.experiment.doctor import _other_rig
from rig.run.recorded_guest import Recording
from tests.report.made_directory import made_run, write_directory

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {"distributed": "dask", "elftools": "pyelftools"}


@pytest.mark.parametrize(("module", "extra"), extras.EXTRAS.items())
def test_module_is_in_the_extra_that_is_named(module: str, extra: str) -> None:
    names = [re.split(r"[\[<>=; ]", each)[0] for each in PROJECT["optional-dependencies"][extra]]

    assert DISTRIBUTIONS.get(module, module) in names


def test_every_extra_of_the_project_itself_names_the_distribution() -> None:
    named = [
        each for extra in PROJECT["optional-dependencies"].values() for each in extra if re.match(r"(oom)?rig\[", each)
    ]

    assert PROJECT["name"] == "oomrig"
    assert named == ["oomrig[junit]", "oomrig[sweep,plot,frame]"]


def test_no_message_says_to_install_a_package_called_rig() -> None:
    texts = {
        path: path.read_text()
        for directory in ("rig", "docs")
        for path in (ROOT / directory).rglob("*.*")
        if path.suffix in (".py", ".md")
    }
    texts[ROOT / "README.md"] = (ROOT / "README.md").read_text()

    assert [
        str(path) for path, text in texts.items() if re.search(r"install[^\n]{0,20}[ '\"]rig(\[|['\"\s]*$)", text)
    ] == []


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        ("pyarrow", ["sweep", "overcommit-oops", "--over", "hog=1M"]),
        ("distributed", ["sweep", "overcommit-oops", "--over", "hog=1M", "--executor", "dask"]),
        ("junitparser", ["run", "overcommit-oops", "--junit", "x.xml"]),
        ("junitparser", ["sweep", "overcommit-oops", "--over", "hog=1M", "--junit", "x.xml"]),
        ("pyarrow", ["frontier", "overcommit-oops", "--over", "hog=0M..10M"]),
        ("duckdb", ["results", "last", "--sql", "select 1"]),
    ],
)
def test_extra_is_asked_for_before_work_begins(
    lacks: str,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    found = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == lacks else found(name))

    assert _run(words) == 3

    error = capsys.readouterr().err
    assert f"{lacks} is not installed" in error
    assert f"oomrig[{extras.EXTRAS[lacks]}]" in error
    assert not (tmp_path / "runs").exists()


def test_post_mortem_asks_for_its_extra_before_it_replays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made_run().model_copy(update={"recording": Recording(path="recording")})
    directory = write_directory(tmp_path / "run")
    (directory / "run.json").write_text(run.model_dump_json())
    monkeypatch.setattr("rig.cli.postmortem.kernel_of", lambda *words: tmp_path)
    monkeypatch.setattr("rig.cli.postmortem.symbols_of", lambda *words: object())
    found = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "drgn" else found(name))

    assert _run(["post-mortem", str(directory)]) == 3

    assert "drgn is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mark", "extra", "path"),
    [
        ("uv-receipt.toml", "uv tool install 'oomrig[plot]'", "uv tool update-shell"),
        ("pipx_metadata.json", "pipx install --force 'oomrig[plot]'", "pipx ensurepath"),
        (None, "pip install 'oomrig[plot]'", "put {scripts} on it"),
    ],
    ids=["uv", "pipx", "pip"],
)
def test_remedy_is_that_of_the_tool_that_installed_rig(
    mark: str | None, extra: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mark is not None:
        (tmp_path / mark).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    assert str(extras.lacking("matplotlib").remedy).startswith(extra)
    # From Python 3.14 on the directory follows sys.prefix.
    assert next(iter(_other_rig())).remedy == path.format(scripts=sysconfig.get_path("scripts"))
