# SPDX-License-Identifier: MIT
"""Run rig under every QEMU that Debian serves, and print a table: what works under each, and how fast it is.

    python -m tests.benchmarks.qemu_versions [--only sid,trixie] [--columns replay,gdb] [--results DIR] [--roots DIR]

Each suite's qemu-system-x86 is extracted into a directory by mmdebstrap, and started from there by its own dynamic
loader: nothing is installed on the host, and neither root nor chroot is needed. What a column found is kept in a file a
suite, so that a table can be made of several calls: `--columns speed` measures the speed alone. For the speed the
versions take turns in each round, so that a busy hour of the host slows all of them; the ratio is that of the medians to
bookworm's.
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
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from rig.image.apt import host_mirror
from rig.machine.qemu import find_qemu

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
MAIN = "overcommit-oops"
FORWARD = "forward only, and says so"
SMALL = ("--memory", "208M", "--set", "parent=40M", "--set", "hog=70M", "--set", "every=1ms")
"""A main job with few instructions: gdb replays it several times over."""


@dataclass
class Version:
    """A QEMU under trial.

    text: its version, as QEMU prints it.
    found: what each column found, by the column's name.
    plans: host seconds of the plan of the main job, a run each. load: of the host while they were measured.
    """

    suite: str
    program: Path
    text: str
    found: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    plans: list[float] = field(default_factory=list)
    load: float = 0.0

    @property
    def median(self) -> float:
        """The median of the plans in host seconds, NaN where none came to its end."""
        return statistics.median(self.plans) if self.plans else math.nan


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


def run(version: Version, *words: str) -> dict[str, Any] | None:
    """Run the main job under a version and return its run.json, None where none came of it."""
    called = rig(version, "run", MAIN, *words, "--json")
    try:
        found: dict[str, Any] = json.loads(called.stdout)
    except ValueError:
        report(version, MAIN, called)
        return None
    version.notes = tuple(found["environment"]["notes"])
    return found


_runs: dict[str, dict[str, Any] | None] = {}


def recorded(version: Version) -> dict[str, Any] | None:
    """Return run.json of one run of the main job under a version, the same for all columns that look at a run."""
    if version.suite not in _runs:
        _runs[version.suite] = run(version)
    return _runs[version.suite]


def report(version: Version, what: str, called: subprocess.CompletedProcess[str]) -> None:
    """Print the last lines of a call that did not do what it should."""
    print(f"{version.suite}: {what}: status {called.returncode}", file=sys.stderr)
    for line in (called.stdout + called.stderr).strip().splitlines()[-6:]:
        print(f"    {line}", file=sys.stderr)


def upgrade(version: Version, results: Path) -> str:
    """Run the main job in a cache that holds the guest's snapshot of the first version, as after an upgrade of QEMU."""
    with tempfile.TemporaryDirectory(dir=results) as directory:
        elsewhere = {"RIG_CACHE": f"{directory}/cache", "RIG_RUNS": f"{directory}/runs"}
        first = read(SUITES[0], results)
        if first is None:
            return f"needs {SUITES[0]}"
        if first.text == version.text:
            return "the same QEMU"
        rig(first, "run", MAIN, **elsewhere)
        called = rig(version, "run", MAIN, **elsewhere)
    if called.returncode == 0 and "the snapshot is made anew: qemu:" in called.stdout + called.stderr:
        return "made anew, and says so"
    report(version, "upgrade", called)
    return "no"


def catalogue(version: Version, results: Path) -> str:
    """Run every scenario, as many at once as there are CPUs."""
    called = rig(version, "run", "--all", "--junit", "-")
    verdicts = {}
    try:
        for suite in ElementTree.fromstring(called.stdout).iter("testsuite"):
            properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
            verdicts[suite.get("name")] = properties.get("verdict") or "error"
    except ElementTree.ParseError:
        report(version, "catalogue", called)
        return "no"
    wrong = [f"{name} {verdict}" for name, verdict in verdicts.items() if verdict != "reproduced"]
    return f"{len(verdicts) - len(wrong)} of {len(verdicts)}" + (f" ({', '.join(wrong)})" if wrong else "")


def replay(version: Version, results: Path) -> str:
    """Replay a run of the main job."""
    found = recorded(version)
    if found is None:
        return "no run"
    called = rig(version, "replay", found["id"])
    if "identical" in called.stdout:
        return "identical"
    report(version, "replay", called)
    return "differs"


def export(version: Version, results: Path) -> str:
    """Export a run, import it into an empty cache, and replay it there. The bundle stays for the other versions."""
    found = recorded(version)
    if found is None:
        return "no run"
    bundle = results / f"{version.suite}.tar.zst"
    bundle.unlink(missing_ok=True)
    called = rig(version, "export", found["id"], str(bundle))
    if called.returncode == 0:
        called = imported_and_replayed(version, found["id"], bundle)
        if "identical" in called.stdout:
            return "identical"
    report(version, "export", called)
    return "no"


def imported_and_replayed(version: Version, name: str, bundle: Path) -> subprocess.CompletedProcess[str]:
    """Import a bundle into an empty cache and replay its run; return the call that failed, or the last one."""
    with tempfile.TemporaryDirectory(dir=bundle.parent) as directory:
        elsewhere = {"RIG_RUNS": f"{directory}/runs", "RIG_CACHE": f"{directory}/cache"}
        called = rig(version, "import", str(bundle), **elsewhere)
        return called if called.returncode else rig(version, "replay", name, **elsewhere)


def foreign(version: Version, results: Path) -> str:
    """Import the bundle of the first version. Another QEMU has to refuse its replay, and to name the one it needs."""
    bundle, first = results / f"{SUITES[0]}.tar.zst", read(SUITES[0], results)
    if first is None or not bundle.is_file():
        return f"needs {SUITES[0]}'s export"
    called = imported_and_replayed(version, "last", bundle)
    if "identical" in called.stdout:
        return "identical"
    if f"recorded with QEMU version {first.text}" in called.stderr:
        return "imported; refused, naming the QEMU"
    report(version, "import of another version's run", called)
    return "no"


def branch(version: Version, results: Path) -> str:
    """Branch a run twice without a change: both futures have to be the same, and the replay of one."""
    found = recorded(version)
    if found is None:
        return "no run"
    called = rig(version, "branch", found["id"], "--at", "writing-starts", "--control", "2", "--json")
    try:
        futures = json.loads(called.stdout)
    except ValueError:
        report(version, "branch", called)
        return f"status {called.returncode}"
    past = futures[0]["branch"]["past"]
    replayed = "identical" in rig(version, "replay", futures[0]["id"]).stdout
    same = "identical" if called.returncode == 0 and not past else past or f"status {called.returncode}"
    return same if replayed else f"{same}, replay differs"


def gdb(version: Version, results: Path) -> str:
    """Go back in gdb from the kill: an instruction, and then to the fork of the child."""
    found = run(version, *SMALL)
    if found is None:
        return "no run"
    rig(version, "symbols", "add", found["environment"]["kernel_name"])
    child = found["roles"]["child"]
    words = ("reverse-stepi", "bt 1", f"break wake_up_new_task if p->pid == {child}", "reverse-continue", "bt 2")
    called = rig(version, "debug", found["id"], "--batch", *(word for each in words for word in ("--ex", each)))
    step = "in out_of_memory" in called.stdout
    back = "Breakpoint 1, wake_up_new_task" in called.stdout
    if step and back:
        return "step and continue"
    if "forward only" in called.stdout:
        return FORWARD
    report(version, "gdb", called)
    return "step alone" if step else "continue alone" if back else "no"


def verify(version: Version, results: Path) -> str:
    """Verify the kernel's rules."""
    called = rig(version, "verify", "overcommit")
    if called.returncode == 0:
        return "all pass"
    report(version, "verify", called)
    return f"status {called.returncode}"


COLUMNS: dict[str, tuple[str, Callable[[Version, Path], str], tuple[str, ...]]] = {
    "catalogue": ("reproduced", catalogue, ()),
    "replay": ("replay", replay, ("identical",)),
    "export": ("exported and imported", export, ("identical",)),
    "branch": ("branched", branch, ("identical",)),
    "foreign": ("a bundle of 7.2", foreign, ("identical", "imported; refused, naming the QEMU")),
    "upgrade": ("snapshot of 7.2", upgrade, ("made anew, and says so", "the same QEMU")),
    "gdb": ("back in gdb", gdb, ("step and continue", FORWARD)),
    "verify": ("verify", verify, ("all pass",)),
}
"""Name -> title, what is tried, and the answers that are right."""
SPEED = "speed"


def measure(versions: list[Version], rounds: int) -> None:
    """Measure the plan of the main job under each version, turn by turn, after one run that makes its snapshot."""
    for version in versions:
        version.plans, version.load = [], os.getloadavg()[0]
        run(version)
    for _ in range(rounds):
        for version in versions:
            if (found := run(version)) is not None:
                version.plans.append(next(each["host_seconds"] for each in found["phases"] if each["name"] == "plan"))


def table(versions: list[Version]) -> str:
    """Return the table in Markdown, a row a version. The last column is the plan's median beside that of the first."""
    titles = ["suite", "QEMU", *(title for title, _, _ in COLUMNS.values()), "plan", "beside the first"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for each in versions:
        found = [each.found.get(name, "not run") for name in COLUMNS]
        speed = ["not run"] * 2
        if each.plans:
            speed = [f"{each.median:.2f} s", f"{each.median / versions[0].median:.2f}"]
        lines.append(f"| {' | '.join([each.suite, each.text, *found, *speed])} |")
    lines += [f"\n{each.suite}: {note}" for each in versions for note in each.notes]
    if plans := [each for each in versions if each.plans]:
        lines.append(f"\nplan: median of {len(plans[0].plans)} runs, turn by turn, load {plans[0].load:.1f}")
    return "\n".join(lines)


def wrong(version: Version) -> list[str]:
    """Return the columns of a version that were run and are not as they should be."""
    names = [
        name for name, (_, _, right) in COLUMNS.items() if right and version.found.get(name, right[0]) not in right
    ]
    catalogue = version.found.get("catalogue")
    if catalogue is None:
        return names
    # "N of M", or what stood in the way of any run.
    count = catalogue.split(" ")
    return names if len(count) > 2 and count[0] == count[2] else ["catalogue", *names]


def read(suite: str, results: Path) -> Version | None:
    """Return what earlier calls found of a suite's QEMU, or None."""
    try:
        kept = json.loads((results / f"{suite}.json").read_text())
    except FileNotFoundError:
        return None
    return Version(**{**kept, "program": Path(kept["program"]), "notes": tuple(kept["notes"])})


def keep(version: Version, results: Path) -> None:
    """Write what was found of a version, for a later call."""
    (results / f"{version.suite}.json").write_text(json.dumps(asdict(version), indent=1, default=str))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SUITES), help="suites; bookworm is needed first by some columns")
    parser.add_argument(
        "--columns", default=",".join([*COLUMNS, SPEED]), help="what to try, or none for the table alone"
    )
    parser.add_argument("--rounds", type=int, default=5)
    home = platformdirs.user_cache_path("rig-qemu")
    parser.add_argument("--roots", type=Path, default=home, help="where the QEMUs are extracted")
    parser.add_argument("--results", type=Path, default=home / "results", help="where what was found is kept")
    arguments = parser.parse_args()
    columns = [each for each in arguments.columns.split(",") if each != "none"]
    if unknown := set(columns) - {*COLUMNS, SPEED}:
        parser.error(f"no such column: {', '.join(sorted(unknown))}")
    results = arguments.results.absolute()
    results.mkdir(parents=True, exist_ok=True)
    arguments.roots.mkdir(parents=True, exist_ok=True)
    versions = []
    for suite in arguments.only.split(","):
        program = fetched(suite, arguments.roots.absolute())
        text = find_qemu(str(program)).text.removeprefix("version ")
        kept = read(suite, results)
        # What another version of this suite's QEMU did counts no more.
        versions.append(kept if kept is not None and kept.text == text else Version(suite, program, text))
        versions[-1].program = program
        keep(versions[-1], results)
    for version in versions:
        for name in [each for each in columns if each != SPEED]:
            version.found[name] = COLUMNS[name][1](version, results)
            print(f"{version.suite}: {name}: {version.found[name]}", flush=True)
            keep(version, results)
    if SPEED in columns:
        measure(versions, arguments.rounds)
        for version in versions:
            keep(version, results)
    every = [found for suite in SUITES if (found := read(suite, results)) is not None]
    print(table(every))
    slow = [each.suite for each in every if each.median > BOUND * every[0].median]
    broken = [f"{each.suite} ({', '.join(names)})" for each in every if (names := wrong(each))]
    if slow or broken:
        raise SystemExit(f"too slow: {', '.join(slow) or 'none'}; not all works: {', '.join(broken) or 'none'}")


if __name__ == "__main__":
    main()
