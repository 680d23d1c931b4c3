# SPDX-License-Identifier: MIT
"""Untrusted bundles: a valid one is imported, a tampered one is refused, and the user's own files stay untouched."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from rig.errors import RigError
from rig.image.digest import digest_text
from rig.image.layer.layer import SIZES
from rig.image.store import Store
from rig.machine.identity import key_of
from rig.machine.recording import LARGEST_RECORDING
from rig.replay import bundle_format
from rig.replay.bundle_format import Budget
from rig.replay.export_bundle import export_run
from rig.replay.import_bundle import Imported, _unpack_members, import_run
from rig.replay.room import Room
from rig.replay.tar_reader import BadArchive
from rig.run.directory import list_runs, read_run
from rig.run.imported import read_imported
from rig.run.unfinished import LOCK
from tests.image.bad_keys import BAD_KEYS
from tests.replay.made_archive import FILES, KEY, RUN_ID, MadeArchive, add, compress, digest, run_json


class Home:
    """A user's cache and runs, and a file beside them that no import may change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root / "cache")
        self.runs = root / "runs"
        self.precious = root / "precious" / "file"
        self.precious.parent.mkdir()
        self.precious.write_text("mine")

    def take(self, archive: Path, **options: Any) -> Imported:
        return import_run(self.store, archive, self.runs, **options)

    def own_snapshot(self, state: bytes) -> None:
        with self.store.staging_directory() as work:
            result = work / "result"
            result.mkdir()
            for name, data in {**FILES["snapshot"], "state": state}.items():
                (result / name).write_bytes(data)
            self.store.add("snapshot", KEY, result, {})

    def files(self) -> dict[str, bytes]:
        """Return path -> content of all files except locks."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "locks" not in path.parts
        }


@pytest.fixture
def home(tmp_path: Path) -> Home:
    directory = tmp_path / "home"
    directory.mkdir()
    return Home(directory)


def _refused(home: Home, archive: Path, *words: str) -> None:
    before = home.files()

    with pytest.raises(RigError) as caught:
        home.take(archive)

    for word in words:
        assert word in str(caught.value)
    assert home.files() == before
    assert not list(home.runs.glob("*")) if home.runs.exists() else True


@pytest.mark.parametrize("manifest", ["bundle.json", "parcel.json"])
def test_honest_archive_is_taken(manifest: str, home: Home, tmp_path: Path) -> None:
    imported = home.take(MadeArchive(manifest=manifest).pack(tmp_path / "x"))

    assert [part.split()[0] for part in imported.added] == ["kernel", "initramfs", "rootfs", "snapshot"]
    assert read_run(imported.directory) == imported.run
    assert (imported.directory / "console.log").read_bytes() == b"[    0.0] Linux\n"
    assert home.take(tmp_path / "x").added == ()


def test_imported_run_can_be_exported_again(home: Home, tmp_path: Path) -> None:
    imported = home.take(MadeArchive().pack(tmp_path / "x"))

    export_run(home.store, imported.run, imported.directory, tmp_path / "y")

    other = Home(_made(tmp_path / "other"))
    assert other.take(tmp_path / "y").run == imported.run
    assert read_imported(other.runs / RUN_ID) == read_imported(imported.directory)


def test_run_whose_rig_was_killed_as_it_finished_can_be_exported(home: Home, tmp_path: Path) -> None:
    imported = home.take(MadeArchive().pack(tmp_path / "x"))
    (imported.directory / LOCK).touch()

    export_run(home.store, imported.run, imported.directory, tmp_path / "y")

    assert Home(_made(tmp_path / "other")).take(tmp_path / "y").run == imported.run


def _made(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("key", [*BAD_KEYS, "{home}/precious"])
@pytest.mark.parametrize(
    "where", ["environment__snapshot_hash", "recording__guest__kernel", "recording__guest__snapshot"]
)
def test_key_that_is_not_a_hash_is_refused(where: str, key: str, home: Home, tmp_path: Path) -> None:
    home.own_snapshot(b"mine")
    run = run_json(**{where: key.replace("{home}", str(home.root))})

    _refused(home, MadeArchive(run=run).pack(tmp_path / "x"), "is not the hash of a")


@pytest.mark.parametrize(
    "run_id",
    [
        "", ".", "..", "...", "/", "a/b", "../precious", "\0", "a" * 300, "sweeps", "verify", "last", ".hidden", "-rf",
        "\x1b[31mred", "20250131-142530-k4fq\n", "20250131-142530-k4fq/..", " 20250131-142530-k4fq", "２0250131-142530-k4fq",
    ],
)  # fmt: skip
def test_id_of_another_form_is_refused(run_id: str, home: Home, tmp_path: Path) -> None:
    _refused(home, MadeArchive(run=run_json(id=run_id)).pack(tmp_path / "x"), "is not a run's id")


@pytest.mark.parametrize(
    "name",
    [
        "../precious/file", "/etc/passwd", "run/../../precious/file", "run//console.log", "run/./x", "run", "other/file",
        "run/\x1b[2J", "run/\n", "run/" + "a" * 250, "run/" + "a/" * 20 + "b", "run/.lock", "run/imported.json",
        "cache/refs/" + KEY + "/x", "cache/imported/" + KEY + "/x", "cache/snapshot/../x", "cache/snapshot/.." + KEY + "/x",
        f"cache/snapshot/{KEY}/../x", f"cache/snapshot/{KEY}/a/b", "cache/snapshot/" + "G" * 64 + "/x",
    ],
)  # fmt: skip
def test_member_with_a_name_that_no_run_has_is_refused(name: str, home: Home, tmp_path: Path) -> None:
    _refused(home, MadeArchive(files={name: b"evil"}).pack(tmp_path / "x"), "rig did not write this archive")


@pytest.mark.parametrize(
    ("kind", "link"),
    [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "run/run.json"), (tarfile.DIRTYPE, ""), (tarfile.CHRTYPE, ""),
     (tarfile.FIFOTYPE, ""), (tarfile.GNUTYPE_SPARSE, ""), (tarfile.GNUTYPE_LONGNAME, ""), (tarfile.XGLTYPE, "")],
)  # fmt: skip
def test_member_that_is_not_a_regular_file_is_refused(kind: bytes, link: str, home: Home, tmp_path: Path) -> None:
    archive = MadeArchive().pack(tmp_path / "x", lambda tar: add(tar, "run/console.log", kind=kind, link=link))

    _refused(home, archive, "not a regular file")


def test_member_that_comes_twice_is_refused(home: Home, tmp_path: Path) -> None:
    archive = MadeArchive().pack(tmp_path / "x", lambda tar: add(tar, "run/console.log", b"another"))

    _refused(home, archive, "does not name")


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"null", b"7", b"[" * 100_000, b'{"layout":1}', b'{"layout":1,"files":[]}', b'{"layout":2,"files":{}}',
        b'{"layout":1,"files":{"run/x":7}}', b'{"layout":1,"files":{"run/x":"00"}}', b'{"layout":1,"files":{},"about":7}',
        b"\xff\xfe", json.dumps({"layout": 1, "files": {f"run/{n}": "0" * 64 for n in range(1001)}}).encode(),
    ],
)  # fmt: skip
def test_manifest_of_another_form_is_refused(text: bytes, home: Home, tmp_path: Path) -> None:
    _refused(home, MadeArchive(manifest_text=text).pack(tmp_path / "x"), "rig did not write this archive")


@pytest.mark.parametrize("run", [{}, [], {"id": 7}, run_json(verdict="perfect"), run_json(claims=[{}])])
def test_run_that_cannot_be_read_is_refused(run: Any, home: Home, tmp_path: Path) -> None:
    _refused(home, MadeArchive(run=run).pack(tmp_path / "x"), "not a run")


def test_archive_without_a_run_is_refused(home: Home, tmp_path: Path) -> None:
    made = MadeArchive(without_run=True)

    _refused(home, made.pack(tmp_path / "x"), "it holds no run.json")


@pytest.mark.parametrize(
    "text",
    [b'{"x":[' + b"[]," * 5_000_000 + b"[]]}", b'{"x":[' + b"0," * 8_000_000 + b"0]}", b'{"claims":[' + b"0," * 590_000 + b"0]}", b"[" * 8_000_000,
     b'{"sysctls":{' + b",".join(b'"%d":1' % n for n in range(590_000)) + b"}}"],
    ids=["containers", "values", "errors", "depth", "keys"],
)  # fmt: skip
def test_run_that_would_take_much_memory_is_refused(text: bytes, tmp_path: Path) -> None:
    made = MadeArchive(without_run=True)
    made.files["run/run.json"] = text

    done = _import_in_little_room(made.pack(tmp_path / "x"), tmp_path)

    assert (done.returncode, done.stdout) == (3, "")
    assert "not a run" in done.stderr


def test_file_with_another_hash_is_refused(home: Home, tmp_path: Path) -> None:
    archive = MadeArchive(digests={"run/console.log": digest(b"another")}).pack(tmp_path / "x")

    _refused(home, archive, "run/console.log is not what its hash says")


@pytest.mark.parametrize("kind", sorted(FILES))
def test_archive_without_a_part_is_refused(kind: str, home: Home, tmp_path: Path) -> None:
    made = MadeArchive()
    made.files = {name: data for name, data in made.files.items() if not name.startswith(f"cache/{kind}/")}

    _refused(home, made.pack(tmp_path / "x"), f"lacks the run's {kind}")


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_archive_that_is_cut_is_refused(kept: float, home: Home, tmp_path: Path) -> None:
    archive = MadeArchive().pack(tmp_path / "x")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])

    _refused(home, archive, "rig did not write this archive")


def test_another_run_of_that_id_stays(home: Home, tmp_path: Path) -> None:
    home.take(MadeArchive().pack(tmp_path / "x"))
    before = home.files()

    with pytest.raises(RigError, match="a run with this id exists"):
        home.take(MadeArchive(run=run_json(title="another")).pack(tmp_path / "y"))

    assert home.files() == before


@pytest.mark.parametrize("state", [b"its devices", b"changed by a stranger"])
def test_own_snapshot_stays_beside_the_imported_one(state: bytes, home: Home, tmp_path: Path) -> None:
    home.own_snapshot(b"mine")
    before = home.files()
    made = MadeArchive(run=run_json(recording__guest__snapshot=digest(state)))
    made.files[f"cache/snapshot/{KEY}/state"] = state

    imported = home.take(made.pack(tmp_path / "x"))

    assert {name: home.files()[name] for name in before} == before
    own = home.store.get("snapshot", KEY)
    assert own is not None
    assert own.file("state").read_bytes() == b"mine"
    beside = home.store.get("imported", (read_imported(imported.directory) or {})["snapshot"])
    assert beside is not None
    assert beside.file("state").read_bytes() == state


def test_side_file_of_a_strangers_snapshot_does_not_take_the_place_of_ones_own(home: Home, tmp_path: Path) -> None:
    """The run names the state's hash alone: the other files of the snapshot must not come in through it."""
    home.own_snapshot(b"its devices")
    made = MadeArchive()
    made.files[f"cache/snapshot/{KEY}/boot.log"] = b"a stranger's"

    home.take(made.pack(tmp_path / "x"))

    own = home.store.get("snapshot", KEY)
    assert own is not None
    assert own.file("boot.log").read_bytes() == b"booted\n"
    assert own.damaged() == []


def test_key_must_be_the_hash_of_the_identity_that_the_archive_carries(home: Home, tmp_path: Path) -> None:
    identity = {"kernel": "a", "memory": 1}
    honest = run_json(environment__snapshot_hash=key_of(identity))

    _refused(home, MadeArchive(identity=identity).pack(tmp_path / "x"), "is not the hash of the identity")
    imported = home.take(MadeArchive(identity=identity, run=honest).pack(tmp_path / "y"))

    beside = home.store.get("imported", (read_imported(imported.directory) or {})["snapshot"])
    assert beside is not None
    assert beside.about["identity"] == identity


@pytest.mark.parametrize("identity", [[], "a", 7, {}, {"a": [[[]]]}])
def test_identity_of_another_form_is_refused(identity: object, home: Home, tmp_path: Path) -> None:
    _refused(home, MadeArchive(identity=identity).pack(tmp_path / "x"), "is not the hash of the identity")


def test_unrecorded_run_comes_without_parts(home: Home, tmp_path: Path) -> None:
    made = MadeArchive(run=run_json(recording={"reason": "asked for"}))
    made.files = {"run/console.log": b"x"}

    imported = home.take(made.pack(tmp_path / "x"))

    assert imported.added == ()
    assert [listed.id for listed in list_runs(home.runs)] == [RUN_ID]


def test_key_of_imported_parts_says_all_that_is_in_them(home: Home, tmp_path: Path) -> None:
    imported = home.take(MadeArchive().pack(tmp_path / "x"))

    parts = read_imported(imported.directory) or {}

    files = sorted(f"{name}:{digest(data)}" for name, data in FILES["snapshot"].items())
    assert parts["snapshot"] == digest_text("snapshot", *files)


# The tests below import bundles that unpack to far more than they hold. They run with limits on memory and file size.


def _zeros_and(data: bytes, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield data


def _header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT if size > 8 << 30 else tarfile.PAX_FORMAT)


def _manifest(**files: str) -> bytes:
    text = json.dumps({"layout": 1, "files": files or {"run/run.json": "0" * 64, "run/console.log": "0" * 64}}).encode()
    return _header("bundle.json", len(text)) + text + bytes(-len(text) % 512)


MIB = b"A" * (1 << 20)
BOMBS: dict[str, Iterator[bytes]] = {
    "file": iter([_manifest(), _header("run/console.log", 400 << 20), *[MIB] * 400]),
    "manifest": iter([_header("bundle.json", 300 << 20), *[b"[" * (1 << 20)] * 300]),
    "run.json": iter([_manifest(), _header("run/run.json", 300 << 20), *[b"[" * (1 << 20)] * 300]),
    "pax header": iter([_header("x", 1 << 30, tarfile.XHDTYPE), *[MIB] * 300]),
    "global pax header": iter([_header("x", 1 << 30, tarfile.XGLTYPE), *[MIB] * 300]),
    "long name": iter([_header("x", 1 << 30, tarfile.GNUTYPE_LONGNAME), *[MIB] * 300]),
    "pax headers": iter([_header("x", 512, tarfile.XHDTYPE) + b"512 a=" + b"b" * 505 + b"\n"] * 100_000),
    "size": iter([_manifest(), _header("run/console.log", 1 << 60), *[MIB] * 300]),
}


@pytest.mark.parametrize("bomb", sorted(BOMBS))
def test_bomb_is_refused_in_little_memory_and_disk(bomb: str, tmp_path: Path) -> None:
    archive = compress(BOMBS[bomb], tmp_path / "x")

    done = _import_in_little_room(archive, tmp_path)

    assert (done.returncode, done.stdout) == (3, "")
    assert "rig did not write this archive" in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != archive]


def _import_in_little_room(archive: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rig", "import", str(archive)],
        env={"PATH": "/usr/bin:/bin", "RIG_CACHE": str(directory / "cache"), "RIG_RUNS": str(directory / "runs")},
        preexec_fn=_little_room,
        capture_output=True,
        text=True,
        check=False,
    )


def _little_room() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (800 << 20, 800 << 20))
    # Room for the expansion that an import always allows, and no more.
    resource.setrlimit(resource.RLIMIT_FSIZE, (300 << 20, 300 << 20))


def test_recording_as_large_as_a_run_may_have_is_taken_however_well_it_compresses(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is a run's, and that of its archive says nothing: with smaller bounds of both, to be cheap."""
    monkeypatch.setattr(bundle_format, "FREE_EXPANSION", 64 << 10)
    monkeypatch.setattr(bundle_format, "MOST_EXPANSION", 1)
    monkeypatch.setattr(bundle_format, "LARGEST_RECORDING", 2 << 20)
    monkeypatch.setattr(bundle_format, "OVERSHOOT", 4096)
    made = MadeArchive(run=run_json(recording={"reason": "asked for"}))
    made.files["run/recording/replay.bin"] = (b"the same line\n" * (1 << 18))[: 2 << 20] + bytes(64 << 20)

    imported = home.take(made.pack(tmp_path / "x"))

    found = imported.directory / "recording" / "replay.bin"
    assert found.stat().st_size == 66 << 20
    assert found.stat().st_blocks * 512 < 3 << 20

    made.files["run/recording/replay.bin"] = b"A" * ((2 << 20) + 4097)
    with pytest.raises(RigError, match="far more than a run can"):
        home.take(made.pack(tmp_path / "y"))


def test_bound_of_a_recording_is_that_of_a_run_and_not_of_the_archive() -> None:
    budget = bundle_format.Budget(packed=1)

    budget.write("run/recording/replay.bin", LARGEST_RECORDING)

    with pytest.raises(BadArchive, match="far more than a run can"):
        budget.write("run/console.log", LARGEST_RECORDING)


def test_holes_of_an_archive_stay_holes(home: Home, tmp_path: Path) -> None:
    memory = bytes(5 << 20) + b"x" * 4096 + bytes(20 << 20)
    made = MadeArchive(run=run_json(recording={"reason": "asked for"}))
    made.files = {"run/ram": memory}

    imported = home.take(made.pack(tmp_path / "x"))

    found = imported.directory / "ram"
    assert found.read_bytes() == memory
    assert found.stat().st_blocks * 512 <= 128 << 10


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"recording__guest__memory": 8 << 20}, f"cache/snapshot/{KEY}/ram"),
        ({"recording__guest__layers": [{"digest": "1" * 64, "size": 8 << 20}]}, f"cache/layer/{'1' * 64}/root.img"),
    ],
    ids=["memory", "layer"],
)
def test_part_full_of_one_pattern_is_imported_up_to_the_size_that_the_run_states(
    changes: dict[str, Any], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory of gigabytes that a program filled with one pattern compresses ten thousandfold: smaller here."""
    monkeypatch.setattr(bundle_format, "FREE_EXPANSION", 64 << 10)
    monkeypatch.setattr(bundle_format, "MOST_EXPANSION", 1)
    made = MadeArchive(run=run_json(**changes))
    made.files[part] = b"one pattern" * ((8 << 20) // 11)

    with zstd_of(made.pack(tmp_path / "x")) as stream:
        _, run = _unpack_members(stream, Budget(1), Room(tmp_path), tmp_path / "work", tmp_path / "x")

    assert run.id == RUN_ID
    assert (tmp_path / "work" / part).stat().st_size == len(made.files[part])

    made.files[part] += b"more" * (64 << 10)
    with zstd_of(made.pack(tmp_path / "y")) as stream, pytest.raises(BadArchive, match="far more than a run can"):
        _unpack_members(stream, Budget(1), Room(tmp_path), tmp_path / "again", tmp_path / "y")


def test_run_that_states_more_memory_than_the_host_has_gets_no_room_for_it() -> None:
    budget = Budget(packed=1)
    budget.allow(memory=1 << 44, layers=())
    here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    with pytest.raises(BadArchive, match="larger than it can be"):
        budget.announce(f"cache/branch/{KEY}/ram.pages", bundle_format.LARGEST + here + 1)
    budget.write(f"cache/branch/{KEY}/ram.pages", here)

    with pytest.raises(BadArchive, match="far more than a run can"):
        budget.write(f"cache/branch/{KEY}/ram.pages", 1 << 30)


def test_run_that_states_a_larger_layer_than_rig_makes_gets_no_room_for_it() -> None:
    budget = Budget(packed=1)
    budget.allow(memory=1, layers=[1 << 40, SIZES[0]])

    budget.write(f"cache/layer/{KEY}/layer.img", SIZES[-1] + SIZES[0])

    with pytest.raises(BadArchive, match="far more than a run can"):
        budget.write(f"cache/layer/{KEY}/layer.img", 1 << 30)


@contextmanager
def zstd_of(archive: Path) -> Iterator[IO[bytes]]:
    with subprocess.Popen(["zstd", "-q", "-d", "-c", archive], stdout=subprocess.PIPE) as zstd:
        assert zstd.stdout is not None
        yield zstd.stdout
