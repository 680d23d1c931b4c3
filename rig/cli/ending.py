# SPDX-License-Identifier: MIT
"""How rig ends on a signal, and when its output cannot be written.

SIGTERM and SIGHUP do what Ctrl-C does: the guest ends, directories are removed, the cursor comes back. The exit
statuses are those of a shell: 128 and the signal's number.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
import threading
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

from rig.cli.interrupts import interrupt
from rig.errors import EXIT_ERROR

__all__ = [
    "EXIT_READER_GONE",
    "OutputLost",
    "finish_output",
    "forget_interrupt",
    "interrupted_status",
    "reader_is_gone",
    "say",
    "was_interrupted",
    "watch_signals",
]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OF_AN_END = (KeyboardInterrupt, EOFError, ConnectionError)
"""What tasks end with when a signal ends the programs: those that wait for one, and the readers of QEMU's sockets."""
EXIT_READER_GONE = 128 + signal.SIGPIPE

_received: list[int] = []


@dataclass(frozen=True)
class OutputLost:
    """Standard output could not be written. status: what rig exits with; why: empty where its reader has gone."""

    status: int
    why: str = ""


def watch_signals() -> None:
    """Let SIGTERM and SIGHUP interrupt as SIGINT does, and let all three end the programs that rig has started.

    A thread ends the programs, because the main thread may be waiting for a thread that waits for one of them.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_note, args=(reading,), name="signals", daemon=True).start()
    logging.getLogger("asyncio").addFilter(_comes_of_no_signal)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup(1) starts rig with SIGHUP ignored: it stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _note(reading: int) -> None:
    from rig.image.programs import end_programs

    while data := os.read(reading, 16):
        if wanted := [number for number in data if number in SIGNALS]:
            _received.extend(wanted)
            end_programs()


def _comes_of_no_signal(record: logging.LogRecord) -> bool:
    # asyncio logs the exception of a task that nobody awaits any more, with a traceback, when the task is freed.
    return not (_received and record.exc_info and isinstance(record.exc_info[1], OF_AN_END))


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The first one interrupts; a terminal that closes sends SIGHUP after SIGTERM, and that must not interrupt the end.
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts a background job so.
        signal.signal(signal.SIGINT, interrupt)
    _received.append(number)
    signal.raise_signal(signal.SIGINT)


def was_interrupted(error: BaseException) -> bool:
    """Return whether rig has received a signal to end, and the error may come of it.

    Python 3.11 raises RuntimeError in place of what __set_name__() raised (type_new_set_names(), Objects/typeobject.c).
    """
    cause: BaseException | None = error
    # Causes may form a circle: `raise error from error` is legal.
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, KeyboardInterrupt):
            return True
        seen.add(id(cause))
        cause = cause.__context__ if cause.__cause__ is None else cause.__cause__
    return bool(_received)


def interrupted_status() -> int:
    """Print that rig was interrupted, and by which signal; return the exit status, 128 plus the signal's number."""
    number = signal.Signals(_received[0]) if _received else signal.SIGINT
    _show_cursor()
    say("rig: interrupted" if number == signal.SIGINT else f"rig: interrupted by {number.name}")
    return 128 + number


def _show_cursor() -> None:
    """Show the terminal's cursor: a signal that comes while rich begins a live view, which hides it, finds none to end.

    DECTCEM, as rich's Control.show_cursor() writes it.
    """
    # Not sys.stderr: a live view that goes on has put itself in its place, and would print the escape as text.
    for stream in (sys.__stderr__, sys.__stdout__):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
                stream.write("\x1b[?25h")
                stream.flush()
                return


def forget_interrupt() -> None:
    """Let Python exit with the status that it is given, although an interrupt was caught before.

    When Python runs a string of code, it sets a flag to whether the code ended with KeyboardInterrupt
    (run_eval_code_obj() in Python/pythonrun.c). Dataclasses and named tuples run such strings while they are imported.
    An interrupt that is caught after it left one keeps the flag set, and `python -m` then ends itself with SIGINT
    (Py_RunMain() in Modules/main.c). To run an empty string, which is not interrupted, clears the flag.
    """
    exec("")


def say(text: str) -> None:
    """Print a line on standard error, where that can be written: its reader may be gone, its disk full."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def finish_output() -> OutputLost | None:
    """Write what is left of standard output and error; return what became of it where that failed."""
    lost = None
    for stream in (sys.stderr, sys.stdout):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            found = OutputLost(EXIT_READER_GONE)
        except OSError as error:
            found = OutputLost(EXIT_ERROR, error.strerror or str(error))
        except ValueError:
            continue  # it is closed
        else:
            continue
        if stream is sys.stdout:
            lost = found
        # What is still in the buffer would fail again when Python ends, with a status of its own.
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return lost


def reader_is_gone() -> bool:
    """Return whether nobody reads the pipe that standard output, or error, is."""
    return any(_has_no_reader(stream) for stream in (sys.stdout, sys.stderr))


def _has_no_reader(stream: TextIO | None) -> bool:
    try:
        if stream is None:
            return False
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):
        return False
