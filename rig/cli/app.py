# SPDX-License-Identifier: MIT
"""The program `rig`: its commands, imported on demand, and its errors, printed in one place."""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from rig import __version__
from rig.cli.commands import COMMANDS
from rig.cli.ending import (
    EXIT_READER_GONE,
    OutputLost,
    finish_output,
    interrupted_status,
    reader_is_gone,
    say,
    was_interrupted,
)
from rig.cli.print_error import print_error
from rig.disk import FULL, cannot_write, disk_full, written_path
from rig.errors import EXIT_ERROR, EXIT_USAGE, RigError

__all__ = ["app", "run_command"]

HELP = "Reproduce, record and explain what Linux does when memory promised by fork and overcommit is called in."


class Interrupted(BaseException):
    """Ctrl-C, or a signal that does the same."""


def _spare_adapters(command: Any) -> None:
    """Let the options of a command that were not given, and plain texts, be as they are.

    Since 0.29 Typer builds a pydantic adapter for each of them too. Importing pydantic takes longer than `rig list`.
    """
    all_of = command.get_params

    def get_params(context: Any) -> Any:
        found = all_of(context)
        for each in found:
            if not isinstance(each.process_value, partial):
                each.process_value = partial(_process_value, each, each.process_value)
        return found

    command.get_params = get_params


def _process_value(parameter: Any, convert: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    """Return the value of an option or argument as Typer's process_value() does."""
    several = parameter.nargs != 1 or getattr(parameter, "multiple", False)
    if value is None and not parameter.required:
        absent = () if several else None
        return absent if parameter.callback is None else parameter.callback(context, parameter, absent)
    if parameter.callback is None and not parameter.required and several and value in ((), []):
        return value
    if value is not None and value is parameter.default and not several:
        return value if parameter.callback is None else parameter.callback(context, parameter, value)
    # Typer before 0.29 has no type_descriptor, and no adapters.
    declared = getattr(parameter, "type_descriptor", None)
    if isinstance(value, str) and not several and parameter.callback is None and declared is not None:
        plain = declared.annotation is str and declared.parameter_info.parser is None
        return value if plain else convert(context, value)
    return convert(context, value)


class _OnDemand(typer.core.TyperGroup):
    """The group of all commands. Only the module of the command that was called is imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # For "did you mean", where there is no such command.
        self.commands = {name: typer.core.TyperCommand(name, help=each.brief) for name, each in COMMANDS.items()}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module: Any = import_module(f"rig.cli.{COMMANDS[cmd_name].module}")
        module.app.rich_markup_mode = PLAIN
        group: Any = typer.main.get_group(module.app)
        command = group.commands[cmd_name]
        _spare_adapters(command)
        return command

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the command line, and turn an interrupt into an error that main() handles, as invoke() does."""
        try:
            return super().make_context(*arguments, **options)
        except KeyboardInterrupt:
            raise Interrupted from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and turn an interrupt and a broken pipe into errors that main() handles.

        Typer exits silently on an interrupt, and takes every broken pipe for one of standard output.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None
        except BrokenPipeError as error:
            if not reader_is_gone():
                raise RuntimeError("the pipe to a program that rig had started broke") from error
            raise

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by what they are for, and import none of them."""
        for panel in dict.fromkeys(each.panel for each in COMMANDS.values()):
            with formatter.section(panel):
                formatter.write_dl([(name, each.brief) for name, each in COMMANDS.items() if each.panel == panel])


PLAIN = None
"""Typer's markup mode: text without boxes leaves the help room at 80 columns, and `oomrig[plot]` stays what it is."""

app = typer.Typer(
    cls=_OnDemand, help=HELP, invoke_without_command=True, add_completion=True, pretty_exceptions_enable=False,
    rich_markup_mode=PLAIN,
)  # fmt: skip


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"rig {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    debug: bool = typer.Option(False, "--debug", help="Log what rig does, to standard error."),
    version: bool = typer.Option(
        False, "--version", is_eager=True, callback=_print_version, help="Print rig's version and exit."
    ),
) -> None:
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="rig: %(message)s", stream=sys.stderr)
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


def run_command() -> int:
    """Run the command that was typed and return rig's exit status. Output that cannot be written is said."""
    status = _run(sys.argv[1:])
    lost = finish_output()
    if lost is None:
        return status
    return _report_lost(lost)


def _run(arguments: list[str]) -> int:
    """Run the command of a command line and return the exit status. With -q, waits for another rig are not logged."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    # Looked up by its name, so that its module is not imported for it.
    waits = logging.getLogger("rig.image.cache_lock")
    waits.disabled = not {"-q", "--quiet"}.isdisjoint(own)
    try:
        return _run_or_report_error(arguments)
    finally:
        waits.disabled = False


def _run_or_report_error(arguments: list[str]) -> int:
    """Run the command and return the exit status. Print the error where it ends with one."""
    with_traceback = "--traceback" in arguments
    try:
        command: Any = typer.main.get_command(app)
        _spare_adapters(command)
        status = command.main(args=arguments, prog_name="rig", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, Interrupted):
        return interrupted_status()
    except SystemExit as error:
        # Both Rich and Typer end with status 1 where the reader has gone.
        if isinstance(error.__context__, BrokenPipeError):
            return EXIT_READER_GONE
        raise
    except RigError as error:
        if was_interrupted(error):
            return interrupted_status()
        if with_traceback:
            traceback.print_exc()
        print_error(error)
        return error.status
    except OSError as error:
        if lost := finish_output():
            # What could not be written is in the buffer still.
            return _report_lost(lost)
        path = written_path(error)
        if error.errno in FULL:
            print_error(disk_full(path))
        elif error.errno in (errno.EROFS, errno.EACCES) and path is not None:
            print_error(cannot_write("a file", Path(path), error))
        else:
            return _report_a_bug(error, with_traceback)
        return EXIT_ERROR
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error)  # of `rig image`: its message is the help
            return 0
        if getattr(error, "format_message", None) is not None:
            say(f"rig: {error.format_message()}\n  try: {_help_for(error)}")  # type: ignore[attr-defined] # looked for on the line above
            return EXIT_USAGE
        return _report_a_bug(error, with_traceback)


def _help_for(error: Exception) -> str:
    """Return the command that shows what may be written where click found a mistake."""
    path = getattr(getattr(error, "ctx", None), "command_path", None)
    return f"{path if isinstance(path, str) and path else 'rig'} --help"


def _report_lost(lost: OutputLost) -> int:
    if lost.why:
        say(f"rig: standard output cannot be written: {lost.why}")
    return lost.status


def _report_a_bug(error: Exception, with_traceback: bool) -> int:
    if was_interrupted(error):
        return interrupted_status()
    if with_traceback:
        traceback.print_exc()
    say(f"rig: a bug in rig: {type(error).__name__}: {error}")
    say("  try: the same command with --traceback, and report what it prints")
    return EXIT_ERROR
