# SPDX-License-Identifier: MIT
"""The command line: one function a command, which parses, calls and prints."""

from __future__ import annotations

# An interrupt before main() shows Python's traceback, so nothing is imported until then. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the program and exit with the promised status (docs/reference/exit-status.md)."""
    # Whatever comes from here on, a signal too, is answered in one place.
    try:
        from rig.cli.interrupts import hold_interrupts

        hold_interrupts()
        from rig.cli.ending import watch_signals

        watch_signals()
        from rig.cli.app import run_command

        status = run_command()
    except (KeyboardInterrupt, Exception) as error:
        from rig.cli.ending import interrupted_status, was_interrupted

        # An interrupt of an import may come as another exception.
        if not was_interrupted(error):
            raise
        status = interrupted_status()
    from rig.cli.ending import finish_output, forget_interrupt

    lost = finish_output()
    forget_interrupt()
    raise SystemExit(status if lost is None else lost.status)
