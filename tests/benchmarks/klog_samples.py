"""Scores the log reader on a folder of sample logs: crashes found, titles, functions to blame, OOM reports.

    python -m tests.benchmarks.klog_samples DIR [--show KIND]

A sample is a text file: header lines (`TITLE:`, `ALT:`, `TYPE:`, `CORRUPTED: Y`, ...), an empty line, the
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
from rig.klog.crash.model import CRASH_KINDS

_HEADER = re.compile(rb"([A-Z_]+): ?(.*)")
_FUNCTION = re.compile(r" in (?P<function>[A-Za-z_]\w*)(?:/\w+)?$")


@dataclass
class Sample:
    path: Path
    titles: list[str] = field(default_factory=list)
    corrupted: bool = False
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", choices=["found", "title", "any", "function", "corrupted"])
    parser.add_argument("--only", help="score the samples whose file name matches this expression")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is not a folder")

    oom, clean = Score("OOM reports complete"), Score("logs without a crash left alone")
    found, exact = Score("crashes found"), Score("exact title")
    either, blamed = Score("title or an alternative"), Score("function to blame")
    corrupted = Score("cut or interleaved recognised")
    for path in sorted(options.folder.rglob("*")):
        if not path.is_file() or path.suffix == ".md" or path.name.startswith("LICENSE"):
            continue
        if options.only and not re.search(options.only, path.name):
            continue
        if path.parent.name == "oom":
            events = read([path.read_bytes()]).events
            oom.add(len(events) == 1 and isinstance(events[0], OomEvent) and complete(events[0]))
            continue
        sample = load(path)
        crashes = [event for event in read([sample.log]).events if event.kind in CRASH_KINDS]
        if not sample.titles:
            clean.add(not crashes)
            if crashes and options.show == "found":
                print(f"{path}: holds no crash, read: {crashes[0].title}")
            continue
        event: Event | None = crashes[0] if crashes else None
        title = event.title if event is not None else None
        ours = {event.title, *event.alternatives} if event is not None else set()
        wrong = {
            "found": event is None,
            "title": title != sample.titles[0],
            "any": not ours & set(sample.titles),
            "function": sample.function is not None and (event is None or event.function != sample.function),
            "corrupted": event is not None and event.corrupted != sample.corrupted,
        }
        found.add(not wrong["found"])
        exact.add(not wrong["title"])
        either.add(not wrong["any"])
        corrupted.add(not wrong["corrupted"])
        if sample.function is not None:
            blamed.add(not wrong["function"])
        if options.show and wrong[options.show]:
            print(f"{path}: wanted: {sample.titles[0]} | read: {title} {event.corruption if event else ''}")
    for score in (oom, clean, found, exact, either, blamed, corrupted):
        print(score)
    return 0


if __name__ == "__main__":
    sys.exit(main())
