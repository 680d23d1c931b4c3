# SPDX-License-Identifier: MIT
"""The default kernel and image of a run: only the user's choice changes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rig.cli.kernel import app
from rig.errors import RigError, UsageError
from rig.image import defaults
from rig.image.defaults import Default, choose_default, default_image, default_kernel
from rig.image.digest import digest_text
from rig.image.sourcekernel import _ref
from rig.image.store import Store


@pytest.fixture(autouse=True)
def own_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIG_KERNEL", raising=False)
    monkeypatch.delenv("RIG_IMAGE", raising=False)
    monkeypatch.setenv("RIG_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("RIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(defaults, "host_suite", lambda: "bookworm")


def test_the_distributions_is_taken_where_nothing_was_chosen() -> None:
    assert default_kernel() == Default("debian:bookworm", "this host's suite")
    assert default_image().spec == "quick"


def test_building_one_does_not_change_what_runs_boot() -> None:
    store = Store()
    with store.staging_directory() as work:
        result = work / "result"
        result.mkdir()
        (result / "bzImage").write_bytes(b"made")
        about = {"spec": "source:bookworm", "release": "6.1.1-rig", "package": "made 1", "config": ""}
        entry = store.add("kernel", digest_text(""), result, about)
    store.set_ref(_ref("source:bookworm"), entry.key)

    assert default_kernel().spec == "debian:bookworm"


def test_what_the_user_chose_is_taken_until_it_is_reset() -> None:
    choose_default("kernel", "source:bookworm")
    choose_default("image", "buildroot")

    assert default_kernel() == Default("source:bookworm", "rig kernel use")
    assert default_image() == Default("buildroot", "rig image use")

    choose_default("kernel", None)

    assert default_kernel().spec == "debian:bookworm"
    assert default_image().spec == "buildroot"


def test_the_environment_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    choose_default("kernel", "source:bookworm")
    monkeypatch.setenv("RIG_KERNEL", "debian:sid")

    assert default_kernel() == Default("debian:sid", "RIG_KERNEL")


def test_file_of_choices_that_is_damaged_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "defaults.json").write_text("{")

    with pytest.raises(RigError) as error:
        default_kernel()

    assert "defaults.json" in str(error.value.where)


def test_command_chooses_shows_and_resets() -> None:
    call = CliRunner().invoke

    assert call(app, ["kernel", "use", "source:bookworm"]).output == "source:bookworm  (rig kernel use)\n"
    assert call(app, ["kernel", "use"]).output == "source:bookworm  (rig kernel use)\n"
    assert call(app, ["kernel", "use", "--reset"]).output == "debian:bookworm  (this host's suite)\n"


@pytest.mark.parametrize("spec", ["bookworm", "source:", "debian:a b", "tree:/nowhere", "/nowhere/bzImage"])
def test_kernel_that_cannot_be_one_is_not_chosen(spec: str) -> None:
    called = CliRunner().invoke(app, ["kernel", "use", spec])

    assert isinstance(called.exception, UsageError)
    assert default_kernel().spec == "debian:bookworm"
