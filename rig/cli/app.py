# SPDX-License-Identifier: MIT
"""The program `rig`: its commands gathered, and its errors printed in one place."""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from typing import Any

import typer

from rig.errors import EXIT_ERROR, EXIT_USAGE, RigError

__all__ = ["main", "print_error"]

EXIT_INTERRUPTED = 130  # as a shell reports SIGINT
HELP = "Reproduce, record and explain what Linux does when memory promised by fork and overcommit is called in."

# Command -> the module of rig.cli that has it. A module is read when its command is asked for: `rig explain` should
# not wait for what only `rig run` needs.
COMMANDS = {
    "run": "run",
    "exec": "exec",
    "explain": "explain",
    "list": "scenarios",
    "show": "scenarios",
    "new": "scenarios",
    "report": "report",
    "plot": "report",
    "watch": "report",
    "runs": "runs",
    "compare": "runs",
    "sweep": "sweep",
    "results": "sweep",
    "frontier": "frontier",
    "verify": "verify",
    "image": "image",
    "kernel": "kernel",
    "replay": "replay",
    "export": "bundle",
    "import": "bundle",
    "post-mortem": "postmortem",
    "debug": "debug",
    "symbols": "symbols",
    "shell": "shell",
    "doctor": "doctor",
    "clean": "clean",
}


class _Lazy(typer.core.TyperGroup):
    """The group of all commands; only the one that was called is imported."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in COMMANDS:
            return None
        from importlib import import_module

        app: typer.Typer = import_module(f"rig.cli.{COMMANDS[name]}").app
        group: Any = typer.main.get_group(app)
        return group.commands[name]


app = typer.Typer(cls=_Lazy, help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _root(
    debug: bool = typer.Option(False, "--debug", help="Log what rig does, to standard error."),
) -> None:
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="rig: %(message)s", stream=sys.stderr)


def main() -> None:
    """Run the program and exit with the status that README promises."""
    raise SystemExit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    with_traceback = "--traceback" in arguments
    try:
        command: Any = typer.main.get_command(app)
        status = command.main(args=arguments, prog_name="rig", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("rig: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except RigError as error:
        if with_traceback:
            traceback.print_exc()
        print_error(error)
        return error.status
    except BrokenPipeError:
        # The reader of our output has gone: `rig list | head -1`.
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return _tell_of_a_bug(error, with_traceback)
        folder = "RIG_RUNS, RIG_CACHE and TMPDIR name other folders"
        print_error(
            RigError("the disk is full", where=error.filename2 or error.filename, remedy=f"make room; {folder}")
        )
        return EXIT_ERROR
    except Exception as error:
        if getattr(error, "format_message", None) is not None:
            print(f"rig: {error.format_message()}\n  try: rig --help", file=sys.stderr)  # type: ignore[attr-defined] # looked for on the line above
            return EXIT_USAGE
        return _tell_of_a_bug(error, with_traceback)


def _tell_of_a_bug(error: Exception, with_traceback: bool) -> int:
    if with_traceback:
        traceback.print_exc()
    print(f"rig: a bug in rig: {type(error).__name__}: {error}", file=sys.stderr)
    print("  try: the same command with --traceback, and report what it prints", file=sys.stderr)
    return EXIT_ERROR


def print_error(error: RigError) -> None:
    """Print an error as all commands do: what, where, what proves it, and what to try."""
    from rig.sanitize import plain

    where = f"{plain(error.where)}: " if error.where else ""
    print(f"rig: {where}{plain(error.what)}", file=sys.stderr)
    if error.detail:
        for line in error.detail.splitlines():
            print(f"  | {plain(line)}", file=sys.stderr)
    if error.remedy:
        print(f"  try: {plain(error.remedy)}", file=sys.stderr)
