# SPDX-License-Identifier: MIT
"""KVM that rig chose and that fails after its trial gives way to TCG; KVM that the user asked for does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from rig.errors import GuestError, RigError, UsageError
from rig.experiment.execution import Execution
from rig.experiment.kvm_fallback import FailedUnderKvm, on_tcg, refuse_failure_of_kvm
from rig.experiment.prepare import PreparedGuest
from rig.machine.accel import Choice
from rig.machine.features import TCG_CPU
from rig.machine.spec import Accel
from tests.machine.test_command import QEMU, SPEC

SAID = "the console is empty\nQEMU said:\nerror: kvm run failed Bad address\nthe command:\nqemu -accel kvm"


def guest(accel: Accel = Accel.KVM) -> PreparedGuest:
    spec = replace(SPEC, accel=accel, cpu_model="host")
    return PreparedGuest(
        store=cast(Any, None), qemu=QEMU, parts=cast(Any, None), spec=spec,
        accel=Choice(accel, "the guest's kernel boots under it", "host"), unrecorded="live",
    )  # fmt: skip


@pytest.mark.parametrize(
    "found",
    [
        RigError("QEMU refused migrate", where="QMP"),
        Execution(problem=GuestError("the guest ended", detail=SAID)),
        Execution(stopped=GuestError("QEMU stopped the guest: internal-error")),
    ],
    ids=["restore", "exit", "stop"],
)
def test_failure_of_kvm_is_tried_again_where_rig_chose_it(found: Execution | RigError) -> None:
    with pytest.raises(FailedUnderKvm):
        refuse_failure_of_kvm(guest(), "auto", found)

    refuse_failure_of_kvm(guest(), "kvm", found)
    refuse_failure_of_kvm(guest(Accel.TCG), "auto", found)


@pytest.mark.parametrize(
    "found",
    [
        UsageError("the kernel has no such sysctl"),
        # The command line of a KVM guest names kvm: that alone is no failure of it.
        Execution(problem=GuestError("no `end`", detail="QEMU said:\nterminating on signal 15\nqemu -accel kvm")),
        Execution(stopped=GuestError("QEMU stopped the guest: io-error")),
        Execution(),
    ],
    ids=["usage", "signal", "disk", "none"],
)
def test_other_failure_is_not_tried_again(found: Execution | RigError) -> None:
    refuse_failure_of_kvm(guest(), "auto", found)


def test_guest_on_tcg_says_what_qemu_said_of_kvm() -> None:
    found = on_tcg(guest(), GuestError("the guest ended", detail=SAID))

    assert (found.spec.accel, found.spec.cpu_model) == (Accel.TCG, TCG_CPU)
    assert found.accel.why == "KVM failed after its trial: the guest ended (error: kvm run failed Bad address)"
    assert found.spec.kernel == Path(SPEC.kernel)
