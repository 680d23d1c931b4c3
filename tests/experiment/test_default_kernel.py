# SPDX-License-Identifier: MIT
"""Which kernel a run takes when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.experiment import prepare
from rig.experiment.prepare import default_kernel
from rig.image.digest import digest_text
from rig.image.sourcekernel import _ref
from rig.image.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("RIG_KERNEL", raising=False)
    monkeypatch.setattr(prepare, "host_suite", lambda: "bookworm")
    return Store(tmp_path / "cache")


def _built(store: Store, config: str = "") -> None:
    with store.workplace() as work:
        result = work / "result"
        result.mkdir()
        (result / "bzImage").write_bytes(b"made")
        about = {"spec": "source:bookworm", "release": "6.1.1-rig", "package": "made 1", "config": config}
        entry = store.add("kernel", digest_text(config), result, about)
    store.set_ref(_ref("source:bookworm"), entry.key)


def test_the_distributions_is_taken_where_none_was_built(store: Store) -> None:
    assert default_kernel(store) == "debian:bookworm"


def test_rigs_own_is_taken_where_it_was_built(store: Store) -> None:
    _built(store)

    assert default_kernel(store) == "source:bookworm"


def test_one_with_a_persons_own_configuration_is_not_taken(store: Store) -> None:
    _built(store, config="CONFIG_KASAN=y\n")

    assert default_kernel(store) == "debian:bookworm"


def test_it_stays_when_one_is_built_meanwhile(store: Store) -> None:
    before = default_kernel(store)
    _built(store)

    assert default_kernel(store) == before


def test_one_that_was_evicted_is_not_taken(store: Store) -> None:
    _built(store)
    for entry in store.entries("kernel"):
        store.remove(entry)

    assert default_kernel(store) == "debian:bookworm"


def test_the_environment_names_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_KERNEL", "debian:sid")

    assert default_kernel(store) == "debian:sid"
