# SPDX-License-Identifier: MIT
"""Start host programs, each in its own session, and end them all when rig is ended.

mmdebstrap sends SIGHUP to its process group when it fails. In rig's own process group that signal ended rig and the
script that had called it, without a message. A program in its own session does not get the terminal's Ctrl-C, so rig
has to end the programs that it started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["Finished", "end_programs", "run_program", "started_program"]

Finished = subprocess.CompletedProcess[bytes]

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()
_ending = False


@contextmanager
def started_program(
    command: Sequence[str | Path],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program and yield it; at the end of the block it is gone, with all that it started.

    Raises KeyboardInterrupt where rig is being ended already, OSError where the program cannot be started.
    """
    # Under the lock, so that no program starts after the others were ended.
    with _lock:
        if _ending:
            raise KeyboardInterrupt
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=env,
            # A Ctrl-C of the terminal then reaches rig only, and what the program starts can be ended with it.
            start_new_session=True,
        )
        _running.add(process)
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()
        with _lock:
            _running.discard(process)


def run_program(command: Sequence[str | Path], *, input: bytes | None = None, **options: Any) -> Finished:
    """Run a program to its end and return its status and what it printed. Options are those of `started_program`."""
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    with started_program(command, stdin=stdin, **options) as process:
        out, words = process.communicate(input)
    if _ending:
        raise KeyboardInterrupt
    return subprocess.CompletedProcess(list(command), process.returncode, out, words)


def end_programs() -> None:
    """End all programs that run now, and let none be started: rig is being ended."""
    global _ending
    with _lock:
        _ending = True
        running = list(_running)
    for process in running:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        # setsid(2) made the program the leader of a process group whose ID is its pid.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
