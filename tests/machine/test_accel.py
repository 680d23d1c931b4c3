# SPDX-License-Identifier: MIT
"""KVM's verdict: which CPU models are tried, what is remembered and for how long, and how a failure is told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from rig.errors import GuestError, RigError
from rig.image.store import Store
from rig.machine import accel
from rig.machine.accel import FAILURE_EXPIRES, Proof, choose_accel, prove_kvm
from rig.machine.prove import PATIENCE, Failure, diagnose
from rig.machine.qemu import Qemu
from rig.machine.spec import Clock, GuestSpec
from tests.machine.test_command import QEMU, SPEC

LIVE = replace(SPEC, clock=Clock.LIVE)


class Kvm:
    """A KVM that works with some CPU models and fails with the others as it is told."""

    def __init__(self) -> None:
        self.works: set[str] = set()
        self.failure = Failure("QEMU aborts on an MSR: failed to set MSR 0x10a to 0x0", 0x10A)
        self.tried: list[str] = []

    async def prove(self, store: Store, spec: GuestSpec, qemu: Qemu, timeout_scale: float) -> Failure | None:
        self.tried.append(spec.cpu_model)
        return None if spec.cpu_model in self.works else self.failure


@pytest.fixture
def kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kvm:
    kvm = Kvm()
    monkeypatch.setattr(accel, "prove", kvm.prove)
    monkeypatch.setattr(accel.host, "KVM", tmp_path)
    monkeypatch.setattr(accel.host, "unusable_kvm", lambda: None)
    return kvm


def proved(tmp_path: Path, spec: GuestSpec = LIVE, qemu: Qemu = QEMU, *, again: bool = False) -> Proof:
    return asyncio.run(prove_kvm(Store(tmp_path / "cache"), spec, qemu, again=again))


def test_host_is_taken_where_it_works(kvm: Kvm, tmp_path: Path) -> None:
    kvm.works = {"host"}

    proof = proved(tmp_path)

    assert (proof.works, proof.cpu_model, kvm.tried) == (True, "host", ["host"])


@pytest.mark.parametrize(
    ("works", "tried"),
    [
        ("host,-arch-capabilities", 2),
        ("host,pmu=off", 3),
        ("Nehalem", 4),
    ],
)
def test_msr_that_fails_leads_to_the_next_cpu_model(works: str, tried: int, kvm: Kvm, tmp_path: Path) -> None:
    kvm.works = {works}

    proof = proved(tmp_path)

    assert proof.works
    assert proof.cpu_model == works
    assert kvm.tried == ["host", "host,-arch-capabilities", "host,pmu=off", "Nehalem"][:tried]
    assert "MSR 0x10a" in proof.why


def test_msr_of_no_known_feature_is_tried_without_the_pmu(kvm: Kvm, tmp_path: Path) -> None:
    kvm.failure = Failure("QEMU aborts on an MSR: failed to set MSR 0x38d to 0x0", 0x38D)

    proof = proved(tmp_path)

    assert not proof.works
    assert kvm.tried == ["host", "host,pmu=off", "Nehalem"]
    assert "MSR 0x38d" in proof.why


def test_another_failure_is_no_matter_of_the_cpu_model(kvm: Kvm, tmp_path: Path) -> None:
    kvm.failure = Failure("the kernel hangs: it printed nothing within 10 s")

    assert not proved(tmp_path).works
    assert kvm.tried == ["host"]


def test_what_worked_is_remembered_with_its_cpu_model(kvm: Kvm, tmp_path: Path) -> None:
    kvm.works = {"host,pmu=off"}
    first = proved(tmp_path)
    kvm.tried.clear()

    assert proved(tmp_path) == first
    assert kvm.tried == []


@pytest.mark.parametrize(
    "other",
    [{"memory": 1 << 30}, {"cpus": 2}, {"append": ("nosmp",)}, {"qemu_args": ("-S",)}, {"kernel_digest": "other"}],
)
def test_another_guest_is_tried_anew(other: dict[str, object], kvm: Kvm, tmp_path: Path) -> None:
    kvm.works = {"host"}
    proved(tmp_path)
    kvm.tried.clear()

    proved(tmp_path, replace(LIVE, **other))  # type: ignore[arg-type] # the fields of one case

    assert kvm.tried == ["host"]


def test_failure_is_remembered_for_a_day_and_says_how_to_try_anew(kvm: Kvm, tmp_path: Path) -> None:
    kvm.failure = Failure("the kernel hangs")
    proved(tmp_path)
    kvm.tried.clear()

    assert "`rig doctor --again`" in proved(tmp_path).why
    assert kvm.tried == []
    proved(tmp_path, again=True)
    assert kvm.tried == ["host"]

    (kept,) = (tmp_path / "cache" / "accel").iterdir()
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps({**content, "at": content["at"] - FAILURE_EXPIRES - 1}))
    proved(tmp_path)
    assert kvm.tried == ["host", "host"]


def test_passing_failure_and_a_damaged_record_are_not_remembered(kvm: Kvm, tmp_path: Path) -> None:
    kvm.failure = Failure("QEMU cannot use it now: Device or resource busy", passing=True)
    proved(tmp_path)
    assert not (tmp_path / "cache" / "accel").exists()

    kvm.failure = Failure("the kernel hangs")
    proved(tmp_path)
    (kept,) = (tmp_path / "cache" / "accel").iterdir()
    kept.write_text("{")
    kvm.works = {"host"}
    assert proved(tmp_path).works


def test_pvm_is_not_tried(kvm: Kvm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel.host, "unusable_kvm", lambda: "this is PVM")
    kvm.works = {"host"}

    assert proved(tmp_path) == Proof(False, "this is PVM")
    assert kvm.tried == []


def test_auto_takes_tcg_with_the_reason_and_kvm_is_an_error(kvm: Kvm, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")

    choice = asyncio.run(choose_accel(store, LIVE, QEMU, "auto"))

    assert (choice.accel, choice.cpu_model) == ("tcg", LIVE.cpu_model)
    assert "MSR 0x10a" in choice.why
    with pytest.raises(RigError, match="KVM does not work here"):
        asyncio.run(choose_accel(store, LIVE, QEMU, "kvm"))


DETAIL = "the console is empty\nQEMU said:\n{}\nthe command:\n/usr/bin/qemu-system-x86_64 \\\n    -name x"


@pytest.mark.parametrize(
    ("what", "words", "printed", "expected"),
    [
        ("QEMU was ended by signal 6 before its agent said 'ready'",
         "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x0", [], "QEMU aborts on an MSR"),
        ("the guest's agent did not say 'ready', and its console is silent",
         "KVM internal error. Suberror: 3", [b"early"], "QEMU stops the guest: KVM internal error. Suberror: 3"),
        ("QEMU ended at once with status 1",
         "qemu-system-x86_64: could not access KVM kernel module: Device or resource busy", [], "cannot use it now"),
        ("QEMU ended at once with status 1",
         "qemu-system-x86_64: failed to initialize kvm: Operation not permitted", [], "failed to initialize kvm"),
        ("the guest's agent did not say 'ready', and its console is silent", "", [], "it printed nothing within 10 s"),
        ("the guest's agent did not say 'ready', and its console is silent", "", [b"Freeing SMP"],
         "it printed nothing more for 10 s; its last line: Freeing SMP"),
        ("the guest's agent did not say 'ready', though its console went on", "", [], "it printed nothing within 30 s"),
        ("the guest's agent did not say 'ready', though its console went on", "", [b"Freeing SMP"],
         "it is too slow: the kernel still boots after 30 s"),
    ],
)  # fmt: skip
def test_failure_is_told_by_what_was_seen(what: str, words: str, printed: list[bytes], expected: str) -> None:
    failure = diagnose(GuestError(what, detail=DETAIL.format(words)), printed, PATIENCE)

    assert expected in failure.what
    assert (failure.msr == 0x10A) == ("0x10a" in words)
    assert failure.passing == ("busy" in words)
