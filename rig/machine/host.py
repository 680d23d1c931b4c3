# SPDX-License-Identifier: MIT
"""The host's CPU and KVM module, read from /proc and /sys. A snapshot that was made under KVM depends on both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["CPUINFO", "KVM", "MODULES", "host_cpu", "kvm_module", "unusable_kvm"]

CPUINFO = Path("/proc/cpuinfo")
MODULES = Path("/sys/module")
KVM = Path("/dev/kvm")
FIELDS = {"vendor_id": "vendor", "cpu family": "family", "model": "model", "stepping": "stepping"}


def kvm_module(modules: Path = MODULES) -> str:
    """Return the module behind /dev/kvm: kvm_intel, kvm_amd or another kvm_*. Empty when none is loaded."""
    names = sorted(path.name for path in modules.glob("kvm_*"))
    return next((name for name in ("kvm_intel", "kvm_amd") if name in names), names[0] if names else "")


def host_cpu(cpuinfo: Path = CPUINFO, modules: Path = MODULES) -> Mapping[str, str | list[str]]:
    """Return the host CPU's vendor, family, model, stepping and sorted flags, and the KVM module.

    They shape the guest because under KVM it runs with `-cpu host`.
    """
    first = cpuinfo.read_text(errors="replace").split("\n\n")[0]
    found = {name: value.strip() for name, value in re.findall(r"^([^\t:]+)\s*:(.*)$", first, flags=re.MULTILINE)}
    cpu: dict[str, str | list[str]] = {ours: found.get(name, "") for name, ours in FIELDS.items()}
    return {**cpu, "flags": sorted(found.get("flags", "").split()), "kvm": kvm_module(modules)}


def unusable_kvm(cpuinfo: Path = CPUINFO, modules: Path = MODULES) -> str | None:
    """Return why /dev/kvm cannot boot any stock kernel, or None if it may.

    PVM (arch/x86/kvm/pvm, out of tree) is a KVM without hardware virtualisation. It runs guest kernels that were built
    for it at CPL 3, and emulates other kernels instruction by instruction. It is recognised by the module kvm_pvm on a
    CPU without vmx and svm.
    """
    if not (modules / "kvm_pvm").exists():
        return None
    flags = host_cpu(cpuinfo, modules)["flags"]
    if "vmx" in flags or "svm" in flags:
        return None
    return (
        "this is PVM, a KVM in software without virtualisation in the CPU (module kvm_pvm): no stock kernel boots on it"
    )
