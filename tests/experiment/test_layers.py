# SPDX-License-Identifier: MIT
"""A plan names layers by package or image; the agent receives the volume labels of those layers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.experiment.layers import resolve_layers
from rig.image.layer.layer import name_layer, names_layer
from rig.image.store import Store
from rig.program.roots import root_layer
from rig.scenario.plan import RenderedPlan, RenderedStep
from rig.scenario.program_source import ProgramFile


def plan(*images: str) -> RenderedPlan:
    programs = tuple(ProgramFile(name, Path(), "image", "scenario", f"root:{name}", "/bin/x") for name in images)
    steps = tuple(RenderedStep("root", (("name", name), ("layer", f"root:{name}"))) for name in images)
    return RenderedPlan(steps, programs)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "tree"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/x").write_text("#!/bin/sh\n")
    return directory


def test_named_image_becomes_its_label(store: Store, tree: Path) -> None:
    layer = root_layer(store, str(tree))
    name_layer(store, "app", layer)

    resolved, layers = resolve_layers(store, plan("app"))

    assert layers == (layer,)
    assert resolved.steps[0].words == (("name", "app"), ("layer", layer.label))
    assert layer.size == 32 << 20


def test_unchanged_directory_is_the_same_layer_and_a_changed_one_is_not(store: Store, tree: Path) -> None:
    first = root_layer(store, str(tree))
    again = root_layer(store, str(tree))
    (tree / "bin/y").write_text("new")

    assert again == first
    assert root_layer(store, str(tree)).key != first.key


def test_second_use_of_a_root_writes_nothing_and_says_nothing(store: Store, tree: Path) -> None:
    (tree / "large").write_bytes(os.urandom(1 << 20))
    said: list[str] = []

    def images() -> list[tuple[int, int, int]]:
        found = [path.stat() for path in sorted(store.root.rglob("*.img"))]
        return [(status.st_ino, status.st_mtime_ns, status.st_ctime_ns) for status in found]

    root_layer(store, str(tree), said.append)
    before = images()
    root_layer(store, str(tree), said.append)

    assert len(before) == 1
    assert images() == before
    assert said == [f"import {tree}"]


def test_image_that_nobody_imported_is_a_usage_error(store: Store) -> None:
    with pytest.raises(UsageError, match="rig image import app"):
        resolve_layers(store, plan("app"))


def test_more_images_than_a_guest_has_room_for_are_a_usage_error(store: Store, tree: Path) -> None:
    names = ("a", "b", "c", "d")
    for name in names:
        name_layer(store, name, root_layer(store, str(tree)))

    with pytest.raises(UsageError, match="room for 3"):
        resolve_layers(store, plan(*names))


@pytest.mark.parametrize("name", ["quick", "buildroot", "Upper", "../escape", ""])
def test_names_that_images_cannot_have(store: Store, tree: Path, name: str) -> None:
    with pytest.raises(UsageError):
        name_layer(store, name, root_layer(store, str(tree)))
    assert not names_layer(store, name)
