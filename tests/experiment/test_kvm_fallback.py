# SPDX-License-Identifier: MIT
"""KVM that rig chose and that fails after its trial gives way to TCG; KVM that the user asked for does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from rig.errors import GuestError, RigError, UsageError
from rig.experiment import shell
from rig.experiment.execution import Execution
from rig.experiment.kvm_fallback import FailedUnderKvm, on_tcg, refuse_failure_of_kvm, with_fallback
from rig.experiment.prepare import PreparedGuest
from rig.machine.accel import Choice
from rig.machine.features import TCG_CPU
from rig.machine.spec import Accel, GuestSpec
from rig.run.progress import NullProgress
from rig.scenario.settings import Settings, guest_settings
from tests.machine.test_command import QEMU, SPEC

SAID = "the console is empty\nQEMU said:\nerror: kvm run failed Bad address\nthe command:\nqemu -accel kvm"


class Lines(NullProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


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


def test_work_is_done_again_on_tcg_once_and_its_reason_is_said() -> None:
    tried: list[Accel] = []
    told: list[str] = []

    async def work(on: PreparedGuest) -> str:
        tried.append(on.spec.accel)
        refuse_failure_of_kvm(on, "auto", GuestError("the guest ended", detail=SAID))
        return "done"

    assert asyncio.run(with_fallback(guest(), work, told.append)) == "done"
    assert tried == [Accel.KVM, Accel.TCG]
    assert told == [
        "KVM failed after its trial: the guest ended (error: kvm run failed Bad address):"
        " the guest is started again on TCG"
    ]


@pytest.mark.parametrize("asked", ["auto", "kvm"])
def test_shell_whose_guest_fails_under_kvm_has_one_on_tcg(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restore fails as KVM makes it fail; the second guest ends the test where the user would have it."""
    restored: list[Accel] = []

    async def prepared(settings: Settings, **options: Any) -> PreparedGuest:
        return guest()

    async def no_snapshot(*arguments: object) -> None:
        return None

    @asynccontextmanager
    async def restore(spec: GuestSpec, *arguments: object, **options: object) -> AsyncIterator[Any]:
        restored.append(spec.accel)
        if spec.accel is Accel.KVM:
            raise RigError("QEMU refused migrate-incoming", where="QMP")
        raise UsageError("here the user would have the guest")
        yield

    monkeypatch.setattr(shell, "prepare_guest", prepared)
    monkeypatch.setattr(shell, "ensure_snapshot", no_snapshot)
    monkeypatch.setattr(shell, "restored", restore)
    progress = Lines()

    with pytest.raises(RigError, match="would have" if asked == "auto" else "refused migrate-incoming"):
        asyncio.run(shell.shell(guest_settings(["clock=live", f"accel={asked}"]), progress))

    assert restored == ([Accel.KVM, Accel.TCG] if asked == "auto" else [Accel.KVM])
    assert progress.lines == (
        ["KVM failed after its trial: QEMU refused migrate-incoming: the guest is started again on TCG"]
        if asked == "auto"
        else []
    )
