# SPDX-License-Identifier: MIT
"""Raise KeyboardInterrupt only where it ends the program, and not within an import.

Python raises it between any two instructions. Within importlib that does harm: an interrupt may keep the lock of all
imports held for ever (_get_module_lock() in Lib/importlib/_bootstrap.py), so that another thread that imports never
ends, or is caught by a module that tries another one. And some functions cannot raise: destructors, callbacks of weak
references. Python prints "Exception ignored" for an interrupt in one of them, and goes on.
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
    from sys import UnraisableHookArgs
    from types import FrameType

__all__ = ["hold_interrupts"]

AGAIN = 0.002
"""Host seconds after which an interrupt that could not be raised comes again."""
PATIENCE = 10.0
"""Host seconds after which one is raised within an import too: it may be waiting for a dead file system."""
IMPORTLIB = "<frozen importlib._bootstrap>"

_held_until: list[float] = []
"""Until when interrupts are held; the first value counts. Empty where none has been held since the last was raised."""


def hold_interrupts() -> None:
    """Let an interrupt wait until the modules are imported that are being imported.

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
        # asyncio puts its own handler in the place of this one alone (Runner.run() in Lib/asyncio/runners.py).
        signal.default_int_handler = _interrupt  # type: ignore[assignment] # the module's, so that asyncio finds it
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        _held_until.append(time.monotonic() + PATIENCE)
        if time.monotonic() < _held_until[0]:
            _thread.start_new_thread(_come_again, ())
            return
    # rig may go on after it, as a debugger does, or clean up: the next one waits for its own import.
    _held_until.clear()
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTLIB:
            return True
        frame = frame.f_back
    return False


def _come_again() -> None:
    time.sleep(AGAIN)
    # A signal, unlike _thread.interrupt_main(), also ends a system call that the main thread is waiting in.
    os.kill(os.getpid(), signal.SIGINT)
