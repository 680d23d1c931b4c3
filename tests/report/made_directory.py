# SPDX-License-Identifier: MIT
"""Make run directories as `rig run` writes them, without a guest: the main job's numbers, with a choice of names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rig.run.document import Environment, Run
from rig.scenario.build_run import build_run
from tests.scenario.made import CHILD, HOG, PARENT, Made

MB = 1024
PAGES = 51200
START = "7f0000000000"
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202ekcab\x00\u2028'\"&{{ 7*7 }}"


def sample(time: float, label: str | None, copied_mb: float, *, hog: bool = True, name: str = "hog") -> dict[str, Any]:
    """Return a sample in which the child has copied `copied_mb` of the parent's 200 MB. time: guest seconds."""
    anon = int((1 + 200 + copied_mb + (200 if hog else 0)) * MB)
    procs = [proc("cow-writer", "parent", PARENT, 51300), proc("cow-writer", "child", CHILD, 20 + int(copied_mb * 256))]
    if hog:
        procs.append(proc("hog", name, HOG, 52000))
    return {
        "ev": "sample", "t": time, "label": label, "procs": procs, "took": 0.001,
        "meminfo": {
            "MemTotal": 480000, "MemFree": 480000 - 32000 - anon, "MemAvailable": 480000 - 32000 - anon,
            "AnonPages": anon, "Cached": 1000, "Buffers": 0, "Committed_AS": 600000, "CommitLimit": 240000,
        },
        "vmstat": {"pgfault": int(60000 + copied_mb * 256), "oom_kill": 0},
        "psi": {"some": {"avg10": 0.5}, "full": {"avg10": 0.1}},
    }  # fmt: skip


def proc(program: str, comm: str, pid: int, minflt: int) -> dict[str, Any]:
    return {
        "program": program, "comm": comm, "pid": pid, "ppid": 1, "state": "S", "rss_kb": 200 * MB, "anon_kb": 200 * MB,
        "minflt": minflt, "majflt": 0,
    }  # fmt: skip


def page_map(time: float, label: str, comm: str, pid: int, copied: int) -> dict[str, Any]:
    runs = [[copied, "private"]] if copied else []
    return {
        "ev": "pagemap", "t": time, "label": label, "program": "cow-writer", "comm": comm, "pid": pid, "start": START,
        "page_size": 4096, "runs": [*runs, [PAGES - copied, "shared"]], "last": True, "took": 0.073,
    }  # fmt: skip


def records(evil: str = "") -> list[dict[str, Any]]:
    """Return the agent's records, with `evil` as a process's name, a program's line, a mark and a label."""
    start = sample(6.3, "start", 0, hog=False)
    start["procs"], start["meminfo"]["AnonPages"], start["meminfo"]["MemFree"] = [], 1 * MB, 447000
    made: list[dict[str, Any]] = [{"ev": "ready", "t": 6.2, "kernel": "6.1.0"}, start]
    made.append(sample(8.0, "forked", 0, hog=False))
    made += [page_map(8.1, "forked", comm, pid, 0) for comm, pid in (("parent", PARENT), ("child", CHILD))]
    made.append({"ev": "mark", "t": 9.8, "name": f"writing{evil}"})
    for number in range(1, 6):
        made.append(sample(9.8 + 30 * number, None, 4.0 * number, name=f"hog{evil}"))
        for comm, pid in (("parent", PARENT), ("child", CHILD)):
            made.append(page_map(9.9 + 30 * number, "writing", comm, pid, 1024 * number))
        made.append({"ev": "line", "t": 10 + 30 * number, "program": "cow-writer", "text": f"step {number}{evil}"})
    made.append({"ev": "oom", "t": 161.0, "oom_kill": 1})
    made.append(sample(161.0, "oom", 22.0, name=f"hog{evil}"))
    made += [page_map(161.1, "oom", comm, pid, 5632) for comm, pid in (("parent", PARENT), ("child", CHILD))]
    made.append({"ev": "exit", "t": 161.6, "program": "hog", "comm": f"hog{evil}", "pid": HOG, "signal": "KILL"})
    made.append({"ev": "end", "t": 162.0, "reason": "decided", "step": 9, "dropped": 0})
    return [{"n": number, **record} for number, record in enumerate(made)]


def made_run(evil: str = "") -> Run:
    scenario, evidence = (made := Made()).evidence()
    run = build_run(scenario, evidence, made.judged(), id="20250131-120000-abcd", started="2025-01-31T12:00:00+00:00")
    run = run.model_copy(update={"environment": Environment(kernel="6.1.0-40-cloud-amd64", clock="warp")})
    if not evil:
        return run
    oom = run.ooms[0]
    ranking = tuple(row.model_copy(update={"name": row.name + evil}) for row in oom.ranking)
    frames = tuple(frame.model_copy(update={"function": frame.function + evil}) for frame in oom.frames)
    oom = oom.model_copy(update={"invoker": evil, "ranking": ranking, "frames": frames, "killed": (evil,)})
    claims = tuple(claim.model_copy(update={"reason": evil, "text": evil}) for claim in run.claims)
    return run.model_copy(
        update={"ooms": (oom,), "claims": claims, "reason": evil, "panic": evil, "title": evil, "command": (evil,)}
    )


def write_directory(directory: Path, evil: str = "", console: bytes = b"") -> Path:
    """Write the directory of a run and return its path. console: text of the kernel log before the OOM report."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "run.json").write_text(made_run(evil).model_dump_json(), encoding="utf-8")
    lines = "".join(json.dumps(record) + "\n" for record in records(evil))
    (directory / "events.jsonl").write_text(lines, encoding="utf-8")
    report = "".join(f"[  161.000000] {line}\r\n" for line in Made()._report())
    (directory / "console.log").write_bytes(console + report.encode())
    return directory
