# SPDX-License-Identifier: MIT
"""Make bundles for tests of `rig import`: a valid one, and variants of it as an attacker could craft them."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from rig.image.digest import digest_text

RUN_ID = "20250131-142530-k4fq"
KEY = digest_text("a snapshot's identity")
FILES = {
    "kernel": {"bzImage": b"a kernel", "config": b"CONFIG_X=y\n"},
    "initramfs": {"initramfs.cpio": b"an initramfs"},
    "rootfs": {"root.img": b"a root filesystem"},
    "snapshot": {"state": b"its devices", "boot.log": b"booted\n", "ready.jsonl": b'{"ev":"ready","n":0,"t":1}\n'},
}


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def run_json(**changes: Any) -> dict[str, Any]:
    """Return a valid run.json. changes: values to replace, by the path of their keys, as in `environment__qemu=…`."""
    run: dict[str, Any] = {
        "id": RUN_ID,
        "scenario": "memory-is-copied",
        "started": "2025-01-31T14:25:30+00:00",
        "verdict": "reproduced",
        "environment": {"qemu": "version 7.2", "snapshot_hash": KEY, "kernel_hash": digest(b"a kernel")},
        "recording": {
            "path": "recording/replay.bin",
            "size": 9,
            "sha256": digest(b"recorded\n"),
            "guest": {
                "memory": 96 << 20,
                "cpus": 1,
                "payload_size": 1 << 20,
                "kernel": digest(b"a kernel"),
                "initramfs": digest(b"an initramfs"),
                "rootfs": digest(b"a root filesystem"),
                "snapshot": digest(b"its devices"),
            },
        },
    }
    for path, value in changes.items():
        *above, last = path.split("__")
        inner = run
        for key in above:
            inner = inner[key]
        inner[last] = value
    return run


@dataclass
class MadeArchive:
    """An archive that can be changed before it is packed. files: member -> content; manifest: name of the first member."""

    run: dict[str, Any] = field(default_factory=run_json)
    files: dict[str, bytes] = field(default_factory=dict)
    manifest: str = "bundle.json"
    without_run: bool = False
    identity: object = None
    room: object = 0
    manifest_text: bytes | None = None
    digests: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = {
            "run/console.log": b"[    0.0] Linux\n",
            "run/events.jsonl": b"{}\n",
            "run/recording/payload.zst": b"packed",
            "run/recording/replay.bin": b"recorded\n",
            **{
                f"cache/{kind}/{KEY if kind == 'snapshot' else digest(next(iter(files.values())))}/{name}": data
                for kind, files in FILES.items()
                for name, data in files.items()
            },
            **self.files,
        }

    def pack(self, path: Path, write: Callable[[tarfile.TarFile], None] | None = None) -> Path:
        """Write the archive. write: called with the open archive to append further members."""
        files = {**({} if self.without_run else {"run/run.json": json.dumps(self.run).encode()}), **self.files}
        named = {name: self.digests.get(name, digest(data)) for name, data in files.items()}
        about = {} if self.identity is None else {f"snapshot/{KEY}": {"identity": self.identity}}
        text = json.dumps({"layout": 1, "run": RUN_ID, "files": named, "about": about, "room": self.room}).encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            add(tar, self.manifest, text if self.manifest_text is None else self.manifest_text)
            for name, data in files.items():
                add(tar, name, data)
            if write is not None:
                write(tar)
        return compress([buffer.getvalue()], path)


def add(tar: tarfile.TarFile, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(data), kind, link
    tar.addfile(member, io.BytesIO(data))


def compress(pieces: Iterable[bytes], path: Path) -> Path:
    """Compress a stream with zstd, without reading all of it into memory."""
    with path.open("wb") as file:
        zstd = subprocess.Popen(["zstd", "-q", "-1", "-c"], stdin=subprocess.PIPE, stdout=file)
        assert zstd.stdin is not None
        with zstd.stdin as stdin:
            for piece in pieces:
                stdin.write(piece)
        assert zstd.wait() == 0
    return path
