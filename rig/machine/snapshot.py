# SPDX-License-Identifier: MIT
"""Snapshots: a booted guest that waits for its payload, saved once and restored for every run.

A snapshot's key is the hash of its identity (identity.py), which is stored with it.

The guest's memory and the state of its devices are two files. While a snapshot is made, QEMU maps the memory's file
shared, so the migration capability x-ignore-shared leaves it out of the stream. A restored guest maps the file
privately: all guests share its pages in the host's page cache until they write to them, and no page is read before it
is used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.image.entry import Entry
from rig.image.sparse import SUFFIX
from rig.image.store import Store
from rig.machine.command import memory_is_a_file
from rig.machine.identity import Identity, differences, identity_of, key_of
from rig.machine.qemu import Qemu
from rig.machine.spec import GuestSpec

__all__ = [
    "BOOT_LOG",
    "HEAD",
    "RAM",
    "READY",
    "STATE",
    "Snapshot",
    "SnapshotFiles",
    "expected_snapshot",
    "find_snapshot",
    "imported_snapshot",
    "kept_identity",
    "kernel_head",
    "nearest_snapshots",
    "read_snapshot",
]

STATE = "state"
RAM = "ram" + SUFFIX
HEAD = "kernel.head"
BOOT_LOG = "boot.log"
READY = "ready.jsonl"
QUEUE_ENTRIES, PORT_ENTRIES = 32, 128
"""Entries of virtio-serial's control queue and of a port's queue (hw/char/virtio-serial-bus.c).

Debian's QEMU 10.0.13 gives every virtqueue 1024 entries, whatever the device asks for.
"""
LARGEST_READY = 64 << 10


@dataclass(frozen=True)
class SnapshotFiles:
    """The files of a snapshot that QEMU's command line names.

    ram: the guest's memory, or None if the migration stream holds it.
    head: the first sectors of a bzImage, or None for a kernel of another format.
    """

    key: str
    ram: Path | None
    head: Path | None


@dataclass(frozen=True)
class Snapshot(SnapshotFiles):
    """A guest that was saved when its agent reported ready.

    identity: None if an earlier version of rig made the snapshot.
    state: the migration stream.
    digest: of the memory's file, or of the stream if the stream holds the memory.
    boot_log: the console's output until then.
    ready: the agent's record `ready`.
    ready_line: the line of that record.
    queue_entries: entries of virtio-serial's control queue, or None if QEMU did not report them.
    sysctls: names of the kernel's sysctls; empty if they are not known.
    """

    identity: Identity | None
    state: Path
    digest: str
    boot_log: Path
    ready: dict[str, Any]
    ready_line: bytes
    queue_entries: int | None = None
    sysctls: frozenset[str] = frozenset()

    @property
    def console_before(self) -> bytes:
        """What the guest printed before it was saved and belongs to the run. A snapshot is taken before any run."""
        return b""

    @property
    def records_before(self) -> bytes:
        """What the agent reported before the guest was saved."""
        return self.ready_line

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what this QEMU does differently and what that costs of the guest's memory. Usually empty."""
        if self.queue_entries is None or self.queue_entries <= QUEUE_ENTRIES:
            return ()
        # The guest's drivers/char/virtio_console.c fills two queues with buffers of a page for each entry: the control
        # queue and the receive queue of the one open port.
        extra = 2 * self.queue_entries - QUEUE_ENTRIES - PORT_ENTRIES
        return (
            f"this QEMU gives virtio-serial queues of {self.queue_entries} entries in place of {QUEUE_ENTRIES} and"
            f" {PORT_ENTRIES}: their buffers take {extra >> 8} MB more of the guest's memory (Slab)",
        )


def find_snapshot(store: Store, key: str) -> Snapshot | None:
    """Return the snapshot with this key, verified by hash, or None. A damaged one is removed and logged."""
    entry = store.get_verified("snapshot", key)
    return None if entry is None else read_snapshot(entry)


def kept_identity(entry: Entry) -> Identity | None:
    """Return the identity that is stored with a snapshot, or None if an earlier version of rig made it."""
    found = entry.about.get("identity")
    return found if isinstance(found, dict) else None


def nearest_snapshots(store: Store, identity: Identity) -> list[tuple[Entry, list[str]]]:
    """Return the cache's other snapshots with their differences from an identity, the fewest differences first."""
    found = [
        (entry, differences(kept, identity))
        for entry in store.entries("snapshot")
        if (kept := kept_identity(entry)) is not None and kept != identity
    ]
    return sorted(found, key=lambda pair: len(pair[1]))


def imported_snapshot(store: Store, key: str) -> Snapshot | None:
    """Return the snapshot that came with an imported run, or None. Only a replay of that run may restore it."""
    entry = store.get_verified("imported", key)
    if entry is None or not {STATE, BOOT_LOG, READY} <= entry.files.keys():
        return None
    try:
        return read_snapshot(entry)
    except (ValueError, RecursionError):
        # The record comes from another host and may be malformed or nested too deeply for json.loads().
        return None


def read_snapshot(entry: Entry) -> Snapshot:
    """Return the snapshot of a cache entry. Raises ValueError or RecursionError for a malformed record."""
    with entry.file(READY).open("rb") as file:
        line = file.read(LARGEST_READY)
    ram = entry.file(RAM) if RAM in entry.files else None
    digest = entry.files[RAM if ram else STATE]
    head = entry.file(HEAD) if HEAD in entry.files else None
    return Snapshot(
        key=entry.key,
        identity=kept_identity(entry),
        ram=ram,
        head=head,
        state=entry.file(STATE),
        digest=digest,
        boot_log=entry.file(BOOT_LOG),
        ready=json.loads(line),
        ready_line=line,
        queue_entries=entries if isinstance(entries := entry.about.get("queue_entries"), int) else None,
        sysctls=_texts(entry.about.get("sysctls")),
    )


def _texts(names: Any) -> frozenset[str]:
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def expected_snapshot(store: Store, spec: GuestSpec, qemu: Qemu) -> SnapshotFiles:
    """Return the paths of the guest's snapshot. The snapshot need not exist yet."""
    key = key_of(identity_of(spec, qemu))
    directory = store.root / "snapshot" / key
    return SnapshotFiles(
        key=key,
        ram=directory / RAM if memory_is_a_file(spec) else None,
        head=directory / HEAD if kernel_head(spec.kernel) else None,
    )


def kernel_head(kernel: Path) -> bytes:
    """Return the start of a bzImage, which is enough for QEMU to restore a guest: the setup code and one sector more.

    A restored guest has its kernel in memory already. With the full image QEMU would hold a copy of it, 14 MB a guest.
    The header is that of Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, the magic "HdrS" at 0x202.
    Empty for a kernel of another format.
    """
    with kernel.open("rb") as file:
        start = file.read(0x206)
        if len(start) < 0x206 or start[0x202:] != b"HdrS":
            return b""
        file.seek(0)
        # The setup has setup_sects + 1 sectors, and a setup_sects of 0 stands for 4. x86_load_linux() (hw/i386/x86.c)
        # refuses a file that is shorter than its setup. It loads the rest as the kernel, which here is one sector.
        return file.read(((start[0x1F1] or 4) + 2) * 512)
