# SPDX-License-Identifier: MIT
"""Try a guest under KVM: make and restore its snapshot, and diagnose a failure from QEMU's output and the console."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rig.errors import RigError
from rig.image.payload import blank_payload
from rig.image.staging import staging_directory
from rig.image.store import Store
from rig.machine.boot import Patience, make_snapshot
from rig.machine.disk import disk_file
from rig.machine.identity import identity_of, key_of
from rig.machine.qemu import Qemu
from rig.machine.restoring import restored
from rig.machine.session import Listeners, runtime_directory, swap_file
from rig.machine.snapshot import find_snapshot
from rig.machine.spec import GuestSpec, Wiring

__all__ = ["PATIENCE", "Failure", "diagnose", "prove"]

# Host seconds. Under a working KVM the guest is ready in about one, so these are generous.
PATIENCE = Patience(silent=10.0, total=30.0)
BUSY = "Device or resource busy"


@dataclass(frozen=True)
class Failure:
    """How a trial failed.

    what: the reason, for the user.
    msr: the number of the MSR that QEMU could not set.
    passing: whether the reason is transient, such as a busy device.
    """

    what: str
    msr: int | None = None
    passing: bool = False


async def prove(store: Store, spec: GuestSpec, qemu: Qemu, timeout_scale: float) -> Failure | None:
    """Make the guest's snapshot, restore it and run it. Return the failure, or None if all of that works."""
    patience = PATIENCE.scaled(timeout_scale)
    printed: list[bytes] = []
    try:
        snapshot = find_snapshot(store, key_of(identity_of(spec, qemu)))
        if snapshot is None:
            listeners = Listeners(on_line=lambda line: printed.append(line))
            snapshot = await make_snapshot(
                store, spec, qemu, deadline=patience, scale=timeout_scale, listeners=listeners
            )
    except RigError as error:
        return diagnose(error, printed, patience)
    try:
        with runtime_directory("kvm") as directory, staging_directory("kvm") as out:
            blank_payload(directory / "payload")
            wiring = Wiring(
                name="kvm-proof",
                directory=directory,
                payload=directory / "payload",
                incoming=True,
                swap=swap_file(spec, directory),
                disk=disk_file(spec, directory, blank=True),
                shell=True,
            )
            async with restored(spec, wiring, qemu, out, Listeners(), snapshot, scale=timeout_scale) as session:
                await session.monitor.execute("cont")
                status = await session.monitor.execute("query-status")
        if status["status"] != "running":
            return Failure(f"the restored guest does not run: QEMU says {status['status']}")
    except RigError as error:
        failure = diagnose(error, [], patience)
        return Failure(f"its snapshot cannot be restored: {failure.what}", failure.msr, failure.passing)
    return None


def diagnose(error: RigError, printed: list[bytes], patience: Patience) -> Failure:
    """Return the failure of a trial, diagnosed from QEMU's output in the error's detail and from the guest's console.

    printed: the console's lines.
    """
    words = f"{error.what}\n{error.detail or ''}"
    for line in words.splitlines():
        if match := re.search(r"\bMSR (0x[0-9a-f]+)", line, flags=re.IGNORECASE):
            return Failure(f"QEMU aborts on an MSR: {line.strip()}", int(match[1], 16))
        if "KVM internal error" in line:
            return Failure(f"QEMU stops the guest: {line.strip()}")
        if BUSY in line:
            return Failure(f"QEMU cannot use it now: {line.strip()}", passing=True)
    lines = [text for line in printed if (text := line.decode(errors="replace").strip())]
    # "did not say" is in the errors of Session.record() and of boot.py: QEMU ran, and the guest's agent did not get
    # ready. Any other error is one of QEMU.
    if "did not say" not in error.what:
        messages = [
            line.strip() for line in words.split("QEMU said:")[-1].splitlines() if "qemu" in line and ": " in line
        ]
        return Failure(f"QEMU ends: {messages[0] if messages else error.what}")
    too_long = "went on" in error.what
    if not lines:
        waited = patience.total if too_long else patience.silent
        return Failure(f"the kernel hangs: it printed nothing within {waited:g} s")
    last = lines[-1][:120]
    if too_long:
        return Failure(f"it is too slow: the kernel still boots after {patience.total:g} s; its last line: {last}")
    return Failure(f"the kernel hangs: it printed nothing more for {patience.silent:g} s; its last line: {last}")
