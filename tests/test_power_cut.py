# SPDX-License-Identifier: MIT
"""After a power cut at any write a reader finds the old content, the new, or says what is damaged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rig.errors import RigError
from rig.image.defaults import choose_default, default_kernel
from rig.image.digest import digest_text
from rig.image.store import Store
from rig.machine import accel, qemu
from rig.replay.export_bundle import export_run
from rig.run.damage import damaged_files, digest_files
from rig.run.directory import list_runs, open_run, remove_run, rewrite_run
from rig.run.document import Run
from rig.run.imported import read_imported, write_imported
from rig.run.unfinished import finish_directory, unfinished_directory
from rig.sweep.axes import Axis, SweepPlan
from rig.sweep.directory import FRONTIER, find_sweep, new_sweep, write_plan
from rig.sweep.frontier import document
from rig.sweep.journal import append_row, read_rows
from rig.sweep.table import read_table, write_table
from rig.whole_file import write_whole
from tests.power_cut import cuts, recorded
from tests.sweep import made

KEY = digest_text("key")
Write = Callable[[Path], None]
Read = Callable[[Path], Any]


def _outcomes(top: Path, work: Path, write: Write, read: Read) -> tuple[list[Any], int]:
    """Return what a reader finds after each cut while `write` runs, and after no cut, and the number of cuts."""
    with recorded(top) as recorder:
        write(top)
    found = []
    for disk in cuts(recorder, work):
        try:
            found.append(read(disk))
        except RigError as error:
            found.append(f"said: {error.what}")
    return found, len(recorder.disks)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Return a directory in memory, where there is one: some hundred disks are made, and a busy disk takes long."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="power-cut-", dir=memory if os.access(memory, os.W_OK) else None) as path:
        yield Path(path)


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "top"
    directory.mkdir()
    monkeypatch.setenv("RIG_RUNS", str(directory))
    return directory


def _kept(run_id: str, directory: Path) -> Run:
    return Run.model_validate(
        {"id": run_id, "scenario": "s", "started": "2025-01-31T12:00:00+00:00", "verdict": "reproduced",
         "files": digest_files(directory)}
    )  # fmt: skip


def _run(top: Path) -> None:
    with open_run(top) as opened:
        (opened.directory / "console.log").write_bytes(b"Linux\n" * 100)
        (opened.directory / "recording").mkdir()
        (opened.directory / "recording/replay.bin").write_bytes(b"events" * 100)
        opened.keep(_kept(opened.id, opened.directory))


def _runs(disk: Path) -> Any:
    return [damaged_files(each.run, each.directory) if each.run else each.problem for each in list_runs(disk)]


def test_run_is_complete_or_absent(top: Path, tmp_path: Path) -> None:
    found, moments = _outcomes(top, tmp_path, _run, _runs)

    assert moments > 10
    assert all(each in ([], [{}]) for each in found), found
    assert found[0] == []
    assert found[-1] == [{}]


def test_imported_run_is_complete_or_absent(top: Path, tmp_path: Path) -> None:
    def write(top: Path) -> None:
        with unfinished_directory(top, "20250131-142530-k4fq") as directory:
            (directory / "console.log").write_bytes(b"Linux\n")
            (directory / "run.json").write_text(_kept("20250131-142530-k4fq", directory).model_dump_json())
            write_imported(directory, {"kernel": KEY})
            finish_directory(directory, top / "20250131-142530-k4fq")

    def read(disk: Path) -> Any:
        return [*_runs(disk), *(read_imported(each.directory) for each in list_runs(disk))]

    found, _ = _outcomes(top, tmp_path, write, read)

    assert all(each in ([], [{}, {"kernel": KEY}]) for each in found), found


def test_imported_parts_are_old_or_new(top: Path, tmp_path: Path) -> None:
    write_imported(top, {"kernel": "old"})

    found, _ = _outcomes(top, tmp_path, lambda top: write_imported(top, {"kernel": "new"}), read_imported)

    assert [each["kernel"] for each in found].count("old") + [each["kernel"] for each in found].count("new") == len(
        found
    )
    assert found[-1] == {"kernel": "new"}


def test_plan_of_a_sweep_is_old_or_new(top: Path, tmp_path: Path) -> None:
    scenario = made.scenario(tmp_path)
    plans = [SweepPlan(scenario, (Axis("size", values),)) for values in (("4M",), ("8M",))]
    sweep = new_sweep(plans[0])

    found, _ = _outcomes(
        sweep.path, tmp_path, lambda top: write_plan(top, plans[1]), lambda disk: find_sweep(str(disk)).plan
    )

    assert all(each in plans for each in found)
    assert found[-1] == plans[1]


def test_rows_before_a_cut_stay(top: Path, tmp_path: Path) -> None:
    append_row(top / "rows.jsonl", made.row(0, 0))

    def write(top: Path) -> None:
        for point in (1, 2):
            append_row(top / "rows.jsonl", made.row(point, 0))

    def read(disk: Path) -> list[int]:
        append_row(disk / "rows.jsonl", made.row(9, 0))
        return [row.point for row in read_rows(disk / "rows.jsonl")]

    found, _ = _outcomes(top, tmp_path, write, read)

    assert all(each in ([0, 9], [0, 1, 9], [0, 1, 2, 9]) for each in found), found
    assert found[-1] == [0, 1, 2, 9]


def test_first_row_is_complete_or_absent(top: Path, tmp_path: Path) -> None:
    found, _ = _outcomes(
        top,
        tmp_path,
        lambda top: append_row(top / "rows.jsonl", made.row(0, 0)),
        lambda disk: len(read_rows(disk / "rows.jsonl")),
    )

    assert set(found) == {0, 1}
    assert found[-1] == 1


def test_table_is_old_or_new_or_absent(top: Path, tmp_path: Path) -> None:
    import pyarrow

    table = pyarrow.table({"point": [1]}).replace_schema_metadata({b"rig.sweep.schema": b"1"})

    found, _ = _outcomes(
        top,
        tmp_path,
        lambda top: write_table([table], top / "results.parquet"),
        lambda disk: read_table(disk / "results.parquet").num_rows,
    )

    assert set(found) == {"said: there is no such file", 1}


def test_frontier_is_old_or_new(top: Path, tmp_path: Path) -> None:
    from rig.seal import seal
    from rig.whole_file import write_whole

    axis = document.FrontierAxis(name="hog", kind="size", low=1, high=2, resolution=1)
    texts = [
        seal(document.Frontier(schema_version=1, scenario=name, axis=axis).model_dump_json(by_alias=True))
        for name in ("old", "new")
    ]
    (top / FRONTIER).write_text(texts[0])

    found, _ = _outcomes(
        top,
        tmp_path,
        lambda top: write_whole(top / FRONTIER, texts[1].encode()),
        lambda disk: document.read_frontier(disk).scenario,
    )

    assert set(found) == {"old", "new"}


def test_default_is_old_or_new(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIG_KERNEL", raising=False)
    monkeypatch.setenv("RIG_CONFIG", str(top))
    choose_default("kernel", "debian:old")

    def read(disk: Path) -> str:
        monkeypatch.setenv("RIG_CONFIG", str(disk))
        return default_kernel().spec

    found, _ = _outcomes(top, tmp_path, lambda _: choose_default("kernel", "debian:new"), read)

    assert set(found) == {"debian:old", "debian:new"}


def test_name_in_the_cache_is_old_or_new(top: Path, tmp_path: Path) -> None:
    Store(top).set_ref("kernel/x", "old")

    found, _ = _outcomes(
        top, tmp_path, lambda top: Store(top).set_ref("kernel/x", "new"), lambda disk: Store(disk).ref("kernel/x")
    )

    assert set(found) == {"old", "new"}


def _add(top: Path) -> None:
    store = Store(top)
    with store.staging_directory() as work:
        result = work / "result"
        result.mkdir()
        (result / "state").write_bytes(b"devices" * 50)
        store.add("snapshot", KEY, result, {"identity": {"a": 1}})


def _entry(disk: Path) -> Any:
    found = Store(disk).get_verified("snapshot", KEY)
    return None if found is None else (found.files, found.about)


def test_entry_of_the_cache_is_complete_or_absent(top: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found, _ = _outcomes(top, tmp_path, _add, _entry)

    assert len({repr(each) for each in found}) == 2
    assert found[0] is None
    assert found[-1] is not None
    assert "damaged" not in caplog.text


def test_branch_point_is_complete_once_a_recording_rests_on_it(top: Path, tmp_path: Path) -> None:
    """It is added unsynced, so that no run waits for the disk: sync() makes up for that."""

    def write(top: Path) -> None:
        store = Store(top)
        with store.staging_directory() as work:
            (work / "result").mkdir()
            (work / "result/state").write_bytes(b"memory" * 50)
            entry = store.add("branch", KEY, work / "result", {})
        store.sync(entry.path)
        write_whole(top / "replay.bin", b"events")

    def read(disk: Path) -> Any:
        found = Store(disk).get_verified("branch", KEY)
        return "not recorded" if not (disk / "replay.bin").exists() else found and list(found.files)

    found, moments = _outcomes(top, tmp_path, write, read)

    assert moments
    assert all(each in ("not recorded", ["state"]) for each in found), found
    assert found[-1] == ["state"]


def test_entry_that_is_removed_is_complete_or_absent(top: Path, tmp_path: Path) -> None:
    _add(top)
    entry = Store(top).get("snapshot", KEY)
    assert entry is not None

    found, _ = _outcomes(top, tmp_path, lambda top: Store(top).remove(entry), _entry)

    assert all(each in (None, (entry.files, entry.about)) for each in found)


def test_verdict_on_kvm_is_old_or_new_or_tried_again(top: Path, tmp_path: Path) -> None:
    file = "verdict.json"
    accel.write_whole(top / file, b'{"works": true, "why": "old"}')

    found, _ = _outcomes(
        top,
        tmp_path,
        lambda top: accel.write_whole(top / file, b'{"works": true, "why": "new"}'),
        lambda disk: accel._read((disk / file).read_bytes()),
    )

    assert {each.why for each in found} == {"old", "new"}


def test_version_of_qemu_is_known_or_asked_again(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def remember(text: str) -> None:
        monkeypatch.setenv("RIG_CACHE", str(top))
        qemu._remember("/bin/qemu", [1], text)

    def read(disk: Path) -> str | None:
        monkeypatch.setenv("RIG_CACHE", str(disk))
        return qemu._remembered("/bin/qemu", [1])

    remember("QEMU emulator version 7.2")

    found, _ = _outcomes(top, tmp_path, lambda _: remember("QEMU emulator version 10.0"), read)

    assert set(found) == {"QEMU emulator version 7.2", "QEMU emulator version 10.0", None}


def test_archive_is_old_or_new(top: Path, tmp_path: Path) -> None:
    _run(tmp_path)
    (run,) = list_runs(tmp_path)
    assert run.run is not None
    kept, store = run.run, Store(tmp_path / "cache")
    (top / "archive").write_bytes(b"old")

    found, _ = _outcomes(
        top,
        tmp_path,
        lambda top: export_run(store, kept, run.directory, top / "archive") and None,
        lambda disk: (disk / "archive").read_bytes(),
    )

    assert set(found) == {b"old", (top / "archive").read_bytes()}


def test_run_that_is_written_anew_is_old_or_new(top: Path, tmp_path: Path) -> None:
    _run(top)
    (listed,) = list_runs(top)
    assert listed.run is not None
    changed = listed.run.model_copy(update={"title": "changed"})

    found, _ = _outcomes(
        top,
        tmp_path,
        lambda top: rewrite_run(listed.directory, changed),
        lambda disk: [(each.run and each.run.title, *_runs(disk)) for each in list_runs(disk)],
    )

    assert found[0] == [("", {})]
    assert found[-1] == [("changed", {})]
    assert all(each in (found[0], found[-1]) for each in found), found


def test_run_that_is_removed_is_complete_or_absent(top: Path, tmp_path: Path) -> None:
    _run(top)
    (listed,) = list_runs(top)

    found, moments = _outcomes(top, tmp_path, lambda _: remove_run(listed.directory), _runs)

    assert moments > 5
    assert found[0] == [{}]
    assert found[-1] == []
    assert all(each in ([{}], []) for each in found), found


def _damage(top: Path, *names: str) -> None:
    for name in names:
        (top / "snapshot" / KEY / name).write_bytes(b"damaged" * 50)


def test_file_that_is_put_back_is_whole_after_each_cut(top: Path, tmp_path: Path) -> None:
    _add(top)
    whole = _entry(top)
    _damage(top, "state")

    found, _ = _outcomes(top, tmp_path, _entry, _entry)

    assert whole is not None
    assert all(each == whole for each in found)


def test_entry_that_is_set_aside_is_never_lost(top: Path, tmp_path: Path) -> None:
    _add(top)
    _damage(top, "state", "copies/state")

    def read(disk: Path) -> tuple[Any, list[bytes]]:
        kept = [path.read_bytes() for path in disk.rglob("state") if path.parent.name != "copies"]
        return _entry(disk), kept

    found, _ = _outcomes(top, tmp_path, _entry, read)

    assert all(each == (None, [b"damaged" * 50]) for each in found), found


def test_layer_finds_a_rename_before_the_content(top: Path, tmp_path: Path) -> None:
    """The control: what is written in the way that most programs do is found to be empty after some cut."""
    (top / "file").write_text("old")

    def write(top: Path) -> None:
        (top / "file.part").write_text("new")
        (top / "file.part").replace(top / "file")

    found, _ = _outcomes(top, tmp_path, write, lambda disk: (disk / "file").read_bytes())

    assert {b"", b"old", b"new"} <= set(found)
