# SPDX-License-Identifier: MIT
"""The documents' tables of the checks, as Markdown: `python -m rig.verify.document`.

They are made from the table of checks and from what kernels reported (recorded/), judged anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

from rig.verify.check import Check, Result
from rig.verify.checks import MODULES
from rig.verify.recorded import Recorded, read_recorded

__all__ = ["document", "main"]

TITLES = {
    "limits": "What is promised",
    "reserves": "What is kept back in mode 2",
    "refusals": "What is refused and is no OOM",
    "watermarks": "What is kept free",
    "commit": "What a mapping is charged",
    "shared": "Shared memory and huge pages",
    "fork": "fork, vfork, clone and exec",
    "score": "How a process is weighed",
    "origins": "Who takes memory on behalf of the kernel",
    "oom": "Whom the OOM killer kills",
    "exiting": "Processes that are ending",
    "requests": "Requests for which nobody is killed",
    "memcg": "Memory cgroups",
    "panic": "Panic or kill",
}
MARKS = {"pass": "✓", "fail": "✗", "not-applicable": "–", "broken": "!"}
# The kernel numbers its workers as it starts them (kworker/0:1), so which one it was says nothing about the kernel.
_WORKER = re.compile(r"kworker/\S+")
_NUMBER = re.compile(r"-?\d+")


def document(recorded: Sequence[Recorded]) -> str:
    """Return the page: the changes between kernels, then a table a module of the checks."""
    results = {each.version: each.results() for each in recorded}
    count = sum(len(checks) for checks in MODULES.values())
    lines = [
        f"{count} rules, each checked in a guest on {_list([each.release_text for each in recorded])}. "
        "✓ passes, ✗ fails, – does not apply, ! could not be measured. A check passes only when its control does: "
        "what measures the same without a condition of the rule and must see the other outcome.",
        "",
        *_changes(),
        *_differences(recorded, results),
    ]
    for module, checks in MODULES.items():
        lines += ["", f"## {TITLES[module]}", "", *_table(checks, results)]
    return "\n".join(lines) + "\n"


def _changes() -> list[str]:
    lines = ["## What changed, and in which kernel", "", "| since | commit | before | since then | check |"]
    lines.append("|---|---|---|---|---|")
    changes = {(change.since, change.commit): change for check in _all() for change in check.changes}
    for key, change in sorted(changes.items()):
        names = ", ".join(check.name for check in _all() if change in check.changes)
        since = ".".join(str(part) for part in key[0])
        lines.append(f"| {since} | {change.commit} | {change.before} | {change.after} | {names} |")
    return lines


def _differences(recorded: Sequence[Recorded], results: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Return what differs between the kernels beyond the changes: marks, and words that they reported.

    Numbers are left out: sizes and counts vary from run to run, and the rules judge them.
    """
    found = []
    for check in _all():
        marks = {version: MARKS[each[check.name].status] for version, each in results.items()}
        found += _difference(f"{check.name}: the mark", marks)
        reported = {each.version: each.checks.get(check.name, {}) for each in recorded}
        for fact in dict.fromkeys(name for facts in reported.values() for name in facts):
            words = {
                version: _WORKER.sub("kworker", facts[fact]) for version, facts in reported.items() if fact in facts
            }
            if not all(_NUMBER.fullmatch(word) for word in words.values()):
                found += _difference(
                    f"{check.name}: `{fact}`", {version: f"`{word}`" for version, word in words.items()}
                )
    text = f"Apart from these changes {_list(list(results))} agree in every mark and in every word that they reported"
    return ["", f"{text}, except in:", "", *found] if found else ["", f"{text}."]


def _difference(what: str, values: Mapping[str, str]) -> list[str]:
    """Return a line of a list for a value that is not the same on all kernels: version -> value."""
    kernels: dict[str, list[str]] = {}
    for version, value in values.items():
        kernels.setdefault(value, []).append(version)
    if len(kernels) < 2:
        return []
    return [f"- {what} is " + ", ".join(f"{value} on {_list(versions)}" for value, versions in kernels.items())]


def _table(checks: Sequence[Check], results: dict[str, dict[str, Result]]) -> list[str]:
    lines = ["| check | " + " | ".join(results) + " | rule | control | source |"]
    lines.append("|---" * (len(results) + 4) + "|")
    for check in checks:
        marks = " | ".join(MARKS[each[check.name].status] for each in results.values())
        control = "in the check" if check.control == "within" else check.control
        if check.negated:
            control = f"the same without `{check.negated}`"
        sources = "<br>".join(str(source) for source in check.sources)
        lines.append(f"| {check.name} | {marks} | {check.rule} | {control} | {sources} |")
    return lines


def _all() -> list[Check]:
    return [check for checks in MODULES.values() for check in checks]


def _list(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)


def main() -> int:
    """Print the page, as `make docs` writes it into docs/reference/checks.md."""
    sys.stdout.write(document(read_recorded()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
