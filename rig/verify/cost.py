# SPDX-License-Identifier: MIT
"""What a first write after fork costs on this machine's CPU: the program of the scenario cow-cost, run without a guest.

Where there is no KVM, guests run under TCG, whose time stamp counter is QEMU's clock. Cycles of a CPU can be had on the
host alone.
"""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rig.deadline_scale import scaled
from rig.errors import RigError
from rig.verify.check import Check, Facts, Result, Source, judge_check, parse_release
from rig.verify.kernels import Verified

__all__ = ["COST_CHECKS", "PROGRAM", "cost_facts", "judge_cost", "measure_cost", "verify_cost"]

PROGRAM = "cow-cost"
PAGES = 4096
DEADLINE = 60.0
"""Host seconds for one call of the program, before they are scaled."""
PERCENTILES = (10, 50, 90)
# CPUID leaf 0x40000000, as the program prints it -> the hypervisor's name.
HYPERVISORS = {"KVMKVMKVM": "KVM", "TCGTCGTCGTCG": "TCG"}
# Pages that a pass may fault in beside the array's: of the program's stack and of its output.
OTHER_FAULTS = 8

FAULT = (Source("mm/memory.c", "do_wp_page"), Source("mm/memory.c", "wp_page_copy"))


def _dearer(facts: Facts) -> bool:
    return (
        facts["first_10"] >= 3 * facts["second_50"]
        and facts["pages"] <= facts["first_faults"] <= facts["pages"] + OTHER_FAULTS
        and facts["second_faults"] <= OTHER_FAULTS
    )


def _check(name: str, what: str) -> Check:
    return Check(
        name,
        "commit",
        f"After a fork the first write to a page ({what}) takes a page fault, and at least three times as many cycles "
        "as the second, which takes none: nine pages of ten, against the median second write.",
        FAULT,
        _dearer,
        control="within",
        counterexamples=(
            # A tenth of the pages that cost no more than a second write are too many.
            {"first_10": 78},
            {"first_faults": 0},
            {"second_faults": PAGES},
        ),
    )


COST_CHECKS = {
    "first-write-word": _check("first-write-word", "one store a page"),
    "first-write-page": _check("first-write-page", "every word of it"),
}
"""Name of the check -> the check. The part after `first-write-` is the program's --write."""


def cost_facts(text: str) -> dict[str, str]:
    """Return the facts in the program's output: the hypervisor, and of each pass its faults and its cycles.

    PASS_10, PASS_50 and PASS_90 are percentiles of the cycles of all pages. Under TCG there are none.
    Raises RigError for a line that is cut off or has a word that is not a number.
    """
    facts: dict[str, str] = {}
    passes: dict[str, list[int]] = {}
    for line in text.splitlines():
        match line.split():
            case ["hypervisor", name]:
                facts["hypervisor"] = HYPERVISORS.get(name, name)
            case ["cycles", name, _, *words] if words and all(word.isdecimal() for word in words):
                passes.setdefault(name, []).extend(int(word) for word in words)
            case ["minflt", name, faults] if faults.isdecimal():
                facts[f"{name}_faults"] = faults
            case ["hypervisor" | "cycles" | "minflt", *_]:
                raise RigError(
                    "a line of the program's output is incomplete",
                    where=PROGRAM,
                    remedy="rig image build makes the program anew",
                    detail=line,
                )
    for name, cycles in passes.items():
        ordered = sorted(cycles)
        facts |= {f"{name}_{part}": str(ordered[len(ordered) * part // 100]) for part in PERCENTILES}
        facts["pages"] = str(len(ordered))
    return facts


def judge_cost(check: Check, facts: dict[str, str], release: str) -> Result:
    """Judge a check. It does not apply on a machine that is itself a guest under TCG, which has no CPU's cycles."""
    if facts.get("hypervisor") == "TCG":
        return Result(check, "not-applicable", "this machine is a guest under TCG: its counter is no CPU's", facts)
    return judge_check(check, Facts(facts, parse_release(release)))


def measure_cost(program: Path, check: Check) -> dict[str, str]:
    """Run the program as a check needs it, and return its facts. Raises RigError when it does not run."""
    how = check.name.removeprefix("first-write-")
    command = [str(program), "--no-stop", f"--pages={PAGES}", f"--write={how}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(DEADLINE), check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise RigError("the program does not run on this machine", where=program, detail=str(error)) from error
    return cost_facts(done.stdout) | {"cpu": _cpu()}


def verify_cost(program: Path, checks: Sequence[Check]) -> Verified:
    """Measure on this machine what each check is about, and judge it. Raises RigError when the program does not run."""
    began = time.monotonic()
    release = platform.release()
    results = tuple(judge_cost(check, measure_cost(program, check), release) for check in checks)
    return Verified("host", release, results=results, seconds=time.monotonic() - began, suite="cost")


def _cpu() -> str:
    """Return the name of this machine's CPU."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")
