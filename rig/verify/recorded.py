# SPDX-License-Identifier: MIT
"""The facts that kernels reported, recorded for the tests and the documentation in recorded/RELEASE.json.

`python -m rig.verify.recorded KERNEL…` measures the checks on kernels and writes what they reported.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from rig.verify.check import Facts, Release, Result, judge_all, judge_check, judge_negated, parse_release
from rig.verify.checks import catalogue
from rig.verify.kernels import Verified, verify_kernels

__all__ = ["DIRECTORY", "Recorded", "main", "read_recorded", "write_recorded"]

DIRECTORY = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Recorded:
    """What one kernel reported.

    checks: check, or CHECK~CONDITION for a control in which a condition is negated -> fact -> value.
    """

    kernel: str
    release_text: str
    checks: dict[str, dict[str, str]]

    @property
    def release(self) -> Release:
        """The kernel's version."""
        return parse_release(self.release_text)

    @property
    def version(self) -> str:
        """The kernel's version as text."""
        return ".".join(str(part) for part in self.release)

    def facts(self, name: str, **changes: str | int) -> Facts:
        """Return the facts of a check, with some of them replaced; "+4" is 4 more than what was recorded."""
        values = dict(self.checks.get(name, {}))
        for key, value in changes.items():
            relative = isinstance(value, str) and value[:1] in ("+", "-") and value[1:].isdigit()
            values[key] = str(int(values[key]) + int(value)) if relative else str(value)
        return Facts(values, self.release)

    def results(self) -> dict[str, Result]:
        """Return the result of each check, judged by the table as it is now."""
        known = catalogue()
        controls = {check.control_title: check for check in known.values() if check.negated}
        return judge_all(
            {name: judge_check(check, self.facts(name)) for name, check in known.items()}
            | {title: judge_negated(check, self.facts(title)) for title, check in controls.items()}
        )


def read_recorded(directory: Path = DIRECTORY) -> list[Recorded]:
    """Return what was recorded, oldest kernel first."""
    found = []
    for path in directory.glob("*.json"):
        content = json.loads(path.read_text())
        found.append(Recorded(content["kernel"], content["release"], content["checks"]))
    return sorted(found, key=lambda each: each.release)


def write_recorded(verified: Verified, directory: Path = DIRECTORY) -> Path:
    """Write what a kernel reported, a check a line, and return the file.

    Checks that were not measured this time keep what was recorded. Raises ValueError when a check did not pass.
    """
    bad = [f"{each.check.name}: {each.status}: {each.why}" for each in verified.results if each.status != "pass"]
    if bad or not verified.results:
        raise ValueError(f"{verified.kernel} is not recorded: {'; '.join(bad) or verified.unavailable}")
    release = parse_release(verified.release)
    path = directory / f"{release[0]}.{release[1]}.json"
    checks = json.loads(path.read_text())["checks"] if path.exists() else {}
    checks |= {result.check.name: dict(result.numbers) for result in verified.results}
    checks |= {title: dict(result.numbers) for title, result in verified.controls.items()}
    known = catalogue()
    current = {*known, *(check.control_title for check in known.values())}
    lines = [f"  {json.dumps(name)}: {json.dumps(checks[name])}" for name in sorted(checks) if name in current]
    head = (
        f'{{\n "kernel": {json.dumps(verified.kernel)},\n "release": {json.dumps(verified.release)},\n "checks": {{\n'
    )
    directory.mkdir(exist_ok=True)
    path.write_text(head + ",\n".join(lines) + "\n }\n}\n")
    return path


def main(arguments: list[str]) -> int:
    """Measure checks on kernels and record what they reported. Exit status 1 when a kernel is not recorded."""
    parser = argparse.ArgumentParser(prog="python -m rig.verify.recorded", description=main.__doc__)
    parser.add_argument("kernel", nargs="+", help="debian:SUITE, source:SUITE, tree:DIR or a path")
    parser.add_argument("--check", action="append", help="only this check; once for each")
    options = parser.parse_args(arguments)
    known = catalogue()
    for name in options.check or ():
        if name not in known:
            parser.error(f"there is no check '{name}'")
    checks = [known[name] for name in options.check or known]
    status = 0
    for verified in asyncio.run(verify_kernels(options.kernel, checks)):
        try:
            print(write_recorded(verified))
        except ValueError as error:
            print(error, file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
