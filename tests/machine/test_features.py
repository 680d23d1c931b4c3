# SPDX-License-Identifier: MIT
"""The features of each QEMU version. Add a line here for a new version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rig.machine.features import (
    ACTIVATE_IMAGES,
    FEATURES,
    MIGRATE_TO_FILE,
    NO_REVERSE,
    RUN_WITH_USER,
    UNSURE_REVERSE,
    Feature,
    has,
)
from tests.machine.test_command import QEMU

VERSIONS: dict[tuple[int, int], set[Feature]] = {
    (7, 2): set(),
    (8, 2): set(),
    (9, 0): set(),
    (9, 1): {RUN_WITH_USER, MIGRATE_TO_FILE},
    (10, 0): {RUN_WITH_USER, MIGRATE_TO_FILE, ACTIVATE_IMAGES, UNSURE_REVERSE},
    (11, 0): {RUN_WITH_USER, MIGRATE_TO_FILE, ACTIVATE_IMAGES, UNSURE_REVERSE},
    (11, 1): {RUN_WITH_USER, MIGRATE_TO_FILE, ACTIVATE_IMAGES, UNSURE_REVERSE, NO_REVERSE},
}


@pytest.mark.parametrize(("version", "features"), VERSIONS.items())
def test_features_of_a_version(version: tuple[int, int], features: set[Feature]) -> None:
    qemu = replace(QEMU, version=version)

    assert {feature for feature in FEATURES if has(qemu, feature)} == features


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_feature_names_its_source(feature: Feature) -> None:
    assert feature.name
    assert feature.source.startswith(("docs/", "hw/", "qapi/", "tests/"))
