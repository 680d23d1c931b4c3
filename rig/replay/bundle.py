# SPDX-License-Identifier: MIT
"""A run with all that its replay needs in one file: its folder, kernel, initramfs, root and snapshot, by hash."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from rig.errors import RigError, UsageError
from rig.image.digest import digest_file
from rig.image.hosttools import disk_full, tool
from rig.image.sparse import write_sparse
from rig.image.store import Entry, Store
from rig.replay.replayable import parts_of
from rig.run.document import Run
from rig.run.folder import LARGEST_RUN_FILE, RUN_FILE, runs_folder

__all__ = ["Imported", "export_run", "import_run"]

MANIFEST = "parcel.json"
LAYOUT = 1
LARGEST = 16 << 30
"""Bytes that a parcel may unpack to."""
MOST_FILES = 1000


@dataclass(frozen=True)
class Imported:
    """A run that came in. added: the cache's parts that were not here before."""

    run: Run
    folder: Path
    added: tuple[str, ...]


def export_run(store: Store, run: Run, folder: Path, target: Path) -> int:
    """Write the run and its parts into `target` (tar, zstd) and return its size in bytes.

    A run without a recording is exported alone: it can be read and reported anywhere. Raises RigError where a part
    is missing or the disk is full.
    """
    members = {f"run/{path.relative_to(folder)}": path for path in sorted(folder.rglob("*")) if path.is_file()}
    cached = [] if run.recording.guest is None else [_entry(store, run, *each) for each in _wanted(run)]
    for entry in cached:
        names = entry.files if entry.kind == "snapshot" else _needed_only(entry, run)
        members |= {f"cache/{entry.kind}/{entry.key}/{name}": entry.file(name) for name in names}
    manifest = {
        "layout": LAYOUT,
        "run": run.id,
        "qemu": run.environment.qemu,
        "files": {name: digest_file(path) for name, path in members.items()},
        "about": {f"{entry.kind}/{entry.key}": entry.about for entry in cached},
    }
    aside = target.with_name(f".{target.name}.partial")
    try:
        with _packing(aside) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
            _add_bytes(tar, MANIFEST, json.dumps(manifest, indent=1).encode())
            for name, path in members.items():
                tar.add(path, arcname=name, recursive=False, filter=_nobody)
        aside.replace(target)
    except OSError as error:
        raise RigError(f"cannot be written: {error.strerror}", where=target, remedy="name another place") from error
    finally:
        aside.unlink(missing_ok=True)
    return target.stat().st_size


def _wanted(run: Run) -> list[tuple[str, str]]:
    assert run.recording.guest is not None
    parts = [(part.kind, part.digest) for part in parts_of(run.recording.guest)]
    return [*parts, ("snapshot", run.recording.guest.snapshot)]


def _entry(store: Store, run: Run, kind: str, digest: str) -> Entry:
    for entry in store.entries(kind):
        if digest in entry.files.values():
            found = store.whole(kind, entry.key)
            if found is not None:
                return found
    hint = "" if run.recording.guest is None else getattr(run.recording.guest, f"{kind}_path", "")
    if hint and Path(hint).is_file() and digest_file(Path(hint)) == digest:
        path = Path(hint)
        return Entry(kind, digest, path.parent, {path.name: digest}, {"spec": path.name})
    raise RigError(
        f"the run's {kind} ({digest[:16]}) is not here any more",
        where=store.root,
        remedy="run it again, and export that run",
    )


def _needed_only(entry: Entry, run: Run) -> list[str]:
    """The one file of the entry that the guest boots, and what says how it was configured."""
    digests = {digest for _, digest in _wanted(run)}
    return [name for name, digest in entry.files.items() if digest in digests or name == "config"]


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


@contextmanager
def _packing(target: Path) -> Iterator[IO[bytes]]:
    with target.open("wb") as file:
        zstd = subprocess.Popen(
            [tool("zstd"), "-q", "-T0", "-6"], stdin=subprocess.PIPE, stdout=file, stderr=subprocess.PIPE
        )
        assert zstd.stdin is not None
        assert zstd.stderr is not None
        broken = False
        try:
            yield zstd.stdin
        except BrokenPipeError:
            broken = True
        finally:
            try:
                zstd.stdin.close()
            except BrokenPipeError:
                broken = True
            words = zstd.stderr.read().decode(errors="replace").strip()
            status = zstd.wait()
        if "No space left" in words:
            raise disk_full(target.parent)
        if status != 0 or broken:
            raise RigError("the parcel could not be packed", where=target, detail=words)


def import_run(store: Store, source: Path, root: Path | None = None, *, trust: bool = False) -> Imported:
    """Unpack a parcel: the run into the runs' folder, its parts into the cache; every file is checked by hash.

    trust: take a run whose guest has QEMU options of its own, which may name any file of this host. Raises RigError
    for what is no parcel, is damaged or cut short, and for a run that is already here and is not the same.
    """
    root = runs_folder() if root is None else root
    with store.workplace() as work:
        manifest = _unpack(source, work)
        try:
            run = Run.model_validate_json((work / "run" / RUN_FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise RigError("the parcel holds no run that can be read", where=source) from error
        if run.recording.guest is not None and run.recording.guest.qemu_args and not trust:
            raise RigError(
                "the run's guest has QEMU options of its own, and a replay would use them: "
                + " ".join(run.recording.guest.qemu_args),
                where=source,
                remedy="read them, then import it with --trust",
            )
        target = root / PurePosixPath(run.id).name
        if target.exists():
            if (target / RUN_FILE).read_bytes() != (work / "run" / RUN_FILE).read_bytes():
                raise RigError("another run of that id is here already", where=target, remedy="move it away first")
        else:
            root.mkdir(parents=True, exist_ok=True)
            aside = root / f".unfinished-{target.name}-import"
            try:
                shutil.copytree(work / "run", aside)
                aside.rename(target)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        return Imported(run, target, tuple(_adopt(store, work, manifest, run)))


def _adopt(store: Store, work: Path, manifest: dict[str, Any], run: Run) -> Iterator[str]:
    """Move the parts into the cache. Those that are here, whole, stay as they are."""
    for kind, digest in _wanted(run) if run.recording.guest is not None else []:
        if any(digest in entry.files.values() for entry in store.entries(kind)):
            continue
        folder = next(
            (
                work / Path(*PurePosixPath(name).parts[:3])
                for name, found in manifest["files"].items()
                if found == digest and name.startswith(f"cache/{kind}/")
            ),
            None,
        )
        if folder is None:
            raise RigError(f"the parcel lacks the run's {kind} ({digest[:16]})", where=MANIFEST)
        # A snapshot's key is what it is looked for by; another made of the same parts cannot stand in for it.
        key = run.environment.snapshot_hash if kind == "snapshot" else digest
        if (old := store.get(kind, key)) is not None:
            store.remove(old)
        about = manifest.get("about", {}).get(f"{kind}/{folder.name}", {})
        store.add(kind, key, folder, about if isinstance(about, dict) else {})
        yield f"{kind} {key[:16]}"


def _unpack(source: Path, work: Path) -> dict[str, Any]:
    """Unpack what the manifest names and nothing else; return the manifest."""
    if not source.is_file():
        raise UsageError("there is no such file", where=source, remedy="name one that rig export wrote")
    with source.open("rb") as file:
        zstd = subprocess.Popen(
            [tool("zstd"), "-q", "-d", "-c"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert zstd.stdout is not None
        assert zstd.stderr is not None
        try:
            with tarfile.open(fileobj=zstd.stdout, mode="r|") as tar:
                return _unpack_members(tar, source, work)
        except tarfile.TarError as error:
            words = zstd.stderr.read().decode(errors="replace").strip() if zstd.poll() is not None else ""
            raise _damaged(source, words or str(error)) from error
        finally:
            zstd.kill()
            zstd.wait()
            zstd.stdout.close()
            zstd.stderr.close()


def _damaged(source: Path, why: str) -> RigError:
    return RigError(f"is no parcel of rig's, or is damaged: {why}", where=source, remedy="export the run again")


def _unpack_members(tar: tarfile.TarFile, source: Path, work: Path) -> dict[str, Any]:
    members = iter(tar)
    first = next(members, None)
    if first is None or first.name != MANIFEST or first.size > LARGEST_RUN_FILE:
        raise _damaged(source, f"it does not begin with {MANIFEST}")
    stream = tar.extractfile(first)
    assert stream is not None
    try:
        manifest = json.load(stream)
        wanted = {str(name): str(digest) for name, digest in manifest["files"].items()}
        layout = manifest["layout"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(source, f"{MANIFEST} cannot be read") from error
    if layout != LAYOUT:
        raise RigError(f"the parcel has layout {layout}, this rig reads {LAYOUT}", where=source)
    left = LARGEST
    for member in members:
        path = PurePosixPath(member.name)
        if member.name not in wanted or not member.isreg() or path.is_absolute() or ".." in path.parts:
            raise _damaged(source, f"a member that its manifest does not name: {member.name}")
        left -= member.size
        if left < 0 or len(wanted) > MOST_FILES:
            raise _damaged(source, "it is larger than a run can be")
        content = tar.extractfile(member)
        assert content is not None
        if _copy(content, work / path) != wanted.pop(member.name):
            raise _damaged(source, f"{member.name} is not what its hash says")
    if wanted:
        raise _damaged(source, f"it is cut short: {len(wanted)} files are missing, {next(iter(wanted))} the first")
    checked: dict[str, Any] = manifest
    return checked


def _copy(content: IO[bytes], target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb", buffering=0) as file:
        size = 0
        while data := content.read(1 << 20):
            write_sparse(file.fileno(), data)
            size += len(data)
        file.truncate(size)
    return digest_file(target)
