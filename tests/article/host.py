# SPDX-License-Identifier: MIT
"""Measure what a first write costs on this host: `python -m tests.article.host`, which `make article` calls.

It is the program of the scenario cow-cost, static as in the guest, run as it is. host.json keeps what it measured, if the
claim of the scenario for a guest on a CPU holds of it too.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["HOST_FILE", "judge_cost"]

HOST_FILE = Path(__file__).resolve().parent / "host.json"
SOURCE = Path(__file__).resolve().parents[2] / "guest" / "programs" / "cow-cost.c"
PAGES = 4096
FLAGS = ("-std=c11", "-O2", "-static", "-D_GNU_SOURCE")


def judge_cost(first: list[int], second: list[int]) -> bool:
    """Return whether the claim cycles-of-a-copy of cow-cost holds: for nine pages of ten at least three times as much.

    first, second: the 10th, 50th and 90th percentile of the cycles of the first and of the second write.
    """
    return first[0] >= 3 * second[1]


def percentiles(values: list[int]) -> list[int]:
    """Return the 10th, 50th and 90th percentile."""
    ordered = sorted(values)
    return [ordered[len(ordered) * part // 100] for part in (10, 50, 90)]


def parse(text: str) -> tuple[str, dict[str, list[int]]]:
    """Return the hypervisor that the program names, and the cycles of each pass."""
    hypervisor, passes = "none", dict[str, list[int]]()
    for words in (line.split() for line in text.splitlines()):
        if words[0] == "hypervisor":
            hypervisor = words[1]
        if words[0] == "cycles":
            passes.setdefault(words[1], []).extend(int(word) for word in words[3:])
    return hypervisor, passes


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown CPU")


def main() -> None:
    found: dict[str, Any] = {"pages": PAGES, "passes": []}
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "cow-cost"
        subprocess.run(["cc", *FLAGS, "-o", program, SOURCE], check=True)
        for how, what in (("word", "one store"), ("page", "512 stores")):
            command = [program, "--no-stop", f"--pages={PAGES}", f"--write={how}"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            hypervisor, passes = parse(done.stdout)
            found["passes"].append(
                {"what": what, "first": percentiles(passes["first"]), "second": percentiles(passes["second"])}
            )
    if hypervisor.startswith("TCG"):
        raise SystemExit("this host is itself a guest under TCG, where no cycles can be measured")
    name = {"KVMKVMKVM": "KVM"}.get(hypervisor, hypervisor)
    under = "" if name == "none" else f", itself a guest of {name}"
    failed = [each["what"] for each in found["passes"] if not judge_cost(each["first"], each["second"])]
    if failed:
        raise SystemExit(f"the first write did not cost three times the second: {', '.join(failed)}: {found}")
    found["where"] = f"host ({_model()}{under})"
    HOST_FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
