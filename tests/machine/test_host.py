# SPDX-License-Identifier: MIT
"""The host's CPU and KVM, read from files as /proc and /sys have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rig.machine import identity
from rig.machine.host import host_cpu, kvm_module, unusable_kvm
from rig.machine.identity import differences, identity_of, key_of
from rig.machine.spec import Accel, Clock
from tests.machine.test_command import QEMU, SPEC

XEON = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 106
model name\t: Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz
stepping\t: 6
flags\t\t: fpu vme vmx arch_capabilities avx512f
bugs\t\t: spectre_v1

processor\t: 1
vendor_id\t: GenuineIntel
"""
EPYC = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC 7763 64-Core Processor
stepping\t: 1
flags\t\t: fpu vme svm avx2
"""
NEITHER = EPYC.replace(" svm", "")


def host(tmp_path: Path, cpuinfo: str, *modules: str) -> tuple[Path, Path]:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    for name in modules:
        (tmp_path / "module" / name).mkdir(parents=True)
    return path, tmp_path / "module"


def test_first_cpu_is_read_with_its_flags_in_order(tmp_path: Path) -> None:
    assert host_cpu(*host(tmp_path, XEON, "kvm", "kvm_intel")) == {
        "vendor": "GenuineIntel", "family": "6", "model": "106", "stepping": "6",
        "flags": ["arch_capabilities", "avx512f", "fpu", "vme", "vmx"], "kvm": "kvm_intel",
    }  # fmt: skip


def test_snapshots_of_two_hosts_under_kvm_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = replace(SPEC, accel=Accel.KVM, clock=Clock.LIVE, cpu_model="host")
    found = []
    for number, (cpuinfo, module) in enumerate([(XEON, "kvm_intel"), (EPYC, "kvm_amd")]):
        directory = tmp_path / str(number)
        directory.mkdir()
        files = host(directory, cpuinfo, module)
        monkeypatch.setattr(identity, "host_cpu", lambda files=files: host_cpu(*files))
        found.append(identity_of(guest, QEMU))

    assert key_of(found[0]) != key_of(found[1])
    assert "host vendor: GenuineIntel → AuthenticAMD" in differences(*found)
    assert "host flags: without vmx" in differences(*found)


def test_snapshot_under_tcg_does_not_depend_on_the_host() -> None:
    assert not [name for name in identity_of(SPEC, QEMU) if name.startswith("host")]


def test_cpu_model_of_the_guest_is_in_its_identity() -> None:
    guest = replace(SPEC, accel=Accel.KVM, clock=Clock.LIVE, cpu_model="host")
    without = replace(guest, cpu_model="host,-arch-capabilities")

    assert "command: with host,-arch-capabilities" in differences(identity_of(guest, QEMU), identity_of(without, QEMU))


@pytest.mark.parametrize(
    ("modules", "name"),
    [((), ""), (("kvm", "kvm_amd"), "kvm_amd"), (("kvm_pvm", "kvm_intel"), "kvm_intel"), (("kvm_pvm",), "kvm_pvm")],
)
def test_module_behind_kvm(modules: tuple[str, ...], name: str, tmp_path: Path) -> None:
    assert kvm_module(host(tmp_path, XEON, *modules)[1]) == name


def test_pvm_is_named_and_only_where_the_cpu_has_no_virtualisation(tmp_path: Path) -> None:
    cpuinfo, modules = host(tmp_path, NEITHER, "kvm", "kvm_pvm")

    assert "PVM" in (unusable_kvm(cpuinfo, modules) or "")
    cpuinfo.write_text(EPYC)
    assert unusable_kvm(cpuinfo, modules) is None


def test_ordinary_kvm_is_tried(tmp_path: Path) -> None:
    assert unusable_kvm(*host(tmp_path, NEITHER, "kvm", "kvm_intel")) is None
