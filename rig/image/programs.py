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

from rig.deadline_scale import SCALE_VARIABLE, scaled
from rig.errors import RigError

__all__ = ["BUILD", "FETCH", "STEP", "STREAM", "Finished", "end_programs", "run_program", "started_program"]

Finished = subprocess.CompletedProcess[bytes]

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

# Deadlines by phase, in host seconds. They end a program that hangs, was stopped or waits for a dead file system, so
# they are far above what the work takes: `--timeout-scale` and RIG_TIMEOUT_SCALE multiply them.
STEP = 900.0
"""Work on local files in one call: depmod, a compiler, mke2fs without files, tar with a kernel's source (1.5 GB)."""
STREAM = 4 * 3600.0
"""Files as large as a disk through zstd, dpkg-deb or `mke2fs -d`: 64 GB at 5 MB/s. At that speed, which a memory card
or a busy network disk has, a root of 8 GB is read and written in 55 minutes."""
FETCH = 4 * 3600.0
"""Packages from a mirror, of up to 1 GB (debug symbols). apt itself gives up a mirror that sends nothing."""
BUILD = 24 * 3600.0
"""A kernel or Buildroot from its source."""

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
    deadline: float = STEP,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program and yield it; at the end of the block it is gone, with all that it started.

    deadline: host seconds, before they are scaled, after which the program is ended.
    Raises KeyboardInterrupt where rig is being ended already, OSError where the program cannot be started, RigError
    where it had to be ended at its deadline.
    """
    seconds = scaled(deadline)
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
    late = threading.Event()
    watch = threading.Timer(seconds, _end_late, (process, late))
    watch.daemon = True
    try:
        # In the block that ends the program: there may be no room for another thread (RLIMIT_NPROC).
        watch.start()
        yield process
        # First: a program that the block did not read to its end waits for a reader.
        _close_streams(process)
        process.wait()
        if late.is_set():
            raise _lateness(command, seconds)
    except BaseException as error:
        _end(process)
        if late.is_set() and isinstance(error, Exception):
            # What the block met, such as a stream that is cut short, comes of the program's end.
            raise _lateness(command, seconds) from None
        raise
    finally:
        watch.cancel()
        _close_streams(process)
        process.wait()
        with _lock:
            _running.discard(process)


def run_program(command: Sequence[str | Path], *, input: bytes | None = None, **options: Any) -> Finished:
    """Run a program to its end and return its status and what it printed.

    Options are those of `started_program`, and it raises the same.
    """
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


def _close_streams(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _end_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    if process.poll() is None:
        late.set()
        _end(process)


def _lateness(command: Sequence[str | Path], seconds: float) -> RigError:
    return RigError(
        f"{Path(command[0]).name} was ended: it was not done within {seconds:g} s",
        where=" ".join(map(str, command))[:500],
        remedy=f"run the command again; on a slow machine with {SCALE_VARIABLE}=3",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        # setsid(2) made the program the leader of a process group whose ID is its pid.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
