# SPDX-License-Identifier: MIT
"""Runs whose programs have roots of their own: each layer is exported, imported, and found for a replay."""

from __future__ import annotations

from pathlib import Path

from rig.image.store import Store
from rig.machine.qemu import Qemu
from rig.replay.export_bundle import export_run
from rig.replay.import_bundle import import_run
from rig.replay.replayable import replayable
from tests.replay.made_archive import MadeArchive, digest, run_json

LAYERS = (b"copied files", b"packages", b"packages")


def _run_with_layers() -> MadeArchive:
    layers = [{"digest": digest(content), "size": 1 << 20, "path": "/nowhere/layer.img"} for content in LAYERS]
    run = run_json(recording__guest__layers=layers)
    return MadeArchive(run, {f"cache/layer/{digest(each)}/layer.img": each for each in LAYERS})


def test_each_layer_of_an_imported_run_is_found_for_its_replay(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    imported = import_run(store, _run_with_layers().pack(tmp_path / "x"), tmp_path / "runs")

    qemu = Qemu(Path("/usr/bin/qemu-system-x86_64"), (7, 2), imported.run.environment.qemu)
    found = replayable(store, imported.run, imported.directory, qemu)

    assert tuple(layer.image.read_bytes() for layer in found.spec.layers) == LAYERS
    assert [part.split()[0] for part in imported.added if part.startswith("layer")] == ["layer-1", "layer-2", "layer-3"]


def test_run_with_layers_is_exported_with_all_of_them(tmp_path: Path) -> None:
    imported = import_run(
        Store(tmp_path / "cache"), _run_with_layers().pack(tmp_path / "x"), tmp_path / "runs"
    )  # fmt: skip

    export_run(Store(tmp_path / "cache"), imported.run, imported.directory, tmp_path / "y")

    other = Store(tmp_path / "other")
    again = import_run(other, tmp_path / "y", tmp_path / "other-runs")
    qemu = Qemu(Path("/usr/bin/qemu-system-x86_64"), (7, 2), imported.run.environment.qemu)
    assert len(replayable(other, again.run, again.directory, qemu).spec.layers) == len(LAYERS)
