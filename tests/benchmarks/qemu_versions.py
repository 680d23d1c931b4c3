# SPDX-License-Identifier: MIT
"""Run rig under every QEMU that Debian serves, and print a table: what works under each, and how fast it is.

    python -m tests.benchmarks.qemu_versions [--only sid,trixie] [--scenarios all] [--verify] [--roots DIR]

Each suite's qemu-system-x86 is extracted into a directory by mmdebstrap, and started from there by its own dynamic
loader: nothing is installed on the host, and neither root nor chroot is needed. The versions take turns in each round,
so that a busy hour of the host slows all of them; the ratio is that of the medians to bookworm's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from rig.image.apt import host_mirror

SUITES = ("bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid")
BOUND = 1.25
"""How many times the plan of the main job may take, beside QEMU 7.2 in the same run."""
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
"""Packages of trixie and later have nothing in /lib any more; in bookworm's, libc is still there."""
LOADER = """\
#!/bin/sh
root={root}
# Bookworm's QEMU has TCG itself in a module.
export QEMU_MODULE_DIR=$root/usr/lib/x86_64-linux-gnu/qemu
exec {loader} --argv0 qemu-system-x86_64 --library-path {libraries} \\
    $root/usr/bin/qemu-system-x86_64 -L $root/usr/share/qemu -L $root/usr/share/seabios "$@"
"""


@dataclass
class Version:
    """A QEMU under trial. plans: host seconds of the plan of the main job, a run each."""

    suite: str
    program: Path
    text: str
    reproduced: int = 0
    scenarios: int = 0
    replay: str = ""
    imported: str = ""
    branched: str = ""
    verify: str = "not run"
    notes: tuple[str, ...] = ()
    plans: list[float] = field(default_factory=list)


def fetched(suite: str, roots: Path) -> Path:
    """Return a program that starts the QEMU of a suite, extracted where it is not there yet."""
    root, program = roots / suite, roots / f"qemu-{suite}"
    if not program.is_file():
        base = suite.removesuffix("-backports")
        lines = [f"deb {host_mirror()} {each} main" for each in dict.fromkeys((base, suite))]
        options = ['Apt::Install-Recommends "false"', 'Acquire::Check-Valid-Until "false"']
        options += [f'APT::Default-Release "{suite}"'] if suite != base else []
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=extract", "--include=qemu-system-x86",
             *(f"--aptopt={option}" for option in options), base, str(root), *lines],
            check=True,
        )  # fmt: skip
        libraries = [root / each for each in LIBRARIES]
        loader = next(found for each in libraries if (found := each / "ld-linux-x86-64.so.2").is_file())
        program.write_text(LOADER.format(root=root, loader=loader, libraries=":".join(map(str, libraries))))
        program.chmod(0o755)
    return program


def rig(version: Version, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Call rig under a version of QEMU and wait for its end."""
    return subprocess.run(
        [sys.executable, "-m", "rig", *words],
        env={**os.environ, "RIG_QEMU": str(version.program), "RIG_PREFIX": "no", **variables},
        capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip


def run(version: Version, scenario: str, *words: str) -> dict[str, Any] | None:
    """Return run.json of a run under a version, None where none came of it."""
    called = rig(version, "run", scenario, "--json", *words)
    try:
        found: dict[str, Any] = json.loads(called.stdout)
        return found
    except ValueError:
        print(f"{version.suite}: {scenario}: {called.stderr.strip().splitlines()[:1]}", file=sys.stderr)
        return None


def try_version(version: Version, scenarios: list[str], *, verify: bool) -> None:
    """Run the scenarios, replay and move one run, and verify the kernel's rules if asked for."""
    for scenario in scenarios:
        found = run(version, scenario)
        version.scenarios += 1
        version.reproduced += found is not None and found["verdict"] == "reproduced"
        if found is not None:
            version.notes = tuple(found["environment"]["notes"])
    found = run(version, "overcommit-oops")
    if found is None:
        return
    version.replay = "identical" if "identical" in rig(version, "replay", found["id"]).stdout else "differs"
    with tempfile.TemporaryDirectory() as directory:
        bundle, elsewhere = (
            Path(directory, "run.tar.zst"),
            {"RIG_RUNS": f"{directory}/runs", "RIG_CACHE": f"{directory}/cache"},
        )
        exported = rig(version, "export", found["id"], str(bundle))
        imported = rig(version, "import", str(bundle), **elsewhere)
        replayed = rig(version, "replay", found["id"], **elsewhere)
        works = not (exported.returncode or imported.returncode) and "identical" in replayed.stdout
        version.imported = "identical" if works else "no"
    version.branched = branched(version, found["id"])
    if verify:
        called = rig(version, "verify", "overcommit")
        version.verify = "all pass" if called.returncode == 0 else f"status {called.returncode}"


def branched(version: Version, parent: str) -> str:
    """Branch a run twice without a change, and return whether both futures are the same, and the replay of one."""
    called = rig(version, "branch", parent, "--at", "writing-starts", "--control", "2", "--json")
    try:
        futures = json.loads(called.stdout)
    except ValueError:
        return called.stderr.strip().partition("\n")[0] or f"status {called.returncode}"
    past = futures[0]["branch"]["past"]
    replayed = "identical" in rig(version, "replay", futures[0]["id"]).stdout
    found = "identical" if called.returncode == 0 and not past else past or f"status {called.returncode}"
    return found if replayed else f"{found}, replay differs"


def median(version: Version) -> float:
    """Return the median of a version's plans in host seconds, NaN where no run came to its end."""
    return statistics.median(version.plans) if version.plans else math.nan


def table(versions: list[Version]) -> str:
    """Return the table in Markdown. The last column is the plan's median beside that of the first version."""
    first = median(versions[0])
    lines = [
        "| suite | QEMU | reproduced | replay | exported and imported | branched | verify | plan | beside the first |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in versions:
        lines.append(
            f"| {each.suite} | {each.text} | {each.reproduced} of {each.scenarios} | {each.replay} | {each.imported}"
            f" | {each.branched} | {each.verify} | {median(each):.2f} s | {median(each) / first:.2f} |"
        )
    return "\n".join([*lines, *(f"\n{each.suite}: {note}" for each in versions for note in each.notes)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SUITES), help="suites, bookworm first")
    parser.add_argument("--scenarios", default="all", help="names with commas, or all")
    parser.add_argument("--verify", action="store_true", help="verify the kernel's rules under each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--roots", type=Path, default=platformdirs.user_cache_path("rig-qemu"))
    arguments = parser.parse_args()
    from rig.machine.qemu import find_qemu
    from rig.scenario.load import list_scenarios

    arguments.roots.mkdir(parents=True, exist_ok=True)
    programs = {suite: fetched(suite, arguments.roots.absolute()) for suite in arguments.only.split(",")}
    versions = [
        Version(suite, path, find_qemu(str(path)).text.removeprefix("version ")) for suite, path in programs.items()
    ]
    names = arguments.scenarios.split(",") if arguments.scenarios != "all" else [each.name for each in list_scenarios()]
    for version in versions:
        try_version(version, names, verify=arguments.verify)
    for _ in range(arguments.rounds):
        for version in versions:
            if (found := run(version, "overcommit-oops")) is not None:
                version.plans.append(next(each["host_seconds"] for each in found["phases"] if each["name"] == "plan"))
    print(f"load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds")
    print(table(versions))
    slow = [each.suite for each in versions if not median(each) <= BOUND * median(versions[0])]
    broken = [
        each.suite
        for each in versions
        if each.reproduced < each.scenarios or {each.replay, each.imported, each.branched} != {"identical"}
    ]
    if slow or broken:
        raise SystemExit(f"too slow: {', '.join(slow) or 'none'}; not all works: {', '.join(broken) or 'none'}")


if __name__ == "__main__":
    main()
