# SPDX-License-Identifier: MIT
"""After an upgrade of QEMU a guest's snapshot is made anew, and rig says why; the machine type stays what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rig.experiment.booted import _upgraded
from rig.image.store import Store
from rig.machine.features import MACHINE
from rig.machine.identity import identity_of
from tests.cli.test_image_why import add
from tests.machine.test_command import QEMU, SPEC


def test_upgrade_of_qemu_is_the_reason_where_nothing_else_differs(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    add(store, "aa11".ljust(64, "0"), identity=identity_of(SPEC, QEMU))

    upgraded = replace(QEMU, text="version 11.1.3", version=(11, 1))

    assert _upgraded(store, identity_of(SPEC, upgraded)) == "qemu: version 7.2 → version 11.1.3"


def test_other_guest_is_no_upgrade(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    add(store, "aa11".ljust(64, "0"), identity=identity_of(SPEC, QEMU))

    other = replace(SPEC, memory=2 * SPEC.memory)

    assert _upgraded(store, identity_of(other, replace(QEMU, text="version 11.1.3"))) is None
    assert _upgraded(Store(tmp_path / "empty"), identity_of(SPEC, QEMU)) is None


def test_machine_type_is_a_versioned_one() -> None:
    assert MACHINE.startswith("pc-q35-7.2,")
