# SPDX-License-Identifier: MIT
"""A guest program that does what it can against rig, in twenty modes, and one that prints 50 MB.

Each run ends with a verdict.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.home import Home

__all__ = ["hostile", "noise"]

MODES = {
    "escapes": r'for (int i = 0; i < 200; i++) printf("\033[2J\033]0;owned\007\033[31m\x9b%d\n", i);',
    "no line end": r"for (int i = 0; i < 300000; i++) putchar('A');",
    "not UTF-8": r"for (int i = 0; i < 100000; i++) putchar(128 + i % 128);",
    "zeros": r"for (int i = 0; i < 100000; i++) putchar(i % 50 ? 0 : 10);",
    "records": r'for (int i = 0; i < 200; i++) printf("{\"n\":1,\"t\":1e999,\"ev\":\"end\",\"reason\":\"plan\"}\n");',
    "deep JSON": r'for (int i = 0; i < 60000; i++) putchar(91); puts("");',
    "HTML": r'for (int i = 0; i < 50; i++) puts("<script>alert(1)</script></pre><img src=x onerror=alert(1)>");',
    "formulas": r'puts("=cmd|calc!A1\n+1\n-1\n@SUM(1)");',
    "kmsg noise": r'for (int i = 0; i < 2000; i++) kmsg("<0>noise\n");',
    "kmsg report": r'kmsg("<4>hostile invoked oom-killer: gfp_mask=0x140dca, order=99999999999, oom_score_adj=0\n");',
    "kmsg panic": r'kmsg("<0>Kernel panic - not syncing: a lie\n");',
    "kmsg binary": r"char all[256]; for (int i = 0; i < 255; i++) all[i] = i + 1; all[255] = 0; kmsg(all);",
    "virtio port": r'file("/dev/virtio-ports/rig.events", "{\"ev\":\"end\"}\n"); file("/dev/vport0p1", "{}\n");',
    "console": r'for (int i = 0; i < 300; i++) file("/dev/ttyS0", "[    1.000000] BUG: unable to handle page fault\n");',
    "kill the agent": r"kill(1, 9); kill(1, 15); kill(1, 6);",
    "kill all": r"signal(15, SIG_IGN); kill(-1, 9);",
    "name": r'prctl(PR_SET_NAME, "\033[31m<b>\"=1"); for (int i = 0; i < 20; i++) if (!fork()) { pause(); }',
    "forks": r"for (int i = 0; i < 400; i++) if (!fork()) { sleep(2); _exit(0); }",
    "crash": r"*(volatile int *)8 = 1;",
    "stop": r"kill(getpid(), 19); pause();",
}
"""Mode -> body of the program."""
PROGRAM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

__attribute__((unused)) static void file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		puts("refused");
	close(fd);
}

__attribute__((unused)) static void kmsg(const char *text)
{
	file("/dev/kmsg", text);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 4096);
	BODY
	fflush(stdout);
	return 0;
}
"""
NOISE = {
    "what it prints": r'for (long i = 0; i < 500000; i++) printf("%099ld\n", i);',
    "lines of 1 MB": r"""
    for (long i = 0; i < 50; i++) {
        for (long j = 0; j < 1000000; j++)
            putchar('A');
        puts("");
    }""",
    "/dev/kmsg": r"""
    char line[899];
    int fd = open("/dev/kmsg", O_WRONLY);
    memset(line, 'A', sizeof(line));
    memcpy(line, "<4>", 3);
    for (long i = 0; i < 55556; i++)
        if (write(fd, line, sizeof(line)) < 0)
            return 1;""",
    "/dev/ttyS0": r"""
    char line[1000];
    int fd = open("/dev/ttyS0", O_WRONLY);
    memset(line, 'A', sizeof(line));
    line[999] = '\n';
    for (long i = 0; i < 50000; i++)
        if (write(fd, line, sizeof(line)) < 0)
            return 1;""",
}
"""Where 50 MB go -> body of the program."""
LARGEST = {"console.log": 26 << 20, "events.jsonl": 17 << 20, "replay.bin": 1100 << 20}
"""Bytes of the largest files of such a run."""
NO_RUN = "it kept no run"
LONGEST = 400.0
"""Host seconds. rig ends a guest after 300, with a verdict (WARP_DEADLINE)."""
SCENARIO = """
title = "Hostile"
summary = "A program against rig."

[[programs]]
name = "hostile"
source = "hostile.c"

[[plan.steps]]
do = "spawn"
program = "hostile"

[[plan.steps]]
do = "wait_exit"
program = "hostile"
timeout = TIMEOUT

[[claims]]
id = "it-ended"
text = "The program came to its end"
expr = "len(exits) >= 1"
"""


def hostile(home: Home, count: int) -> Iterator[tuple[str, str]]:
    """Run the program in each mode, and read the run with each command that shows one."""
    for name, body in list(MODES.items())[:count]:
        directory = _scenario(home, body)
        before = _kept(home)
        called = home.rig("run", str(directory), "--memory", "128M")
        problem = called.broken((0, 1, 2, 3)) or _controls(called.out) or home.left()
        run = next(iter(_kept(home) - before), None)
        if not problem:
            problem = NO_RUN if run is None else _read(home, run)
        yield name, problem


def noise(home: Home, count: int) -> Iterator[tuple[str, str]]:
    """Run a program that writes 50 MB into each of the guest's ways out. The name of a case has its host seconds."""
    for name, body in list(NOISE.items())[:count]:
        directory = _scenario(home, body, 600)
        before = _kept(home)
        began = time.monotonic()
        called = home.end(home.begin("run", str(directory), "--memory", "128M"), LONGEST)
        took = time.monotonic() - began
        run = next(iter(_kept(home) - before), None)
        problem = called.broken((0, 1, 2, 3)) or home.left() or (NO_RUN if run is None else _too_large(run))
        print(f"    50 MB into {name}: {took:.0f} s, status {called.status}", file=sys.stderr, flush=True)
        yield f"{name}, {took:.0f} s", problem


def _kept(home: Home) -> set[Path]:
    return set(home.runs.glob("2*"))


def _too_large(run: Path) -> str:
    """Return which file of a run is larger than it may be, or an empty text."""
    for path in run.rglob("*"):
        if path.is_file() and (size := path.stat().st_size) > LARGEST.get(path.name, 1 << 20):
            return f"{path.name} has {size} bytes"
    return ""


def _scenario(home: Home, body: str, timeout: int = 20) -> Path:
    """Write the scenario of a program. timeout: seconds of the guest's clock that it has."""
    directory = home.path / "hostile"
    directory.mkdir(exist_ok=True)
    (directory / "scenario.toml").write_text(SCENARIO.replace("TIMEOUT", str(timeout)))
    (directory / "hostile.c").write_text(PROGRAM.replace("BODY", body))
    return directory


def _read(home: Home, run: Path) -> str:
    for words in (
        ("report", "last"),
        ("explain", "last", "--all"),
        ("watch", "last", "--replay", "--seconds", "0"),
        ("runs",),
    ):
        called = home.rig(*words)
        if problem := called.broken((0, 1)) or _controls(called.out):
            return f"{words[0]}: {problem}"
    page = (run / "report.html").read_text(encoding="utf-8")
    return "the page holds the program's HTML" if "<script>alert" in page or "<img src=x" in page else ""


def _controls(text: str) -> str:
    return "it prints terminal controls" if any(ord(char) < 32 and char not in "\n\t\r" for char in text) else ""
