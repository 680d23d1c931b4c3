# SPDX-License-Identifier: MIT
"""The cache: whole or not there, checked by hash, bounded."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image.digest import digest_text
from rig.image.store import Entry, Store

K1, S1 = (digest_text(name) for name in ("k1", "s1"))


def _add(store: Store, kind: str, key: str, content: bytes = b"content") -> Entry:
    with store.staging_directory() as work:
        result = work / "result"
        result.mkdir()
        (result / "file").write_bytes(content)
        return store.add(kind, key, result, {"spec": key})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_entry_that_was_added_is_found_with_its_hashes(store: Store) -> None:
    added = _add(store, "kernel", K1)

    found = store.get("kernel", K1)

    assert found == added
    assert found.damaged() == []


def test_flipped_byte_is_found_and_the_entry_thrown_away(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    entry = _add(store, "kernel", K1)
    entry.file("file").write_bytes(b"cOntent")

    found = store.get_verified("kernel", K1)

    assert found is None
    assert not entry.path.exists()
    assert "damaged on disk (file)" in caplog.text


def test_half_built_entry_is_not_there(store: Store) -> None:
    directory = store.root / "kernel" / K1
    directory.mkdir(parents=True)
    (directory / "file").write_bytes(b"half")

    assert store.get("kernel", K1) is None
    assert store.entries() == []


def test_failed_build_leaves_nothing(store: Store) -> None:
    def build() -> None:
        with store.staging_directory() as work:
            (work / "file").write_bytes(b"half")
            raise ValueError("broke")

    with pytest.raises(ValueError, match="broke"):
        build()

    assert list((store.root / "tmp").iterdir()) == []


def test_bound_that_is_no_size_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_CACHE_SIZE", "much")

    with pytest.raises(RigError, match=r"RIG_CACHE_SIZE.*'much' is not a size"):
        store.bound()


def test_names_are_listed_with_what_they_stand_for(store: Store) -> None:
    store.set_ref("kernel/debian:bookworm-01", K1)
    store.set_ref("layer/mine", S1)

    assert store.refs() == {"kernel/debian:bookworm-01": K1, "layer/mine": S1}


def test_two_builders_of_one_thing_take_turns(store: Store) -> None:
    order = []

    def build(name: str) -> None:
        with store.lock("image"):
            order.append(f"{name} begins")
            time.sleep(0.05)
            order.append(f"{name} ends")

    threads = [threading.Thread(target=build, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [line.split()[1] for line in order] == ["begins", "ends", "begins", "ends"]
    assert order[0][0] == order[1][0]


def test_leftovers_of_dead_builders_are_swept_and_those_of_living_ones_stay(store: Store) -> None:
    with store.staging_directory() as alive:
        dead = store.root / "tmp" / "4194304-dead"  # above pid_max
        dead.mkdir()

        swept = store.sweep_leftovers()

        assert swept == 1
        assert alive.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_cache_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)

    with pytest.raises(RigError, match="set RIG_CACHE"), Store(locked / "cache").staging_directory():
        pass


def test_key_of_two_texts_is_not_that_of_their_sum() -> None:
    assert digest_text("ab", "c") != digest_text("a", "bc")


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "..",
        "../victim",
        "/tmp/victim",
        "a" * 63,
        "A" * 64,
        "g" * 64,
        "a" * 65,
        "a" * 64 + "\n",
        "a" * 32 + "/" + "a" * 31,
    ],
)
def test_key_that_is_not_a_hash_touches_nothing(key: str, store: Store, tmp_path: Path) -> None:
    victim = tmp_path / "cache/victim/file"
    kept = _add(store, "snapshot", S1)
    victim.parent.mkdir()
    victim.write_text("mine")

    with pytest.raises(RigError, match="is not a key of the cache"):
        _add(store, "snapshot", key)

    assert victim.read_text() == "mine"
    assert store.entries() == [kept]
    assert store.get("snapshot", key) is None


@pytest.mark.parametrize("kind", ["", "..", "../..", "refs", "tmp", "/etc"])
def test_kind_that_does_not_exist_is_refused(kind: str, store: Store) -> None:
    with pytest.raises(RigError, match="is not a key of the cache"):
        _add(store, kind, K1)

    assert store.get(kind, K1) is None
