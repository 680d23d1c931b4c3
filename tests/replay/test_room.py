# SPDX-License-Identifier: MIT
"""An archive for which there is no room is refused before its files are written, with the place and the remedy."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rig.errors import RigError
from rig.image.store import Store
from rig.replay import import_bundle, room
from rig.replay.export_bundle import export_run
from rig.replay.import_bundle import import_run
from tests.replay.made_archive import MadeArchive, run_json

MB = 1 << 20


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("RIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    return Store()


def _disk(monkeypatch: pytest.MonkeyPatch, free: int, size: int = 1 << 40) -> None:
    found = SimpleNamespace(f_bavail=free // 4096, f_frsize=4096, f_blocks=size // 4096, f_files=0)
    monkeypatch.setattr(os, "statvfs", lambda path: found)


def _written(top: Path) -> list[str]:
    return [path.name for path in top.rglob("*") if path.is_file() and "locks" not in path.parts]


def _exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: bytes) -> Path:
    """Return an archive that rig wrote, of a run with that content of a file."""
    made = MadeArchive(run=run_json(recording={"reason": "asked for"}))
    made.files["run/ram"] = memory
    with monkeypatch.context() as other:
        other.setenv("RIG_CACHE", str(tmp_path / "other"))
        imported = import_run(Store(), made.pack(tmp_path / "made"), tmp_path / "others")
        export_run(Store(), imported.run, imported.directory, tmp_path / "x")
    return tmp_path / "x"


def test_archive_that_states_more_than_the_disk_has_is_refused_before_a_file_is_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = _exported(tmp_path, monkeypatch, os.urandom(3 * MB) + bytes(50 * MB))
    written: list[str] = []
    monkeypatch.setattr(import_bundle, "_write", lambda member, *_: written.append(member.name))
    _disk(monkeypatch, room.RESERVE + 2 * MB)

    with pytest.raises(
        RigError, match=r"no room for what the archive holds: it takes 3\.\d MB, and 2\.\d MB"
    ) as caught:
        import_run(store, archive)

    assert written == []
    assert caught.value.where == str(store.root)
    assert "RIG_CACHE" in (caught.value.remedy or "")


@pytest.mark.parametrize("stated", [0, 1])
def test_archive_that_states_too_little_is_refused_while_room_is_left(
    stated: int, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MadeArchive(run=run_json(recording={"reason": "asked for"}))
    made.files["run/ram"] = os.urandom(2 * MB)
    made.room = stated
    monkeypatch.setattr(room, "LOOK_EVERY", MB)
    free = [room.RESERVE + MB, room.RESERVE - MB]
    found = SimpleNamespace(f_frsize=1, f_blocks=1 << 40, f_files=0)
    monkeypatch.setattr(
        os, "statvfs", lambda path: SimpleNamespace(**vars(found), f_bavail=free.pop(0) if len(free) > 1 else free[0])
    )

    with pytest.raises(RigError, match=r"no room for what the archive holds: 0\.0 MB may be used"):
        import_run(store, made.pack(tmp_path / "x"))

    assert _written(tmp_path / "cache") == []
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("available", "fits"), [(0, False), (1 << 40, True)])
def test_memory_counts_where_the_directory_is_in_memory(
    available: int, fits: bool, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_filesystem", lambda path: "tmpfs")
    monkeypatch.setattr(room, "available_memory", lambda: available)
    _disk(monkeypatch, 1 << 40)
    archive = MadeArchive().pack(tmp_path / "x")

    if fits:
        assert import_run(store, archive).directory.is_dir()
        return
    with pytest.raises(RigError, match="in this directory, which is in memory"):
        import_run(store, archive)
    assert _written(tmp_path / "cache") == []


def test_run_that_is_copied_to_another_disk_needs_room_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MadeArchive().pack(tmp_path / "x")
    runs = tmp_path / "runs"
    runs.mkdir()
    monkeypatch.setattr(room.Room, "device", 0)
    free: dict[Path, int] = {store.root: 1 << 40, runs: 0}

    def statvfs(path: Any) -> Any:
        return SimpleNamespace(f_bavail=free.get(Path(path), 1 << 40), f_frsize=1, f_blocks=1 << 40, f_files=0)

    monkeypatch.setattr(os, "statvfs", statvfs)

    with pytest.raises(RigError, match="no room") as caught:
        import_run(store, archive)

    assert caught.value.where == str(runs)
    assert "RIG_RUNS" in (caught.value.remedy or "")
    assert _written(tmp_path / "cache") == _written(runs) == []


def test_filesystem_in_memory_is_told_from_a_disk() -> None:
    mounts = {line.split()[1]: line.split()[2] for line in Path("/proc/self/mounts").read_text().splitlines()}
    for point in ("/proc", "/sys"):
        if point in mounts:
            assert room._filesystem(Path(point)) == mounts[point]


@pytest.mark.parametrize("stated", [-1, "many", None, 1.5])
def test_room_of_another_form_is_refused(stated: Any, store: Store, tmp_path: Path) -> None:
    made = MadeArchive(room=stated)

    with pytest.raises(RigError, match="manifest cannot be read"):
        import_run(store, made.pack(tmp_path / "x"))
