# SPDX-License-Identifier: MIT
"""Measure the remedies on replicas of each kind of failure, and write the table that the explanations quote.

    python -m rig.cli.write_remedies [--budget TIME] [KIND…]

Kinds that are not named keep what was measured before.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rig.cli import event_loop
from rig.cli.options import parse_budget
from rig.cure.cure import Result, cure
from rig.cure.outcome import ORDER
from rig.cure.trial import SHIFTS, Patient
from rig.klog.explain.measured_remedies import MEASURED, MeasuredRemedy
from rig.report.console import output_console
from rig.report.cure import print_cure
from rig.run.progress import NullProgress
from rig.scenario.load import load_scenario
from rig.scenario.settings import parse_settings
from rig.units import format_size

__all__ = ["measured_by", "table_text"]

TABLE = Path(__file__).parents[1] / "klog" / "explain" / "measured_remedies.py"
SMALL = ("memory=128M", "parent=22M", "hog=30M", "step=1M", "every=1s")
CASES = {
    "processes": ("overcommit-oops", SMALL),
    "cgroup-memory": ("overcommit-in-cgroup", ("parent=16M", "hog=8M", "limit=32M", "outsider=40M", "every=1s")),
    "refused": (
        "overcommit-oops",
        ("vm.overcommit_memory=2", "vm.overcommit_ratio=30", "memory=128M", "parent=20M", "hog=0", "every=1s"),
    ),
}
"""Kind of failure, as rig/klog/explain/remedies.py names it -> the scenario and the settings in which it comes."""
SIZES = {"swap": "swap", "zram": "compressed swap", "memory": "memory"}


def measured_by(results: tuple[Result, ...], memory: int) -> dict[str, MeasuredRemedy]:
    """Return name of the remedy -> the best of what its treatments did. Those that lack a timing are left out.

    memory: of the guest, in bytes; sizes of swap and memory are told as a share of it.
    """
    found: dict[str, MeasuredRemedy] = {}
    for result in sorted(results, key=lambda each: ORDER.index(each.outcome.kind)):
        if result.outcome.kind != "not applicable" and result.of == len(SHIFTS):
            found.setdefault(
                result.treatment.remedy,
                MeasuredRemedy(result.outcome.kind, _text(result, memory), result.agree, result.of),
            )
    return found


def _text(result: Result, memory: int) -> str:
    dose = result.works.dose
    what = dose.text
    if result.treatment.name in SIZES and dose.size:
        size = dose.size - (memory if result.treatment.name == "memory" else 0)
        more = "more " if result.treatment.name == "memory" else ""
        what = f"{100 * size / memory:.0f} % {more}{SIZES[result.treatment.name]} ({format_size(dose.size)})"
    elif result.treatment.remedy == "memory.max" and dose.size > result.treatment.none > 0:
        what = f"{100 * dose.size / result.treatment.none - 100:.0f} % more memory.max ({format_size(dose.size)})"
    detail = result.outcome.detail
    texts = {
        "prevented": f"{what} prevented it",
        "refused earlier": f"with {what} {detail} was refused instead",
        "another died": f"with {what} {detail} died instead",
        "later": f"{what} delayed it by {detail.lstrip('+')}",
        "stalled": f"with {what} nothing died, and the guest stalled for {detail}",
        "no difference": f"{what} made no difference",
        "worse": f"{what} made it worse: {detail}",
    }
    return texts[result.outcome.kind]


def table_text(before: str, measured: dict[str, dict[str, MeasuredRemedy]]) -> str:
    """Return the module's text with another table in it.

    before: the module's text.
    """
    head, mark, _ = before.partition("MEASURED: dict")
    lines = [head + mark + "[str, dict[str, MeasuredRemedy]] = {"]
    for kind, remedies in measured.items():
        lines.append(f'    "{kind}": {{')
        for name, each in remedies.items():
            lines.append(f'        "{name}": MeasuredRemedy(')
            lines.append(f'            "{each.outcome}", "{each.text}", {each.agree}, {each.of}')
            lines.append("        ),")
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def main() -> int:
    """Run the cures and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(CASES))
    parser.add_argument("--budget", default="5m", metavar="TIME", help="for each kind")
    parser.add_argument("--try", dest="only", action="append", default=[], metavar="NAME", help="only this remedy")
    options = parser.parse_args()
    if unknown := set(options.kinds) - CASES.keys():
        parser.error(f"no kind {', '.join(sorted(unknown))}; one of {', '.join(CASES)}")
    measured, budget = dict(MEASURED), parse_budget(options.budget)
    for kind in options.kinds or CASES:
        name, sets = CASES[kind]
        scenario = load_scenario(name)
        memory = parse_settings(scenario, sets).memory
        found = event_loop.run(
            cure(Patient(name, scenario, sets), NullProgress(), only=tuple(options.only), budget=budget)
        )
        print_cure(output_console(highlight=False), found)
        measured[kind] = {**measured.get(kind, {}), **measured_by(found.results, memory)}
        TABLE.write_text(table_text(TABLE.read_text(), measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
