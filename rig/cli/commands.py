# SPDX-License-Identifier: MIT
"""The commands: where each of them is, and what `rig --help` says of it without importing it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COMMANDS", "Command"]

RUN, LOOK, MANY, AGAIN, KEEP = (
    "Run", "Look at a run or a log", "Run many", "Go back into a run", "Images, kernels and this host",
)  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A command of rig. module: the module of rig.cli that holds it; brief: its line in `rig --help`."""

    module: str
    brief: str
    panel: str


COMMANDS = {
    "run": Command("run", "Run a scenario in a guest and judge its claims.", RUN),
    "exec": Command("exec", "Run any program in a guest: yours, a package's, a container's.", RUN),
    "list": Command("scenarios", "List the scenarios that come with rig.", RUN),
    "show": Command("scenarios", "Show a scenario's story, parameters and claims.", RUN),
    "new": Command("scenarios", "Make a scenario directory of your own.", RUN),
    "shell": Command("shell", "Open a shell in a live guest.", RUN),
    "ssh": Command("shell", "Run a command in a live guest, or log in.", RUN),
    "cp": Command("shell", "Copy files to a live guest and from it.", RUN),
    "explain": Command("explain", "Explain a kernel log: OOM kills, oopses, panics.", LOOK),
    "reproduce": Command("reproduce", "Reproduce an OOM report in a guest, and compare.", LOOK),
    "cure": Command("cure", "Try what would have prevented a failure.", LOOK),
    "runs": Command("runs", "List the runs that are kept, and remove them.", LOOK),
    "compare": Command("runs", "Show two runs side by side.", LOOK),
    "report": Command("report", "Write a run or a sweep as one HTML file.", LOOK),
    "plot": Command("report", "Draw one picture of a run.", LOOK),
    "watch": Command("report", "Follow a run from a second terminal, or play one again.", LOOK),
    "sweep": Command("sweep", "Run a scenario over a product of settings.", MANY),
    "results": Command("results", "Show what a sweep found, as a table, CSV or SQL.", MANY),
    "frontier": Command("frontier", "Find the value at which the verdict changes.", MANY),
    "verify": Command("verify", "Check the kernel's overcommit and OOM rules.", MANY),
    "replay": Command("replay", "Replay a run and compare it byte by byte.", AGAIN),
    "debug": Command("debug", "Attach gdb to a replay, stopped where it matters.", AGAIN),
    "branch": Command("branch", "Let a run go on differently from a point of its past.", AGAIN),
    "post-mortem": Command("postmortem", "Read the guest's memory at a point of a run.", AGAIN),
    "symbols": Command("symbols", "Fetch the debug symbols of a kernel.", AGAIN),
    "export": Command("bundle", "Pack a run with all that its replay needs.", AGAIN),
    "import": Command("bundle", "Unpack a run from another machine.", AGAIN),
    "image": Command("image", "Build, list and remove root filesystems.", KEEP),
    "kernel": Command("kernel", "Fetch, build, list and remove kernels.", KEEP),
    "cache": Command("cache", "Show what the cache holds, by kind, and make it smaller.", KEEP),
    "help": Command("help", "Print a document that comes with rig, by topic.", KEEP),
    "doctor": Command("doctor", "Say whether rig can run here and what is missing.", KEEP),
    "clean": Command("clean", "Remove what a killed rig left behind.", KEEP),
}
"""In the order of `rig --help`."""
