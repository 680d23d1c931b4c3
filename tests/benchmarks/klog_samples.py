# SPDX-License-Identifier: MIT
"""Scores the log reader on a directory of sample logs: crashes found, titles, functions to blame, OOM reports.

    python -m tests.benchmarks.klog_samples DIR [--show KIND]

A sample is a text file: header lines (`TITLE:`, `ALT:`, `TYPE:`, `CORRUPTED: Y`, `FILE:` to blame, ...), an empty line, the
log and, where it has one, after an empty line `REPORT:` and the report cut out of it. A sample without a
title holds no crash. Files below `oom/` are OOM reports without a header: they count when every field was
read and no line is left over.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from rig.klog import Event, OomEvent, read

_HEADER = re.compile(rb"([A-Z_]+): ?(.*)")
_FUNCTION = re.compile(r" in (?P<function>[A-Za-z_]\w*)(?:/\w+)?$")


@dataclass
class Sample:
    path: Path
    titles: list[str] = field(default_factory=list)
    corrupted: bool = False
    file: str | None = None
    log: bytes = b""

    @property
    def function(self) -> str | None:
        """The function that the wanted title names, if it names one."""
        match = _FUNCTION.search(self.titles[0]) if self.titles else None
        return None if match is None or match["function"] == "corrupted" else match["function"]


def load(path: Path) -> Sample:
    """Read a sample file."""
    sample = Sample(path)
    data = path.read_bytes()
    head, _, rest = data.partition(b"\n\n") if not data.startswith(b"\n") else (b"", b"", data[1:])
    for line in head.splitlines():
        match = _HEADER.match(line)
        if match is None:
            continue
        key, value = match[1].decode(), match[2].decode("utf-8", "replace").strip()
        if key == "TITLE" and value:
            sample.titles.insert(0, value)
        elif key == "ALT":
            sample.titles.append(value)
        elif key == "FILE":
            sample.file = value
        elif key == "CORRUPTED":
            sample.corrupted = value == "Y"
    end = rest.rfind(b"\n\nREPORT:")
    sample.log = rest if end < 0 else rest[:end]
    return sample


def complete(event: OomEvent) -> bool:
    """Whether an OOM report was read to its last field."""
    global_parts = event.mem_info and event.zones and event.totals and all(zone.buddy for zone in event.zones)
    cgroup_parts = event.cgroup and event.cgroup_stats
    return bool(
        event.invoker
        and event.gfp_mask is not None
        and event.order is not None
        and event.oom_score_adj is not None
        and event.cpu is not None
        and event.kernel
        and event.hardware
        and event.trace.frames
        and (global_parts or cgroup_parts)
        and event.tasks
        and event.victim
        and event.victim.anon_rss_kb is not None
        and not event.unknown
        and not event.corrupted
    )


@dataclass
class Score:
    name: str
    good: int = 0
    total: int = 0

    def add(self, good: bool) -> None:
        self.good += good
        self.total += 1

    def __str__(self) -> str:
        share = 100 * self.good / self.total if self.total else 0.0
        return f"{self.name:34} {self.good:4d} of {self.total:4d}  {share:5.1f} %"


def score(directory: Path, *, show: str | None = None, only: str | None = None) -> dict[str, Score]:
    """Score a directory of samples; print those that fail the figure named by show."""
    names = {
        "oom": "OOM reports complete",
        "clean": "logs without a crash left alone",
        "found": "crashes found",
        "title": "exact title",
        "any": "title or an alternative",
        "function": "function to blame",
        "file": "file to blame",
        "corrupted": "cut or interleaved recognised",
    }
    scores = {key: Score(name) for key, name in names.items()}
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path.suffix == ".md" or path.name.startswith("LICENSE"):
            continue
        if only and not re.search(only, path.name):
            continue
        if path.parent.name == "oom":
            events = read([path.read_bytes()]).events
            good = {"oom": len(events) == 1 and isinstance(events[0], OomEvent) and complete(events[0])}
            wanted, title = "a complete OOM report", events[0].title if events else None
        else:
            sample = load(path)
            crashes = [event for event in read([sample.log]).events if event.kind.crash]
            event = crashes[0] if crashes else None
            good = judge(sample, event)
            wanted = sample.file or (sample.titles[0] if sample.titles else "no crash")
            title = (getattr(event, "file", None) if sample.file else event.title) if event else None
        for key, right in good.items():
            scores[key].add(right)
            if key == show and not right:
                print(f"{path}: wanted: {wanted} | read: {title}")
    return scores


def judge(sample: Sample, event: Event | None) -> dict[str, bool]:
    """Return which figures the first crash read from a sample is right by."""
    if sample.file is not None:
        return {"file": (getattr(event, "file", None) or "") == sample.file}
    if not sample.titles:
        return {"clean": event is None}
    ours = {event.title, *event.alternatives} if event is not None else set()
    good = {
        "found": event is not None,
        "title": event is not None and event.title == sample.titles[0],
        "any": bool(ours & set(sample.titles)),
        "corrupted": event is None or event.corrupted == sample.corrupted,
    }
    if sample.function is not None:
        good["function"] = event is not None and event.function == sample.function
    return good


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--show", choices=["oom", "clean", "found", "title", "any", "function", "file", "corrupted"])
    parser.add_argument("--only", help="score the samples whose file name matches this expression")
    options = parser.parse_args(arguments)
    if not options.directory.is_dir():
        parser.error(f"{options.directory} is not a directory")
    for figure in score(options.directory, show=options.show, only=options.only).values():
        print(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
