# SPDX-License-Identifier: MIT
"""Which accelerator a guest gets: proved by booting its own kernel, not assumed from /dev/kvm.

On machines under some hypervisors /dev/kvm opens and QEMU still aborts on an MSR, or the firmware runs and the
kernel hangs. The verdict is kept per host kernel, processor, QEMU and guest kernel.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rig.errors import RigError, UsageError
from rig.image.digest import digest_text
from rig.image.payload import blank_payload
from rig.image.store import Store
from rig.machine.qemu import Qemu
from rig.machine.session import Listeners, runtime_folder, started
from rig.machine.spec import Accel, Clock, GuestSpec, Wiring

__all__ = ["PROOF_DEADLINE", "Choice", "choose_accel", "prove_kvm"]

# A kernel under working KVM is ready in about a second; one that is not within this does not come.
PROOF_DEADLINE = 10.0
KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class Choice:
    """The accelerator taken, and why."""

    accel: Accel
    why: str


def _host() -> str:
    model = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    return f"{os.uname().release} {model[1] if model else ''}"


async def choose_accel(
    store: Store,
    spec: GuestSpec,
    qemu: Qemu,
    asked: str,
    *,
    timeout_scale: float = 1.0,
    tell: Callable[[str], None] = lambda text: None,
) -> Choice:
    """Return the accelerator for a guest. asked: auto, kvm or tcg.

    Raises UsageError for KVM on the warp clock, RigError when KVM was asked for and does not work.
    """
    if spec.clock is Clock.WARP:
        if asked == "kvm":
            raise UsageError(
                "the warp clock counts instructions, which only TCG does",
                where="--clock warp --accel kvm",
                remedy="use --clock live with KVM, or --accel tcg",
            )
        return Choice(Accel.TCG, "the warp clock counts instructions, which only TCG does")
    if asked == "tcg":
        return Choice(Accel.TCG, "asked for")
    works, why = await prove_kvm(store, spec, qemu, timeout_scale=timeout_scale, tell=tell)
    if works:
        return Choice(Accel.KVM, why)
    if asked == "kvm":
        raise RigError(f"KVM does not work here: {why}", where=KVM, remedy="use --accel tcg, or --accel auto")
    return Choice(Accel.TCG, f"KVM does not work here: {why}")


async def prove_kvm(
    store: Store,
    spec: GuestSpec,
    qemu: Qemu,
    *,
    timeout_scale: float = 1.0,
    tell: Callable[[str], None] = lambda text: None,
    again: bool = False,
) -> tuple[bool, str]:
    """Boot the guest under KVM and say whether its agent got ready, and what was seen. Remembered."""
    if not KVM.exists():
        return False, "there is no /dev/kvm"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return False, "/dev/kvm may not be opened by this user (add the user to the group kvm)"
    key = digest_text(_host(), qemu.text, str(qemu.path), spec.kernel_digest, spec.initramfs_digest)
    remembered = store.root / "accel" / f"{key[:32]}.json"
    if remembered.is_file() and not again:
        verdict = json.loads(remembered.read_text())
        return verdict["works"], verdict["why"]
    tell("trying whether the kernel boots under KVM")
    works, why = await _try_kvm(store, spec, qemu, PROOF_DEADLINE * timeout_scale)
    remembered.parent.mkdir(parents=True, exist_ok=True)
    remembered.write_text(json.dumps({"works": works, "why": why}))
    return works, why


async def _try_kvm(store: Store, spec: GuestSpec, qemu: Qemu, deadline: float) -> tuple[bool, str]:
    spec = replace(spec, accel=Accel.KVM, clock=Clock.LIVE, swap=0)
    with store.workplace() as work, runtime_folder("kvm") as folder:
        blank_payload(work / "payload")
        wiring = Wiring(name="kvm-proof", folder=folder, payload=work / "payload")
        said: str | None = None
        try:
            async with started(spec, wiring, qemu, work, Listeners()) as session:
                await session.monitor.execute("cont")
                try:
                    await session.record("ready", deadline)
                    return True, "the guest's kernel boots under it"
                finally:
                    # Before we end QEMU, which it would tell us of.
                    said = session.process.words().strip()
        except RigError:
            if said is None:
                said = _read(work / "qemu.log").strip()
        return False, "/dev/kvm opens, but " + _diagnosis(said, _read(work / "console.log"), deadline)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _diagnosis(said: str, printed: str, deadline: float) -> str:
    """Return how it failed. said: QEMU's own words; printed: the guest's console."""
    words = said.splitlines()
    msr = [line for line in words if "msr" in line.lower()]
    if msr:
        return f"QEMU aborts on an MSR: {msr[0].strip()}"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    if lines:
        return f"the kernel was not up within {deadline:g} s; its last line: {lines[-1][:120]}"
    if words:
        return f"QEMU ends: {words[-1].strip()}"
    return f"the kernel hangs: it printed nothing within {deadline:g} s"


def as_record(choice: Choice) -> dict[str, str]:
    """Return the choice as run.json holds it."""
    return {key: str(value) for key, value in asdict(choice).items()}
