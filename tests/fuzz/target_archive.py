# SPDX-License-Identifier: MIT
"""Whatever an archive has in it: it is refused with a message, or imported, and nothing else on the disk changes.

The input is a tar file that is not compressed: what the fuzzer changes in a compressed one only breaks its frame. Half of
what can be read is packed again with the right hashes, since a wrong hash ends an import before anything else is looked at.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path

from rig.errors import RigError
from rig.image.store import Store
from rig.replay.bundle_format import LARGEST_MANIFEST, MANIFESTS, read_manifest
from rig.replay.import_bundle import import_run
from rig.replay.tar_reader import BadArchive, read_members
from rig.run.directory import parse_run
from rig.run.imported import read_imported
from tests.fuzz.run import in_memory
from tests.replay.made_archive import add, digest
from tests.zstd import zstd

__all__ = ["one"]

WRITES = {
    "open": (0,), "os.mkdir": (0,), "os.rename": (0, 1), "os.remove": (0,), "os.rmdir": (0,), "os.link": (1,),
    "os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,),
}  # fmt: skip
"""Audit event of Python -> the places of its arguments that name what is written
(https://docs.python.org/3/library/audit_events.html)."""


class Escaped(AssertionError):
    """A path outside of the directories that an import may write to was written."""


class _Watch:
    """Refuse every write outside of a directory while it is on."""

    def __init__(self) -> None:
        self.inside: Path | None = None
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.inside is None or event not in WRITES:
            return
        reads = event == "open" and not int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        for place in WRITES[event]:
            path = arguments[place]
            # A relative path belongs to a descriptor of a directory, which was opened here as well.
            if reads or not isinstance(path, str | bytes | os.PathLike) or not Path(os.fsdecode(path)).is_absolute():
                continue
            name = os.path.realpath(os.fsdecode(path))
            # Python writes the bytecode of a module that is imported only now.
            if "__pycache__" in Path(name).parts:
                continue
            if name != os.devnull and not name.startswith(f"{self.inside}/"):
                raise Escaped(f"{event} {name}")


@cache
def _watch() -> _Watch:
    return _Watch()  # an audit hook cannot be removed


@cache
def _top() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="rig-fuzz-", dir=in_memory())


def _home() -> Path:
    """Return an empty home; what an import may write is below its `work`."""
    home = Path(_top().name).resolve() / "home"
    shutil.rmtree(home, ignore_errors=True)
    (home / "work").mkdir(parents=True)
    return home


def one(data: bytes) -> None:
    """Read one archive in parts, and import it."""
    members: list[tuple[str, bytes]] = []
    with suppress(BadArchive):
        for member in read_members(io.BytesIO(data)):
            members.append((member.name, b"".join(member.pieces())))
    for _, content in members or [("", data)]:
        with suppress(BadArchive):
            read_manifest(content[:LARGEST_MANIFEST])
        with suppress(RigError):
            parse_run(content, Path("run.json"))
    if members:
        import_packed(zstd(data if zlib.crc32(data) & 1 else with_right_hashes(members)))


def with_right_hashes(members: list[tuple[str, bytes]]) -> bytes:
    """Return the archive with a manifest that lists each member by the hash of what it holds."""
    (_, text), *others = members
    try:
        about = json.loads(text)["about"]
    except (ValueError, KeyError, TypeError, RecursionError):
        about = {}
    files = {name: digest(content) for name, content in others}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", errors="surrogateescape") as tar:
        add(tar, MANIFESTS[0], json.dumps({"layout": 1, "files": files, "about": about}).encode())
        for name, content in dict(others).items():
            add(tar, name, content)
    return buffer.getvalue()


def import_packed(packed: bytes) -> None:
    """Import an archive into an empty home. Raises AssertionError where it leaves or writes what it must not."""
    home = _home()
    archive = home / "archive"
    archive.write_bytes(packed)
    store, runs, watch = Store(home / "work/cache"), home / "work/runs", _watch()
    try:
        watch.inside = home / "work"
        imported = import_run(store, archive, runs, trust=True)
    except RigError:
        left = [path for path in (home / "work").rglob("*") if path.is_file()]
        assert [path for path in left if path.parent.name != "locks"] == []
    else:
        assert [path.name for path in runs.iterdir()] == [imported.run.id]
        assert read_imported(imported.directory) is not None
    finally:
        watch.inside = None
    assert sorted(path.name for path in home.iterdir()) == ["archive", "work"]
    assert {path.name for path in (home / "work").iterdir()} <= {"cache", "runs"}
