# SPDX-License-Identifier: MIT
"""The part of run.json that a replay needs: the recording, and the guest that must be started again."""

from __future__ import annotations

from pydantic import Field

from rig.run.document_model import Many, Model

__all__ = ["RecordedGuest", "RecordedLayer", "Recording"]


class RecordedLayer(Model):
    """A layer of a program's root file system that the guest had on a separate NVDIMM. size: bytes."""

    digest: str
    size: int = Field(gt=0, le=1 << 40)
    path: str = ""


MACHINE_PATTERN = r"^(pc-)?q35(-\d+\.\d+)?(,(nvdimm|usb|vmport|smbus|hpet)=(on|off))*$"
"""The -machine options that a recording may use. Other options could let an imported run open files of this host."""


CPU_PATTERN = r"^max(,-[a-z0-9-]+|,(family|model|stepping)=\d+)*$"


class RecordedGuest(Model):
    """The guest that a replay must start again. Each file has its SHA-256 and its path on the recording host."""

    memory: int = Field(gt=0, le=1 << 44)
    """Bytes."""
    cpus: int = Field(gt=0, le=4096)
    payload_size: int = Field(gt=0, le=1 << 30)
    """Bytes. The upper bound keeps an imported run from filling the disk."""
    append: Many[str] = ()
    qemu_args: Many[str] = ()
    kernel: str
    kernel_path: str = ""
    initramfs: str
    initramfs_path: str = ""
    rootfs: str
    rootfs_path: str = ""
    snapshot: str
    """SHA-256 of the saved state. A replay needs this very snapshot: two snapshots of one guest differ in bytes."""
    prealloc: bool = False
    layers: tuple[RecordedLayer, ...] = Field((), max_length=8)
    continuation_size: int = Field(0, ge=0, le=1 << 26)
    """Bytes of the NVDIMM for a continuation. Guests of earlier versions have none."""
    continuation: str = ""
    """SHA-256 of that image."""
    point: str = ""
    """Key of the branch point from which the run began; empty for a run that began at its guest's snapshot."""
    machine: str = Field("q35,nvdimm=on,usb=off,vmport=off,smbus=off", pattern=MACHINE_PATTERN)
    """The value of QEMU's -machine. The default applies to old recordings, which do not name it."""
    cpu_model: str = Field("max,-erms,-fsrm,model=4,stepping=0", pattern=CPU_PATTERN)
    """The value of QEMU's -cpu. The default applies to old recordings, which do not name it."""


class Recording(Model):
    """The recording's path in the run's directory (or why there is none), and what a replay must match."""

    path: str | None = None
    size: int | None = None
    reason: str | None = None
    sha256: str = ""
    console_sha256: str = ""
    events_sha256: str = ""
    guest: RecordedGuest | None = None
