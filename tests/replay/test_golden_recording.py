# SPDX-License-Identifier: MIT
"""An archive with a recording that an earlier version of rig wrote is imported with all that a replay needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image.digest import digest_file
from rig.image.store import Store
from rig.machine.qemu import Qemu
from rig.replay.export_bundle import export_run
from rig.replay.import_bundle import Imported, import_run
from rig.replay.replayable import Replayable, replayable, unpack_payload
from rig.run.document import RecordedGuest

ARCHIVE = Path(__file__).parent.parent / "run" / "golden" / "recorded.tar.zst"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def imported(store: Store, tmp_path: Path) -> Imported:
    return import_run(store, ARCHIVE, tmp_path / "runs")


def _ready(store: Store, imported: Imported) -> Replayable:
    qemu = Qemu(Path("/usr/bin/qemu-system-x86_64"), (7, 2), imported.run.environment.qemu)
    return replayable(store, imported.run, imported.directory, qemu)


def test_replay_finds_every_part_and_the_guest_of_that_version(store: Store, imported: Imported) -> None:
    ready = _ready(store, imported)

    assert [part.split()[0] for part in imported.added] == ["kernel", "initramfs", "rootfs", "snapshot"]
    assert ready.snapshot.digest == imported.run.recording.guest.snapshot  # type: ignore[union-attr] # it has one
    assert digest_file(ready.spec.kernel) == ready.spec.kernel_digest
    assert ready.spec.machine == RecordedGuest.model_fields["machine"].default
    assert not ready.cut


def test_memory_keeps_its_holes(store: Store, imported: Imported) -> None:
    ram = _ready(store, imported).snapshot.ram

    assert ram is not None
    assert ram.stat().st_size == 96 << 20
    assert ram.stat().st_blocks * 512 < 1 << 20


def test_payload_is_the_one_that_was_recorded(store: Store, imported: Imported, tmp_path: Path) -> None:
    payload = unpack_payload(_ready(store, imported), tmp_path)

    assert payload.stat().st_size == 34 << 20


def test_changed_recording_is_refused(store: Store, imported: Imported) -> None:
    with (imported.directory / "recording" / "replay.bin").open("r+b") as file:
        file.write(b"changed")

    with pytest.raises(RigError, match="the recording was changed"):
        _ready(store, imported)


def test_it_can_be_exported_for_another_machine(store: Store, imported: Imported, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    export_run(
        store, imported.run, imported.directory, tmp_path / "again.tar.zst",
        packed=lambda done, total: told.append((done, total)),
    )  # fmt: skip

    assert len(told) > 100
    assert told[-1][0] == told[-1][1] > 96 << 20
    assert sorted(told) == told
    other = Store(tmp_path / "other")
    again = import_run(other, tmp_path / "again.tar.zst", tmp_path / "there")

    assert again.run == imported.run
    assert _ready(other, replace(imported, directory=again.directory)).spec.kernel_digest
