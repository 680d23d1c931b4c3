# SPDX-License-Identifier: MIT
"""Export a run and everything its replay needs (kernel, initramfs, root, snapshot) as one archive, keyed by hash."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from rig.disk import cannot_write, disk_full_of
from rig.errors import RigError
from rig.image.digest import digest_file
from rig.image.entry import Entry
from rig.image.hosttools import tool
from rig.image.programs import STREAM, started_program
from rig.image.store import Store
from rig.replay.bundle_format import LAYOUT, MANIFESTS
from rig.replay.replayable import Part, bundled_parts
from rig.run.directory import use_run
from rig.run.document import Run
from rig.run.imported import IMPORTED_FILE, read_imported
from rig.run.unfinished import LOCK
from rig.whole_file import unnamed_until_whole

__all__ = ["export_run"]


def export_run(
    store: Store,
    run: Run,
    directory: Path,
    target: Path,
    *,
    packed: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the run and its parts into `target` (tar, zstd) and return the archive's size in bytes.

    packed: called with the bytes that are packed, and how many there are in all.
    A run without a recording is exported without parts: it can be read and reported anywhere, but not replayed.
    Raises RigError where a part is missing or the disk is full.
    """
    use_run(directory)
    members = {
        f"run/{path.relative_to(directory)}": path
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name not in (IMPORTED_FILE, LOCK)
    }
    imported = read_imported(directory)
    cached = [_entry(store, part, imported) for part in bundled_parts(run)]
    for entry in cached:
        names = entry.files if entry.kind in ("snapshot", "branch") else _needed_only(entry, run)
        members |= {f"cache/{entry.kind}/{entry.key}/{name}": entry.file(name) for name in names}
    manifest = {
        "layout": LAYOUT,
        "run": run.id,
        "qemu": run.environment.qemu,
        "files": {name: digest_file(path) for name, path in members.items()},
        "about": {f"{entry.kind}/{entry.key}": entry.about for entry in cached},
        "room": sum(path.stat().st_blocks * 512 for path in members.values()),
    }
    try:
        with (
            unnamed_until_whole(target) as file,
            _packing(file, target) as stream,
            tarfile.open(fileobj=stream, mode="w|") as tar,
        ):
            _add_bytes(tar, MANIFESTS[0], json.dumps(manifest, indent=1).encode())
            progress = _Progress(packed, sum(path.stat().st_size for path in members.values()))
            for name, path in members.items():
                with path.open("rb") as content:
                    member = _nobody(tar.gettarinfo(arcname=name, fileobj=content))
                    tar.addfile(member, progress.reading(content))
    except OSError as error:
        raise cannot_write("the archive", target, error) from error
    return target.stat().st_size


@dataclass
class _Progress:
    """Counts the bytes of files as tarfile reads them. told: called with that number and the total."""

    told: Callable[[int, int], None]
    total: int
    done: int = 0

    def reading(self, file: IO[bytes]) -> IO[bytes]:
        """Return a file that is read like this one, and counted."""
        return cast(IO[bytes], _Counted(file, self))


@dataclass(frozen=True)
class _Counted:
    file: IO[bytes]
    progress: _Progress

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.progress.done += len(data)
        self.progress.told(self.progress.done, self.progress.total)
        return data


def _entry(store: Store, part: Part, imported: dict[str, str] | None) -> Entry:
    beside = store.get("imported", (imported or {}).get(part.name, ""))
    for entry in [*store.entries(part.kind), *([beside] if beside else [])]:
        if part.digest in entry.files.values():
            found = store.get_verified(entry.kind, entry.key)
            if found is not None:
                return replace(found, kind=part.kind)
    path = Path(part.hint)
    if imported is None and part.hint and path.is_file() and digest_file(path) == part.digest:
        return Entry(part.kind, part.digest, path.parent, {path.name: part.digest}, {"spec": path.name})
    raise RigError(
        f"the run's {part.kind} ({part.digest[:16]}) is no longer in the cache",
        where=store.root,
        remedy="run it again, and export that run",
    )


def _needed_only(entry: Entry, run: Run) -> list[str]:
    """Return the names of the entry's files that a replay needs: the booted file and its configuration."""
    digests = {part.digest for part in bundled_parts(run)}
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
def _packing(file: IO[bytes], target: Path) -> Iterator[IO[bytes]]:
    command = [tool("zstd"), "-q", "-T0", "-6"]
    with started_program(command, stdin=subprocess.PIPE, stdout=file, deadline=STREAM) as zstd:
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
        if full := disk_full_of(words, target.parent):
            raise full
        if status != 0 or broken:
            raise RigError("the archive could not be packed", where=target, detail=words)
