# SPDX-License-Identifier: MIT
"""Verify the kernel that rig itself runs on: the same static program and the same table, without a guest.

Most checks change sysctls, kill processes or panic the kernel. They are listed as left out unless the user asks for
them. Charges are read from counters that the whole machine shares, so a check that does not pass is tried again. It
fails when no try passes.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rig.deadline_scale import scaled
from rig.errors import RigError, UsageError
from rig.verify.check import Check, Facts, Result, judge_all, judge_check, judge_negated, parse_release
from rig.verify.facts import kernel_facts, program_facts
from rig.verify.kernels import Verified, with_controls

__all__ = ["judge_output", "kmsg_lines", "list_harmless", "verify_host"]

TRIES = 20
DEADLINE = 60.0
"""Host seconds for one call of the program, before they are scaled."""
LEFT_OUT = "left out: it changes this machine, kills or panics; --harmful runs it"
PAUSE = 0.05
_TRY = re.compile(r"^try \d+$", re.MULTILINE)
_KERNEL = re.compile(r"^kernel (?P<release>\S+)$", re.MULTILINE)


def list_harmless(program: Path) -> set[str]:
    """Return the checks that need no root and change nothing outside of their own process.

    Raises RigError when the program does not run, or lists none.
    """
    rows = [words for line in _run(program, ["--list"]).splitlines() if (words := line.split())]
    if not rows:
        raise RigError(
            "the program of the checks lists no check", where=program, remedy="rig image build makes it anew"
        )
    return {row[0] for row in rows if row[1:2] == ["harmless"]}


def verify_host(program: Path, checks: Sequence[Check], *, harmful: bool = False) -> Verified:
    """Run the checks on this machine's kernel and return the result of each, in their order.

    harmful: also run the checks that change the machine. A check that panics the kernel runs only when chosen alone.
    Raises UsageError when that needs root, RigError when the program does not run.
    """
    began = time.monotonic()
    if harmful and os.geteuid() != 0:
        raise UsageError(
            "the harmful checks need root", where="--harmful", remedy="run rig as root, or leave out --harmful"
        )
    harmless = list_harmless(program)
    wanted = [
        check
        for check in with_controls(checks)
        if check.name in harmless or (harmful and (check in checks or check.batch != "panic"))
    ]
    release = parse_release(platform.release())
    results = _measure(program, [check for check in wanted if check.name in harmless], release)
    for check in wanted:
        if check.name not in harmless:
            results[check.name] = judge_check(check, Facts(_run_harmful(program, check.name), release))
            if check.negated:
                title = check.control_title
                results[title] = judge_negated(check, Facts(_run_harmful(program, title), release))
    return _verified("host", platform.release(), checks, results, time.monotonic() - began)


def judge_output(text: str, checks: Sequence[Check]) -> Verified:
    """Judge what `verify --host` printed on another machine.

    Raises UsageError when it is not that program's output.
    """
    release = _KERNEL.search(text)
    if release is None:
        raise UsageError(
            "this is not the output of the program", where="--judge", remedy="write what `verify --host` printed to it"
        )
    version = parse_release(release["release"])
    judged: dict[str, Result] = {}
    for part in _TRY.split(text):
        facts = program_facts(part.splitlines())
        for check in checks:
            if check.name in facts and (check.name not in judged or judged[check.name].status != "pass"):
                judged[check.name] = judge_check(check, Facts(facts[check.name], version))
    return _verified("output", release["release"], checks, judged, 0.0)


def _verified(
    kernel: str, release: str, checks: Sequence[Check], results: Mapping[str, Result], seconds: float
) -> Verified:
    judged = judge_all(results)
    left_out = {check.name: Result(check, "not-applicable", LEFT_OUT) for check in checks if check.name not in judged}
    return Verified(
        kernel, release, results=tuple({**judged, **left_out}[check.name] for check in checks), seconds=seconds
    )


def _measure(program: Path, checks: Sequence[Check], release: tuple[int, int]) -> dict[str, Result]:
    results: dict[str, Result] = {}
    left = list(checks)
    for attempt in range(1, TRIES + 1):
        if not left:
            break
        if attempt > 1:
            time.sleep(PAUSE)
        facts = program_facts(_run(program, ["--host", *(check.name for check in left)]).splitlines())
        for check in left:
            result = judge_check(check, Facts(facts.get(check.name, {}), release))
            results[check.name] = replace(result, numbers={**result.numbers, "tries": str(attempt)})
        left = [check for check in left if results[check.name].status in ("fail", "broken")]
    return results


def _run(program: Path, words: Sequence[str]) -> str:
    try:
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=scaled(DEADLINE), check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RigError("the checks do not run on this machine", where=program, detail=str(error)) from error
    return done.stdout


def _run_harmful(program: Path, title: str) -> dict[str, str]:
    fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.lseek(fd, 0, os.SEEK_END)
        printed = program_facts(_run(program, ["--harmful", title]).splitlines())
        log = "\n".join(kmsg_lines(_read_kmsg(fd))).encode()
    finally:
        os.close(fd)
    return printed.get(title, {}) | kernel_facts(log).get(title, {})


def _read_kmsg(fd: int) -> list[str]:
    records = []
    while True:
        try:
            records.append(os.read(fd, 8192).decode(errors="replace"))
        except BlockingIOError:
            return records
        except BrokenPipeError:
            # EPIPE: records were overwritten before they were read. The next read continues after the gap.
            continue


def kmsg_lines(records: Sequence[str]) -> list[str]:
    """Return records of /dev/kmsg ("6,1234,5000000,-;text") as lines of the console ("[    5.000000] text")."""
    lines = []
    for record in records:
        head, _, rest = record.partition(";")
        seconds = int(head.split(",")[2]) / 1e6
        lines.append(f"[{seconds:12.6f}] {rest.splitlines()[0] if rest else ''}")
    return lines
