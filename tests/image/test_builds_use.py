# SPDX-License-Identifier: MIT
"""The directories that kernels are built in keep their bound: objects go, a tree's options stay."""

from __future__ import annotations

import os
import shutil
import threading
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from rig.cli.app import _run
from rig.errors import RigError
from rig.image import builds_use
from rig.image.builds_use import ASKED, hold_build, keep_builds_bound, remove_builds
from rig.image.store import Store
from rig.in_use import hold, lock_unused, using_entries

MB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A cache with four build directories of 1 MB. The lower the number, the longer ago it was built in."""
    for number in range(4):
        out = tmp_path / f"build/tree-{number}"
        (out / "init").mkdir(parents=True)
        (out / "init/main.o").write_bytes(os.urandom(MB))
        (out / ASKED).write_text("{}")
        os.utime(out, (1000 + number, 1000 + number))
    return Store(tmp_path)


def built(store: Store) -> list[int]:
    return [number for number in range(4) if (store.root / f"build/tree-{number}/init").exists()]


def test_builds_not_used_for_longest_are_emptied_but_for_their_options(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RIG_BUILD_SIZE", "2500K")

    keep_builds_bound(store, store.root / "build/tree-0")

    assert built(store) == [0, 3]
    assert (store.root / "build/tree-1" / ASKED).read_text() == "{}"
    assert "2 not used for longest were emptied" in caplog.text
    assert not list((store.root / "tmp").iterdir())


def test_build_of_another_rig_and_the_last_one_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RIG_BUILD_SIZE", "100K")

    with using_entries():
        hold(store.root / "build/tree-1")
        keep_builds_bound(store, store.root / "build/tree-3")

    assert built(store) == [1, 3]
    assert f"above their bound (RIG_BUILD_SIZE) in {store.root}/build: rig kernel rm --all" in caplog.text


def test_build_waits_while_another_rig_empties_its_directory(store: Store) -> None:
    out = store.root / "build/tree-1"
    with lock_unused(out) as free:
        assert free
        builds = threading.Thread(target=lambda: copy_context().run(held_build, out))
        builds.start()
        builds.join(0.2)
        waited = builds.is_alive()
    builds.join()

    assert waited


def held_build(out: Path) -> None:
    with using_entries():
        hold_build(out)


def test_directory_that_is_removed_while_the_others_are_measured_is_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(path: Path) -> int:
        if path.name == "tree-1":
            shutil.rmtree(path)
        return MB

    monkeypatch.setattr(builds_use, "bytes_below", measure)
    monkeypatch.setenv("RIG_BUILD_SIZE", "2500K")

    keep_builds_bound(store, store.root / "build/tree-3")

    assert built(store) == [3]


def test_build_directory_that_cannot_be_held_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds_use, "HOLD_DEADLINE", 0.0)

    with pytest.raises(RigError, match="removed the build directory"):
        hold_build(store.root / "build/none")
    with lock_unused(store.root / "build/tree-1"), pytest.raises(RigError, match="cannot be locked"):
        hold_build(store.root / "build/tree-1")


def test_builds_within_their_bound_stay(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    keep_builds_bound(store, store.root / "build/tree-3")

    assert built(store) == [0, 1, 2, 3]
    assert caplog.text == ""


def test_bound_of_builds_that_is_no_size_is_an_error_with_its_name(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIG_BUILD_SIZE", "3 apples")

    with pytest.raises(RigError, match="RIG_BUILD_SIZE"):
        keep_builds_bound(store, store.root / "build/tree-3")


def test_outputs_of_buildroot_are_emptied_with_their_stamps_first_and_its_downloads_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, home = Store(tmp_path), tmp_path / "buildroot"
    for name in ("small-0", "full-1", "dl", "ccache"):
        for child in ("host", "build", "target"):
            (home / name / child).mkdir(parents=True)
        (home / name / "host/gcc").write_bytes(os.urandom(MB))
    os.utime(home / "small-0", (1000, 1000))
    renamed: list[str] = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, target: renamed.append(path.name) or rename(path, target))
    monkeypatch.setenv("RIG_BUILD_SIZE", "1500K")

    keep_builds_bound(store, home / "full-1")

    assert list((home / "small-0").iterdir()) == []
    assert renamed[0] == "build"
    assert all((home / name / "host/gcc").is_file() for name in ("full-1", "dl", "ccache"))


def test_removal_of_all_builds_leaves_the_one_that_a_rig_builds_in(store: Store) -> None:
    with using_entries():
        hold(store.root / "build/tree-1")

        in_use = remove_builds(store)

    assert [path.name for path in in_use] == ["tree-1"]
    assert built(store) == [1]
    assert remove_builds(store) == []
    assert not list((store.root / "build").iterdir())
    assert not list((store.root / "tmp").iterdir())


@pytest.mark.usefixtures("forbidden")
def test_removal_that_is_not_allowed_is_not_said_to_be_another_rigs_use(store: Store) -> None:
    with pytest.raises(RigError, match="Permission denied") as caught:
        remove_builds(store)

    assert caught.value.where == str(store.root / "build/tree-1")
    assert caught.value.remedy


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a directory be another user's. Root may open all."""
    whole = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if Path(path).name == "tree-1":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)


def test_removal_of_all_builds_says_which_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIG_CACHE", str(store.root))
    with using_entries():
        hold(store.root / "build/tree-1")

        status = _run(["kernel", "rm", "--all"])

    assert status == 3
    assert "build directories that another rig builds in stay: 1" in capsys.readouterr().err
