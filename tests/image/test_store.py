# SPDX-License-Identifier: MIT
"""The cache: an entry is complete or absent, checked by hash, and the size is bounded."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import threading
import time
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image import cache_lock, manifest
from rig.image.digest import digest_text
from rig.image.entry import Entry
from rig.image.store import Store
from tests.image.bad_keys import BAD_KEYS

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


def test_file_that_was_verified_is_read_again_only_when_it_was_touched(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = _add(store, "kernel", K1)
    read: list[Path] = []
    monkeypatch.setattr("rig.image.entry.digest_once", lambda path: read.append(path) or entry.files[path.name])

    def verify() -> int:
        read.clear()
        assert store.get_verified("kernel", K1) is not None
        return len(read)

    assert (verify(), verify()) == (1, 0)
    entry.file("file").write_bytes(b"content")
    assert verify() == 1


def test_byte_that_flips_after_a_verification_is_found(store: Store) -> None:
    entry = _add(store, "kernel", K1)
    assert store.get_verified("kernel", K1) is not None
    entry.file("file").write_bytes(b"cOntent")

    assert store.get_verified("kernel", K1) is None


@pytest.mark.parametrize("name", ["state", "manifest.json"])
@pytest.mark.parametrize("damage", [b"", b"{", b"\0\0", b'{"files":7,"about":{}}', None])
def test_small_file_of_a_snapshot_is_put_back_from_its_copy(
    name: str, damage: bytes | None, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    entry = _snapshot(store)
    whole = entry.file(name).read_bytes()
    entry.file(name).unlink()
    if damage is not None:
        entry.file(name).write_bytes(damage)

    found = store.get_verified("snapshot", S1)

    assert found == entry
    assert entry.file(name).read_bytes() == whole
    assert "damaged on disk" in caplog.text
    assert "copy" in caplog.text


def test_flipped_bit_of_a_hash_in_a_manifest_costs_nothing(store: Store) -> None:
    entry = _snapshot(store)
    text = entry.file("manifest.json").read_text()
    entry.file("manifest.json").write_text(text.replace(entry.files["ram"], entry.files["ram"][::-1]))

    assert store.get_verified("snapshot", S1) == entry


def test_snapshot_that_is_lost_is_set_aside_and_said(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(manifest, "LARGEST_COPY", 3)
    for _ in range(4):
        entry = _snapshot(store)
        entry.file("ram").write_bytes(b"rAm")

        assert store.get_verified("snapshot", S1) is None

    assert "recordings made from it can no longer be replayed; it is kept in" in caplog.text
    aside = list((store.root / "damaged").iterdir())
    # Four were set aside: two made room for later ones, and that is said of each.
    gone = re.findall(r"(\S+) is removed: only the 2 newest damaged entries are kept", caplog.text)
    assert len(set(gone)) == 2
    assert all(f"it is kept in {path}" in caplog.text for path in gone)
    assert not set(gone) & {str(path) for path in aside}
    assert [(path / "ram").read_bytes() for path in aside] == [b"rAm", b"rAm"]
    assert store.entries() == []


@pytest.mark.parametrize("form", ["lock", "lock_async"])
def test_wait_for_another_rig_is_said(
    form: str, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rig.image.cache_lock.SILENT_WAIT", 0.05)

    async def wait() -> None:
        async with store.lock_async("kernel/x", 900):
            pass

    def wait_in_a_thread() -> None:
        with store.lock("kernel/x", 900):
            pass

    waiting = threading.Thread(target=wait_in_a_thread if form == "lock" else lambda: asyncio.run(wait()))
    with store.lock("kernel/x", 900):
        waiting.start()
        while not caplog.messages:
            time.sleep(0.01)
    waiting.join()

    (said,) = caplog.messages
    assert re.fullmatch(
        rf"waiting for process {os.getpid()} \(.+\), which holds {store.root}/locks/kernel@x.lock", said
    )


@pytest.mark.parametrize("form", ["lock", "lock_async"])
def test_wait_for_a_lock_that_is_never_released_ends_with_an_error(
    form: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rig.image.cache_lock.SILENT_WAIT", 0.05)
    monkeypatch.setenv("RIG_TIMEOUT_SCALE", "0.5")
    errors: list[RigError] = []

    async def wait() -> None:
        async with store.lock_async("kernel/x", 0.1):
            pass

    def wait_in_a_thread() -> None:
        with store.lock("kernel/x", 0.1):
            pass

    def waits() -> None:
        try:
            wait_in_a_thread() if form == "lock" else asyncio.run(wait())
        except RigError as error:
            errors.append(error)

    waiting = threading.Thread(target=waits)
    with store.lock("kernel/x", 900):
        waiting.start()
        waiting.join(60)

    (error,) = errors
    assert f"process {os.getpid()} (" in error.what
    assert error.what.endswith("has not released a lock of the cache within 0.1 s")
    assert error.where == f"{store.root}/locks/kernel@x.lock"
    assert "RIG_TIMEOUT_SCALE=3" in (error.remedy or "")


def test_holder_that_the_kernel_does_not_name_is_another_rig(tmp_path: Path) -> None:
    assert cache_lock._holder(tmp_path) == "another rig process"


def test_size_of_an_entry_holds_the_copies_of_its_files(store: Store) -> None:
    entry = _snapshot(store)

    copies = [entry.path / "copies" / name for name in entry.files]

    assert entry.size == sum(path.stat().st_blocks * 512 for path in [*map(entry.file, entry.files), *copies])


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../x"])
def test_name_that_points_at_no_key_points_at_nothing(content: bytes, store: Store) -> None:
    store.set_ref("kernel/debian:bookworm", K1)
    (store.root / "refs/kernel@debian=bookworm").write_bytes(content)

    key = store.ref("kernel/debian:bookworm")

    assert key is None or store.get("kernel", key) is None


def _snapshot(store: Store) -> Entry:
    with store.staging_directory() as work:
        result = work / "result"
        result.mkdir()
        (result / "ram").write_bytes(b"memory")
        (result / "state").write_bytes(b"de")
        return store.add("snapshot", S1, result, {"identity": {}})


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


def test_copy_into_a_full_cache_names_the_cache_and_not_the_source(store: Store) -> None:
    with pytest.raises(RigError, match="the disk is full") as caught, store.writing():
        raise OSError(errno.ENOSPC, "No space left on device", "/boot/vmlinuz", None, str(store.root / "tmp/x"))

    assert caught.value.where == str(store.root)


def test_names_are_listed_with_what_they_stand_for(store: Store) -> None:
    store.set_ref("kernel/debian:bookworm-01", K1)
    store.set_ref("layer/mine", S1)

    assert store.refs() == {"kernel/debian:bookworm-01": K1, "layer/mine": S1}


def test_two_builders_of_one_thing_take_turns(store: Store) -> None:
    order = []

    def build(name: str) -> None:
        with store.lock("image", 900):
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


@pytest.mark.parametrize("key", BAD_KEYS)
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
