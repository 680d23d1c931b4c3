"""The payload: what one run brings into the guest, as a squashfs on an NVDIMM of fixed size.

Its first bytes are what the agent waits for, so the payload is also the go. A snapshot is taken over a
blank one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from rig.errors import RigError
from rig.image.hosttools import run_tool

__all__ = ["PAYLOAD_SIZE", "Payload", "blank_payload", "keep_payload", "write_payload"]

# One size for all runs: a restored guest keeps the size it was snapshotted with.
PAYLOAD_SIZE = 32 << 20


@dataclass(frozen=True)
class Payload:
    """plan: the plan's text, or None in a live guest; files: path in the payload -> a program of the host;
    texts: path in the payload -> content.
    """

    plan: str | None = None
    files: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


def blank_payload(path: Path) -> None:
    """Make the empty payload (all zero, sparse)."""
    with path.open("wb") as file:
        file.truncate(PAYLOAD_SIZE)


def write_payload(payload: Payload, path: Path) -> None:
    """Write a payload image at `path`, padded to PAYLOAD_SIZE. The same content makes the same bytes.

    Raises RigError when it does not fit.
    """
    with tempfile.TemporaryDirectory(prefix="rig-payload-") as name:
        tree = Path(name) / "tree"
        (tree / "bin").mkdir(parents=True)
        if payload.plan is not None:
            (tree / "plan").write_text(payload.plan)
        for target, text in payload.texts.items():
            (tree / target).parent.mkdir(parents=True, exist_ok=True)
            (tree / target).write_text(text)
        for target, source in payload.files.items():
            (tree / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, tree / target)
            (tree / target).chmod(0o755)
        for each in (tree, *tree.rglob("*")):
            if each.is_dir():
                each.chmod(0o755)
            os.utime(each, (0, 0))
        # Uncompressed: it is mapped from the host's page cache, and unpacking would be paid for in the guest.
        run_tool(
            [
                "mksquashfs", tree, path, "-noappend", "-quiet", "-no-progress", "-all-root",
                "-noI", "-noD", "-noF", "-noX", "-no-xattrs",
                "-mkfs-time", "0",
                "-processors", "1",
            ],
            what="packing the payload",
        )  # fmt: skip
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size > PAYLOAD_SIZE:
            raise RigError(
                f"the scenario's programs take {size >> 20} MB, the payload holds {PAYLOAD_SIZE >> 20} MB",
                remedy="make them smaller: strip them, or leave data out",
            )
        file.truncate(PAYLOAD_SIZE)


def keep_payload(payload: Path, copy: Path) -> None:
    """Copy a payload without its padding: what the squashfs says it uses (bytes_used, at 40 in its superblock)."""
    with payload.open("rb") as source:
        used = int.from_bytes(source.read(48)[40:48], "little")
        source.seek(0)
        copy.write_bytes(source.read(used))
