# SPDX-License-Identifier: MIT
"""The parts of run.json that say what a run was made with and where it began: environment, recording, origin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rig
from rig.experiment.departure import Departure
from rig.experiment.execution import Execution
from rig.experiment.prepare import PreparedGuest
from rig.experiment.request import Job
from rig.machine.recording import is_finished
from rig.run.recording_files import RECORDING

if TYPE_CHECKING:
    from rig.run.document import Environment, Recording

__all__ = ["environment_of", "origin_of", "recording_of"]


def environment_of(ready: Job, guest: PreparedGuest, execution: Execution) -> Environment:
    """Return the host, QEMU and guest of a run."""
    from rig.run.document import Environment, UsedLayer

    parts = guest.parts
    host = os.uname()
    return Environment(
        host=f"{host.sysname} {host.release} {host.machine}",
        rig=rig.__version__,
        qemu=guest.qemu.text,
        accelerator=guest.accel.accel,
        accelerator_reason=guest.accel.why,
        clock=guest.spec.clock.value,
        kernel=parts.kernel.release,
        kernel_name=parts.kernel.spec,
        kernel_reason=parts.kernel_reason,
        kernel_package=parts.kernel.package or "",
        kernel_hash=parts.kernel.digest,
        image_name=parts.image_name,
        image_reason=parts.image_reason,
        image_hash=parts.rootfs.digest,
        snapshot_hash=execution.snapshot,
        payload_hash=execution.payload_hash,
        append=guest.spec.append,
        qemu_args=guest.spec.qemu_args,
        notes=execution.notes,
        layers=tuple(
            UsedLayer(source=layer.source, digest=layer.digest, size=layer.size, packages=dict(layer.packages))
            for layer in ready.layers
        ),
    )


def recording_of(
    directory: Path,
    guest: PreparedGuest,
    execution: Execution,
    files: dict[str, str],
    departure: Departure | None,
) -> Recording:
    """Return where the recording is and what a replay must match, or why there is none.

    files: SHA-256 of each file of the run's directory, by name.
    """
    from rig.run.document import RecordedGuest, RecordedLayer, Recording

    file, spec = directory / RECORDING, guest.spec
    if execution.recorded and file.is_file() and not is_finished(file):
        return Recording(reason="QEMU was ended from outside and did not finish its recording")
    if execution.recorded and file.is_file():
        return Recording(
            path=str(file.relative_to(directory)),
            size=file.stat().st_size,
            sha256=files[RECORDING],
            console_sha256=files["console.log"],
            events_sha256=files["events.jsonl"],
            guest=RecordedGuest(
                memory=spec.memory,
                cpus=spec.cpus,
                payload_size=spec.payload_size,
                append=spec.append,
                qemu_args=spec.qemu_args,
                kernel=spec.kernel_digest,
                kernel_path=str(spec.kernel),
                initramfs=spec.initramfs_digest,
                initramfs_path=str(spec.initramfs),
                rootfs=spec.rootfs_digest,
                rootfs_path=str(spec.rootfs),
                snapshot=execution.snapshot_digest,
                prealloc=guest.prealloc and departure is None,
                continuation_size=spec.continuation_size,
                continuation=execution.continuation_hash,
                point="" if departure is None else departure.point.key,
                layers=tuple(
                    RecordedLayer(digest=layer.digest, size=layer.size, path=str(layer.image)) for layer in spec.layers
                ),
                machine=spec.machine,
                cpu_model=spec.cpu_model,
            ),
        )
    return Recording(reason=guest.unrecorded)


def origin_of(departure: Departure | None) -> dict[str, Any]:
    """Return the entries of run.json that say where the run began, if not at the boot."""
    from rig.run.document import Prefix

    if departure is None:
        return {}
    branch = departure.branch
    found: dict[str, Any] = {"parent": branch.parent or None if branch else None, "branch": branch}
    if departure.past is not None:
        past, point = departure.past, departure.point
        found["prefix"] = Prefix(
            point=past.name, key=point.key, step=point.step, time=point.time, made=past.made, content=past.content
        )
    return found
