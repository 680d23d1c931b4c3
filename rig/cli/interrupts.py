# SPDX-License-Identifier: MIT
"""Raise KeyboardInterrupt only where it ends the program: not within an import, and not within an event loop.

Python raises it between any two instructions. Within importlib that does harm: an interrupt may keep the lock of all
imports held for ever (_get_module_lock() in Lib/importlib/_bootstrap.py), so that another thread that imports never
ends, or is caught by a module that tries another one. An event loop that is interrupted while it is made or closed
prints tracebacks of its own (rig/cli/event_loop.py), and so does a process that is started by half
(rig/terminal_signals.py). And some functions cannot raise: destructors, callbacks of weak references. Python prints
"Exception ignored" for an interrupt in one of them, and goes on.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time

# Type checkers know a name of this spelling. To import typing would take longer than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sys import UnraisableHookArgs
    from types import FrameType

__all__ = ["cancel_with", "hold_interrupts", "interrupt"]

AGAIN = 0.002
"""Host seconds after which an interrupt that could not be raised comes again."""
PATIENCE = 10.0
"""Host seconds after which one is raised all the same: an import may be waiting for a dead file system."""
IMPORTLIB = "<frozen importlib._bootstrap>"
WHOLE = ("rig.cli.event_loop", "rig.terminal_signals")
"""Modules whose calls are not left by half: they make and close event loops, and start processes of multiprocessing."""

_held_until: list[float] = []
"""Until when interrupts are held; the first value counts. Empty where none has been held since the last was raised."""
_cancel: list[Callable[[], object]] = []
"""What an interrupt calls in the place of raising; empty, or one function."""


def hold_interrupts() -> None:
    """Let an interrupt wait until the modules are imported that are being imported, and the event loop made or closed.

    A program that was started with SIGINT ignored goes on ignoring it.
    """
    before = sys.unraisablehook

    def not_raised(lost: UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _thread.start_new_thread(_come_again, ())
        else:
            before(lost)

    sys.unraisablehook = not_raised
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def cancel_with(cancel: Callable[[], object] | None) -> None:
    """Let an interrupt call a function in the place of raising KeyboardInterrupt; None: let it raise again."""
    _cancel[:] = [] if cancel is None else [cancel]
    _held_until.clear()


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or let the interrupt come again where it would do harm. A handler of SIGINT."""
    waits = _must_wait(frame)
    if waits or _cancel:
        _held_until.append(time.monotonic() + PATIENCE)
        if time.monotonic() < _held_until[0]:
            if waits:
                _thread.start_new_thread(_come_again, ())
            else:
                _cancel[0]()
            return
    # rig may go on after it, as a debugger does, or clean up: the next one waits for its own import.
    _held_until.clear()
    raise KeyboardInterrupt


def _must_wait(frame: FrameType | None) -> bool:
    """Return whether the program is within an import, or within what is not left by half."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTLIB:
            return True
        if not _cancel and frame.f_globals.get("__name__") in WHOLE:
            return True
        frame = frame.f_back
    return False


def _come_again() -> None:
    time.sleep(AGAIN)
    # A signal, unlike _thread.interrupt_main(), also ends a system call that the main thread is waiting in.
    os.kill(os.getpid(), signal.SIGINT)
