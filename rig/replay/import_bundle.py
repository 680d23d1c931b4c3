# SPDX-License-Identifier: MIT
"""Import a bundle: an archive with a run and everything its replay needs, each file checked by its hash."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from rig.disk import bytes_below, cannot_write
from rig.errors import RigError, UsageError
from rig.image.digest import digest_file, digest_text
from rig.image.entry import is_key
from rig.image.hosttools import tool
from rig.image.programs import STREAM, started_program
from rig.image.sparse import write_sparse
from rig.image.store import Store
from rig.machine.identity import key_of
from rig.replay.bundle_format import LARGEST_MANIFEST, MANIFESTS, Budget, Manifest, read_manifest
from rig.replay.replayable import bundled_parts, parts_of
from rig.replay.room import Room
from rig.replay.tar_reader import BadArchive, Member, read_members
from rig.run.directory import RUN_FILE, parse_run, runs_directory
from rig.run.document import Run
from rig.run.imported import read_imported, write_imported
from rig.run.unfinished import finish_directory, unfinished_directory
from rig.sanitize import plain

__all__ = ["Imported", "import_run"]

KEPT = ("identity", "step", "time")
"""What an imported part keeps of its description: a snapshot's identity, and where a branch point is."""


@dataclass(frozen=True)
class Imported:
    """An imported run. added: the cache entries that did not exist on this host before."""

    run: Run
    directory: Path
    added: tuple[str, ...]


def import_run(store: Store, source: Path, root: Path | None = None, *, trust: bool = False) -> Imported:
    """Unpack an archive: the run into the directory of runs, its parts into the cache beside the local entries.

    Every file is checked against its SHA-256.
    trust: accept a run whose guest has extra QEMU options, which may name any file of this host.
    Raises RigError for a file that is not a bundle, a damaged or truncated bundle, a name or hash in it that has not
    the allowed form, a different run with the same id on this host, and a disk without room for it.
    """
    root = runs_directory() if root is None else root
    with store.staging_directory() as work:
        with store.writing():
            manifest, run = _unpack(source, work, Room(store.root))
        _check_keys(source, run)
        # A replay uses those of the recorded guest, and a branch those of the environment.
        guest = run.recording.guest
        options = [*run.environment.qemu_args, *(() if guest is None else guest.qemu_args)]
        if options and not trust:
            raise RigError(
                "the run's guest has QEMU options of its own, and a replay would use them: "
                + " ".join(dict.fromkeys(options)),
                where=source,
                remedy="read them, then import it with --trust",
            )
        target = root / run.id
        kept = target / RUN_FILE
        if kept.is_file() and kept.read_bytes() != (work / "run" / RUN_FILE).read_bytes():
            raise RigError("a run with this id exists already", where=target, remedy="move it elsewhere first")
        if not kept.is_file():
            _need_room_for_run(work / "run", root)
        here = {entry.key for entry in store.entries("imported")}
        parts = _adopt(store, work, manifest, run)
        if not kept.is_file():
            with unfinished_directory(root, run.id) as directory:
                try:
                    for path in (work / "run").iterdir():
                        shutil.move(path, directory)
                    write_imported(directory, parts)
                except OSError as error:
                    raise cannot_write("the run's directory", root, error) from error
                finish_directory(directory, target)
        elif parts:
            write_imported(target, (read_imported(target) or {}) | parts)
        return Imported(run, target, tuple(f"{name} {key[:16]}" for name, key in parts.items() if key not in here))


def _need_room_for_run(run: Path, root: Path) -> None:
    """Raise RigError where the run is to be copied to another disk, which has no room for it."""
    room = Room(root)
    if room.device != run.stat().st_dev:
        room.need(bytes_below(run))


def _check_keys(source: Path, run: Run) -> None:
    """Raise RigError where one of the run's hashes does not have the allowed form."""
    if (guest := run.recording.guest) is not None:
        keys = [("snapshot", run.environment.snapshot_hash), ("snapshot", guest.snapshot)]
        point = [("branch", guest.point)] if guest.point else []
        for kind, key in [*keys, *((part.kind, part.digest) for part in parts_of(guest)), *point]:
            if not is_key(kind, key):
                raise _damaged(source, f"{key[:40]!r} is not the hash of a {kind}")


def _adopt(store: Store, work: Path, manifest: Manifest, run: Run) -> dict[str, str]:
    """Move the parts that this host lacks into the cache, and return name (Part.name) -> key of each.

    The key is computed from the content and never taken from the archive: a snapshot that somebody else made must never
    be restored for a guest of the local user.
    """
    lacking = []
    for part in bundled_parts(run):
        kind, digest = part.kind, part.digest
        if any(digest in entry.files.values() and not entry.damaged() for entry in store.entries(kind)):
            continue
        names = [name for name, each in manifest.files.items() if each == digest and name.startswith(f"cache/{kind}/")]
        if not names:
            raise RigError(f"the archive lacks the run's {kind} ({digest[:16]})", where=MANIFESTS[0])
        directory = PurePosixPath(names[0]).parent
        lacking.append((part, directory))
        identity = manifest.about.get(f"{kind}/{directory.name}", {}).get("identity")
        # Snapshots of earlier versions have no identity to compare.
        if kind == "snapshot" and identity is not None and not _is_of(run, identity):
            raise RigError("the snapshot's key is not the hash of the identity beside it", where=MANIFESTS[0])
    keys: dict[str, str] = {}
    moved: set[str] = set()  # two layers of a run may be the same file
    for part, directory in lacking:
        kind = part.kind
        files = {
            PurePosixPath(name).name: each for name, each in manifest.files.items() if name.startswith(f"{directory}/")
        }
        keys[part.name] = key = digest_text(kind, *(f"{name}:{each}" for name, each in sorted(files.items())))
        kept = manifest.about.get(f"{kind}/{directory.name}", {})
        about = {"kind": kind, "spec": f"{kind} of run {run.id} {plain(kept.get('spec', ''), longest=80)}".rstrip()}
        if key in moved:
            continue
        moved.add(key)
        store.add("imported", key, work / directory, about | {k: v for k, v in kept.items() if k in KEPT})
    return keys


def _is_of(run: Run, identity: object) -> bool:
    return isinstance(identity, dict) and key_of(identity) == run.environment.snapshot_hash


def _unpack(source: Path, work: Path, room: Room) -> tuple[Manifest, Run]:
    """Unpack the members that the manifest lists, and no others; return the manifest and the run."""
    if not source.is_file():
        raise UsageError("there is no such file", where=source, remedy="name one that rig export wrote")
    command = [tool("zstd"), "-q", "-d", "-c"]
    with source.open("rb") as file, started_program(command, stdin=file, deadline=STREAM) as zstd:
        assert zstd.stdout is not None
        assert zstd.stderr is not None
        try:
            found = _unpack_members(zstd.stdout, Budget(source.stat().st_size), room, work, source)
            # tar pads the archive with zeros to a record of 10 KiB. zstd checks the frame's checksum only at its end.
            if zstd.stdout.read(1 << 20).strip(b"\0") or zstd.stdout.read(1) or zstd.wait() != 0:
                raise BadArchive("something is wrong with its end")
            return found
        except BadArchive as error:
            # If zstd has exited, its error message is more precise than "the stream is cut short".
            words = zstd.stderr.read(4096).decode(errors="replace").strip() if zstd.poll() else ""
            raise _damaged(source, words or str(error)) from None


def _damaged(source: Path, why: str) -> RigError:
    return RigError(
        f"rig did not write this archive, or it is damaged: {why}", where=source, remedy="export the run again"
    )


def _unpack_members(stream: IO[bytes], budget: Budget, room: Room, work: Path, source: Path) -> tuple[Manifest, Run]:
    run = None
    members = read_members(stream)
    first = next(members, None)
    if first is None or first.name not in MANIFESTS or first.size > LARGEST_MANIFEST:
        raise BadArchive(f"it does not begin with a manifest, {MANIFESTS[0]}")
    manifest = read_manifest(b"".join(first.pieces()))
    room.need(manifest.room)
    missing = dict(manifest.files)
    for member in members:
        # read_manifest() has checked the listed names, so only a listed name may become a path.
        expected = missing.pop(member.name, None)
        if expected is None:
            raise BadArchive(f"a member that its manifest does not name: {member.name[:80]!r}")
        budget.announce(member.name, member.size)
        if _write(member, budget, room, work / member.name) != expected:
            raise BadArchive(f"{member.name} is not what its hash says")
        if member.name == f"run/{RUN_FILE}":
            run = parse_run((work / member.name).read_bytes(), source)
            if (guest := run.recording.guest) is not None:
                budget.allow(guest.memory, (layer.size for layer in guest.layers))
    if missing:
        raise BadArchive(f"it is cut short: {len(missing)} files are missing, {next(iter(missing))} the first")
    if run is None:
        raise BadArchive(f"it holds no {RUN_FILE}")
    return manifest, run


def _write(member: Member, budget: Budget, room: Room, target: Path) -> str:
    """Write a member's content, with runs of zeros as holes, and return its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb", buffering=0) as file:
        for data in member.pieces():
            written = write_sparse(file.fileno(), data)
            budget.write(member.name, written)
            room.take(written)
        file.truncate(member.size)
    return digest_file(target)
