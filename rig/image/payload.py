# SPDX-License-Identifier: MIT
"""The payload: what one run brings into the guest, as a filesystem on an NVDIMM of fixed size.

A restored guest's agent waits for the payload's first bytes, so the payload also starts the run. A snapshot is taken
with a blank payload.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from rig.errors import RigError
from rig.image.daximage import TooLarge, write_blank, write_ext4
from rig.image.digest import digest_file, digest_once, digest_text
from rig.image.hosttools import run_tool, tool
from rig.image.staging import staging_directory
from rig.image.store import Store

__all__ = ["PAYLOAD_SIZE", "Payload", "blank_payload", "cached_payload", "keep_payload", "payload_key", "write_payload"]

# The size is the same for all runs, because a restored guest keeps the NVDIMM's size of its snapshot.
PAYLOAD_SIZE = 34 << 20
KIND, IMAGE = "payload", "image"
MOST_CACHED = 32
"""Images of some MB each: those of the scenarios that a user works with."""


@dataclass(frozen=True)
class Payload:
    """The content of a payload. All paths are those in the payload.

    plan: the plan's text, or None in a live guest.
    files: path -> a file of the host.
    texts: path -> content.
    links: path -> what the symbolic link points to.
    modes: path -> permission bits of one of `files`; 0755 for the others.
    directories: paths of directories that are made even if nothing is in them.
    """

    plan: str | None = None
    files: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    directories: tuple[str, ...] = ()

    def with_extra(self, extra: Payload) -> Payload:
        """Return this payload with the files of another one."""
        return Payload(
            plan=self.plan,
            files={**self.files, **extra.files},
            texts={**self.texts, **extra.texts},
            links={**self.links, **extra.links},
            modes={**self.modes, **extra.modes},
            directories=(*self.directories, *extra.directories),
        )


def payload_key(payload: Payload) -> str:
    """Return a key of a payload's content: equal payloads make equal images."""
    files = {target: digest_once(source) for target, source in payload.files.items()}
    rest = [payload.texts, payload.links, payload.modes, payload.directories]
    return digest_text(json.dumps([payload.plan, files, *rest], sort_keys=True))


def blank_payload(path: Path) -> None:
    """Make the blank payload, a sparse file of PAYLOAD_SIZE."""
    write_blank(path, PAYLOAD_SIZE)


def write_payload(payload: Payload, path: Path) -> None:
    """Write a payload image of PAYLOAD_SIZE at `path`. The same content makes the same bytes.

    Raises RigError when it does not fit.
    """
    with staging_directory("payload") as directory:
        tree = directory / "tree"
        (tree / "bin").mkdir(parents=True)
        if payload.plan is not None:
            (tree / "plan").write_text(payload.plan)
        for target, text in payload.texts.items():
            (tree / target).parent.mkdir(parents=True, exist_ok=True)
            (tree / target).write_text(text)
        for target in payload.directories:
            (tree / target).mkdir(parents=True, exist_ok=True)
        for target, source in payload.files.items():
            (tree / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, tree / target)
            (tree / target).chmod(payload.modes.get(target, 0o755))
        for target, to in payload.links.items():
            (tree / target).parent.mkdir(parents=True, exist_ok=True)
            (tree / target).symlink_to(to)
        for each in (tree, *tree.rglob("*")):
            if each.is_dir() and not each.is_symlink():
                each.chmod(0o755)
        try:
            write_ext4(tree, path, PAYLOAD_SIZE)
        except TooLarge as error:
            raise RigError(
                f"the scenario's programs are too large: {error.what}",
                remedy="make them smaller: strip them, or leave data out",
            ) from error


def cached_payload(store: Store, payload: Payload) -> tuple[Path, str]:
    """Return a payload's image in the cache, made if it is not there, and its SHA-256. Raises as write_payload()."""
    maker = Path(tool("mke2fs")).resolve().stat()
    key = digest_text(payload_key(payload), str(maker.st_size), str(maker.st_mtime_ns))
    entry = store.get_verified(KIND, key)
    if entry is None:
        with store.staging_directory() as work:
            (work / "result").mkdir()
            image = work / "result" / IMAGE
            write_payload(payload, image)
            image.chmod(0o644)
            entry = store.add(KIND, key, work / "result", {}, {IMAGE: digest_file(image)})
        for old in store.entries(KIND)[MOST_CACHED:]:
            store.remove_unused(old)
    return entry.file(IMAGE), entry.files[IMAGE]


def keep_payload(payload: Path, copy: Path) -> None:
    """Keep a payload for the replay, compressed: most of it is empty."""
    run_tool(["zstd", "-q", "-f", "--sparse", payload, "-o", copy], what="keeping the payload")
