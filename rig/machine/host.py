# SPDX-License-Identifier: MIT
"""The host's CPU and its KVM, read from /proc and /sys: what a snapshot under KVM depends on."""

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
    """Return the name of the module behind /dev/kvm: kvm_intel, kvm_amd, another kvm_*; empty where none is loaded."""
    names = sorted(path.name for path in modules.glob("kvm_*"))
    return next((name for name in ("kvm_intel", "kvm_amd") if name in names), names[0] if names else "")


def host_cpu(cpuinfo: Path = CPUINFO, modules: Path = MODULES) -> Mapping[str, str | list[str]]:
    """Return vendor, family, model, stepping, sorted flags and KVM module: `-cpu host` is the guest's CPU under KVM."""
    first = cpuinfo.read_text(errors="replace").split("\n\n")[0]
    found = {name: value.strip() for name, value in re.findall(r"^([^\t:]+)\s*:(.*)$", first, flags=re.MULTILINE)}
    cpu: dict[str, str | list[str]] = {ours: found.get(name, "") for name, ours in FIELDS.items()}
    return {**cpu, "flags": sorted(found.get("flags", "").split()), "kvm": kvm_module(modules)}


def unusable_kvm(cpuinfo: Path = CPUINFO, modules: Path = MODULES) -> str | None:
    """Return why /dev/kvm cannot boot a stock kernel whatever its options, None where it may.

    PVM (arch/x86/kvm/pvm) is a KVM without virtualisation in hardware: it runs guest kernels built for it at CPL 3, and
    emulates others instruction by instruction. It is told by its module and a CPU without vmx and svm.
    """
    if not (modules / "kvm_pvm").exists():
        return None
    flags = host_cpu(cpuinfo, modules)["flags"]
    if "vmx" in flags or "svm" in flags:
        return None
    return (
        "this is PVM, a KVM in software without virtualisation in the CPU (module kvm_pvm): no stock kernel boots on it"
    )
