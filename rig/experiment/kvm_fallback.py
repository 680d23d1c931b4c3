# SPDX-License-Identifier: MIT
"""Run a guest again on TCG where KVM, which rig chose by itself, fails in a step after the proof that it works."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from rig.errors import RigError, UsageError
from rig.experiment.execution import Execution
from rig.experiment.prepare import PreparedGuest
from rig.machine.accel import Choice
from rig.machine.features import TCG_CPU
from rig.machine.spec import Accel

__all__ = ["FailedUnderKvm", "on_tcg", "refuse_failure_of_kvm", "with_fallback"]

T = TypeVar("T")

OF_KVM = re.compile(
    # kvm_cpu_exec() and kvm_handle_internal_error() in QEMU's accel/kvm/kvm-all.c, and kvm_buf_set_msrs() in
    # target/i386/kvm/kvm.c.
    r"kvm run failed|KVM internal error|failed to set MSR|QEMU stopped the guest: internal-error"
)


class FailedUnderKvm(Exception):
    """A guest failed because of KVM. error: what failed."""

    def __init__(self, error: RigError) -> None:
        super().__init__(str(error))
        self.error = error


async def with_fallback(
    guest: PreparedGuest, work: Callable[[PreparedGuest], Awaitable[T]], tell: Callable[[str], None]
) -> T:
    """Return what the work with a guest returns. Where it raises FailedUnderKvm, say so and do it again on TCG."""
    try:
        return await work(guest)
    except FailedUnderKvm as failure:
        guest = on_tcg(guest, failure.error)
        tell(f"{guest.accel.why}: the guest is started again on TCG")
    return await work(guest)


def refuse_failure_of_kvm(guest: PreparedGuest, asked: str, found: Execution | RigError) -> None:
    """Raise FailedUnderKvm where a guest failed because of KVM, and KVM was rig's own choice.

    asked: auto, kvm or tcg.
    found: what became of the guest: its execution, or the error before its plan began. The restore of a guest whose
    snapshot was proved to be restorable fails for a reason of KVM; after that QEMU has to name KVM.
    """
    if guest.spec.accel is not Accel.KVM or asked != "auto":
        return
    if isinstance(found, RigError):
        if not isinstance(found, UsageError):
            raise FailedUnderKvm(found)
        return
    for error in (found.stopped, found.problem):
        if error is not None and OF_KVM.search(f"{error.what}\n{error.detail or ''}"):
            raise FailedUnderKvm(error)


def on_tcg(guest: PreparedGuest, error: RigError) -> PreparedGuest:
    """Return the guest with TCG in place of KVM. error: how it failed under KVM, which becomes the reason."""
    named = OF_KVM.search(error.detail or "")
    line = ""
    if named is not None and error.detail is not None:
        line = next(each.strip() for each in error.detail.splitlines() if named[0] in each)
    why = f"KVM failed after its trial: {error.what}" + (f" ({line})" if line else "")
    choice = Choice(Accel.TCG, why, TCG_CPU)
    return replace(guest, accel=choice, spec=replace(guest.spec, accel=Accel.TCG, cpu_model=TCG_CPU))
