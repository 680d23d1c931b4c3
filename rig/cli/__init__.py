# SPDX-License-Identifier: MIT
"""The command line: one function a command, which parses, calls and prints."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the program and exit with the promised status (docs/reference/exit-status.md)."""
    # Whatever comes from here on, a signal too, is answered in one place.
    try:
        from rig.cli.ending import watch_signals

        watch_signals()
        from rig.cli.app import run_command

        status = run_command()
    except KeyboardInterrupt:
        from rig.cli.ending import interrupted_status

        status = interrupted_status()
    from rig.cli.ending import finish_output, forget_interrupt

    lost = finish_output()
    forget_interrupt()
    raise SystemExit(status if lost is None else lost.status)
