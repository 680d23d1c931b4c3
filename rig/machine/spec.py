# SPDX-License-Identifier: MIT
"""The description of a guest, as frozen values. Command lines, snapshots and runs are derived from them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["VIRTIO_CONSOLE", "Accel", "Clock", "Debugger", "GuestSpec", "Layer", "RamFile", "Recorder", "Wiring"]


VIRTIO_CONSOLE = "rig.console=hvc0"
"""The word of `append` that makes a virtio console, hvc0, the guest's console: a noisy guest prints faster there."""


class Clock(enum.StrEnum):
    """The guest's clock.

    warp: guest time counts instructions and skips idle time (-icount sleep=off).
    live: guest time is the host's.
    """

    WARP = "warp"
    LIVE = "live"


class Accel(enum.StrEnum):
    """QEMU's accelerator, which executes the guest's instructions."""

    TCG = "tcg"
    KVM = "kvm"


@dataclass(frozen=True)
class Layer:
    """A filesystem on its own NVDIMM, which becomes the root directory of programs.

    A snapshot is taken with a blank layer of the same size, so only the size is part of its identity.
    size: bytes.
    """

    image: Path
    digest: str
    size: int


@dataclass(frozen=True)
class GuestSpec:
    """All that shapes a guest, and therefore its snapshot.

    memory, rootfs_size, payload_size: bytes.
    kernel_digest, initramfs_digest, rootfs_digest: SHA-256 of the files' content.
    machine, cpu_model: the values of -machine and -cpu.
    swap: bytes of the virtio disk for swap, 0 for none.
    disk: bytes of the virtio disk for files, 0 for none.
    append: words added to the kernel's command line.
    qemu_args: words added to QEMU's command line.
    continuation_size: bytes of the NVDIMM for the continuation of a branched run, 0 for a guest without one.
    """

    memory: int
    cpus: int
    clock: Clock
    accel: Accel
    kernel: Path
    kernel_digest: str
    initramfs: Path
    initramfs_digest: str
    rootfs: Path
    rootfs_digest: str
    rootfs_size: int
    payload_size: int
    machine: str
    cpu_model: str
    swap: int = 0
    disk: int = 0
    append: tuple[str, ...] = ()
    qemu_args: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    continuation_size: int = 0

    @property
    def has_virtio_console(self) -> bool:
        """Whether the console is hvc0; ttyS0 is then one of its own."""
        return VIRTIO_CONSOLE in self.append


@dataclass(frozen=True)
class Recorder:
    """QEMU's record and replay: the rrfile, and whether QEMU writes or reads it."""

    mode: Literal["record", "replay"]
    file: Path


@dataclass(frozen=True)
class Debugger:
    """QEMU's gdbstub.

    port: a port of 127.0.0.1; None for a Unix socket.
    history: a qcow2 image for the snapshots of a replay, from which gdb executes backwards.
    """

    port: int | None = None
    history: Path | None = None


@dataclass(frozen=True)
class RamFile:
    """A file that backs the guest's memory.

    kept: whether the guest's writes go to the file; otherwise it is mapped privately.
    """

    path: Path
    kept: bool = False


@dataclass(frozen=True)
class Wiring:
    """What differs between two starts of the same guest: sockets, files, a name.

    It is the complement of GuestSpec: nothing here is part of a snapshot's identity. It has many fields because each of
    them adds one option to QEMU's command line (command.py), independent of the others.

    directory: the directory of the sockets and pipes.
    incoming: whether QEMU waits for a snapshot to restore.
    ssh: whether QEMU forwards a port of 127.0.0.1, which it chooses, to the guest's SSH server.
    run_as: the user to which a QEMU started as root drops its privileges.
    dump: an open descriptor of the file for the memory of a guest that panicked.
    prealloc: whether QEMU allocates all of the guest's pages before the guest starts.
    continuation: the image of the continuation: blank, the point at which to stop, or other steps of the plan.
    blank_layers: a directory of blank images, named by their sizes, that stand in for the layers of a new snapshot.
    """

    name: str
    directory: Path
    payload: Path
    incoming: bool = False
    recorder: Recorder | None = None
    swap: Path | None = None
    disk: Path | None = None
    ssh: bool = False
    run_as: str | None = None
    shell: bool = False
    debugger: Debugger | None = None
    dump: int | None = None
    ram: RamFile | None = None
    prealloc: bool = False
    blank_layers: Path | None = None
    continuation: Path | None = None

    @property
    def qmp(self) -> Path:
        """The socket on which rig listens for QMP."""
        return self.directory / "qmp"

    @property
    def console(self) -> Path:
        """The pipe of the guest's console: QEMU adds .in and .out to its name."""
        return self.directory / "console"

    @property
    def serial(self) -> Path:
        """The pipe of ttyS0 in a guest whose console is hvc0."""
        return self.directory / "serial"

    @property
    def events(self) -> Path:
        """The pipe of the agent's records."""
        return self.directory / "events"

    @property
    def gdb(self) -> Path:
        """The socket on which QEMU listens for a debugger."""
        return self.directory / "gdb"

    @property
    def shell_socket(self) -> Path:
        """The socket of the second console, hvc0, for the user."""
        return self.directory / "shell"
