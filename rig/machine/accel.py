# SPDX-License-Identifier: MIT
"""Choose a guest's accelerator, KVM or TCG. KVM works if the guest's snapshot can be made and restored under it.

A /dev/kvm that opens proves little under nested virtualisation: QEMU may abort on an MSR that the outer hypervisor
rejects, or the firmware runs and the kernel hangs. If an MSR is the cause, prove_kvm() tries other CPU models. The
verdict is cached under a key made of everything that it depends on.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from rig.errors import RigError, UsageError
from rig.image.store import Store
from rig.machine import host
from rig.machine.identity import identity_of, key_of
from rig.machine.prove import Failure, prove
from rig.machine.qemu import Qemu
from rig.machine.spec import Accel, Clock, GuestSpec
from rig.whole_file import write_whole

__all__ = ["Choice", "Proof", "choose_accel", "prove_kvm"]

FAILURE_EXPIRES = 24 * 3600.0
"""Seconds for which a failure is remembered. It expires because the hypervisor's configuration may change."""
NAMED_MODEL = "Nehalem"
"""QEMU's oldest CPU model that has x86-64-v2. It has none of the features of MSR_FEATURES."""
MSR_FEATURES = {
    0x10A: "arch-capabilities",  # MSR_IA32_ARCH_CAPABILITIES (arch/x86/include/asm/msr-index.h)
    0x48: "spec-ctrl",  # MSR_IA32_SPEC_CTRL
    0xDA0: "xsaves",  # MSR_IA32_XSS
    0x122: "rtm",  # MSR_IA32_TSX_CTRL
}
"""MSR -> CPU feature. Without the feature QEMU does not set the MSR."""


@dataclass(frozen=True)
class Choice:
    """The chosen accelerator and the reason. cpu_model: the value of QEMU's -cpu."""

    accel: Accel
    why: str
    cpu_model: str


@dataclass(frozen=True)
class Proof:
    """The outcome of a KVM trial.

    works: whether the guest ran.
    why: what was observed.
    cpu_model: the value of -cpu that was tried.
    at: host time of the trial, in seconds since the epoch.
    """

    works: bool
    why: str
    cpu_model: str = "host"
    at: float = 0.0


async def choose_accel(
    store: Store,
    spec: GuestSpec,
    qemu: Qemu,
    asked: str,
    *,
    timeout_scale: float = 1.0,
    tell: Callable[[str], None] = lambda text: None,
) -> Choice:
    """Return the accelerator for a guest.

    asked: auto, kvm or tcg.
    tell: called with a line of progress.
    Raises UsageError for KVM on the warp clock.
    Raises RigError when KVM was asked for and does not work.
    """
    if spec.clock is Clock.WARP:
        if asked == "kvm":
            raise UsageError(
                "the warp clock counts instructions, which only TCG does",
                where="--clock warp --accel kvm",
                remedy="use --clock live with KVM, or --accel tcg",
            )
        return Choice(Accel.TCG, "the warp clock counts instructions, which only TCG does", spec.cpu_model)
    if asked == "tcg":
        return Choice(Accel.TCG, "asked for", spec.cpu_model)
    proof = await prove_kvm(store, spec, qemu, timeout_scale=timeout_scale, tell=tell)
    if proof.works:
        return Choice(Accel.KVM, proof.why, proof.cpu_model)
    if asked == "kvm":
        raise RigError(
            f"KVM does not work here: {proof.why}", where=host.KVM, remedy="use --accel tcg, or --accel auto"
        )
    return Choice(Accel.TCG, f"KVM does not work here: {proof.why}", spec.cpu_model)


async def prove_kvm(
    store: Store,
    spec: GuestSpec,
    qemu: Qemu,
    *,
    timeout_scale: float = 1.0,
    tell: Callable[[str], None] = lambda text: None,
    again: bool = False,
) -> Proof:
    """Make and restore the guest's snapshot under KVM and return whether that works.

    A success is remembered without a limit, a failure for FAILURE_EXPIRES seconds. The key of either is the identity of
    the snapshot with the host kernel's release.
    again: try even if an outcome is remembered.
    """
    if not host.KVM.exists():
        return Proof(False, "there is no /dev/kvm")
    if not os.access(host.KVM, os.R_OK | os.W_OK):
        return Proof(False, "/dev/kvm may not be opened by this user (add the user to the group kvm)")
    if (why := host.unusable_kvm()) is not None:
        return Proof(False, why)
    spec = replace(spec, accel=Accel.KVM, clock=Clock.LIVE, cpu_model="host")
    key = key_of({**identity_of(spec, qemu), "host kernel": os.uname().release})
    remembered = store.root / "accel" / f"{key[:32]}.json"
    if not again and (known := _read(remembered.read_bytes() if remembered.is_file() else b"")) is not None:
        return known
    tell("trying whether the kernel boots under KVM")
    proof, keep = await _try_models(store, spec, qemu, timeout_scale)
    if keep:
        with store.writing():
            remembered.parent.mkdir(parents=True, exist_ok=True)
            write_whole(remembered, json.dumps(asdict(proof)).encode())
    return proof


def _read(content: bytes) -> Proof | None:
    """Return a remembered proof, or None if it is absent, damaged or expired."""
    try:
        proof = Proof(**json.loads(content))
    except (ValueError, TypeError):
        return None
    if proof.works:
        return proof
    if time.time() - proof.at > FAILURE_EXPIRES:
        return None
    return replace(proof, why=f"{proof.why} (remembered; `rig doctor --again` tries anew)")


async def _try_models(store: Store, spec: GuestSpec, qemu: Qemu, timeout_scale: float) -> tuple[Proof, bool]:
    """Return the proof, and whether to remember it. A transient failure, such as a busy device, is not remembered."""
    first: Failure | None = None
    models = iter(["host"])
    while (model := next(models, None)) is not None:
        failure = await prove(store, replace(spec, cpu_model=model), qemu, timeout_scale)
        if failure is None:
            why = "the guest's kernel boots under it"
            if first is not None:
                why += f" with -cpu {model} (with -cpu host {first.what})"
            return Proof(True, why, model, time.time()), True
        if first is None:
            first = failure
            # Another CPU model helps only against an MSR that QEMU cannot set.
            models = _models_after(failure.msr) if failure.msr is not None else iter(())
    assert first is not None
    return Proof(False, f"/dev/kvm opens, but {first.what}", at=time.time()), not first.passing


def _models_after(msr: int) -> Iterator[str]:
    """Yield the CPU models to try after QEMU failed to set this MSR with -cpu host."""
    if msr in MSR_FEATURES:
        yield f"host,-{MSR_FEATURES[msr]}"
    yield "host,pmu=off"
    yield NAMED_MODEL
