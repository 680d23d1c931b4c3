# SPDX-License-Identifier: MIT
"""The lists: scenarios (`rig list`), one scenario's story (`rig show`), and the runs that are kept (`rig runs`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rig.errors import RigError
from rig.report.terminal import STYLES
from rig.sanitize import plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from rig.run.directory import Listed
    from rig.scenario.load import Scenario

__all__ = ["runs_table", "scenario_page", "scenarios_table"]


def scenarios_table(directories: Sequence[Path]) -> Table:
    """Return a table of the scenarios in these directories; the row of an invalid one has the error."""
    from rich.text import Text

    from rig.scenario.load import read_summary

    table = _table("scenario", "what it shows")
    for directory in directories:
        try:
            summary = read_summary(directory)
        except RigError as error:
            table.add_row(Text(directory.name, "bold"), Text(f"broken: {error.what}", "red"))
        else:
            table.add_row(Text(directory.name, "bold"), Text(summary))
    return table


def scenario_page(scenario: Scenario) -> list[RenderableType]:
    """Return a scenario's story, its parameters and its claims, in the order in which they are printed."""
    from rich.text import Text

    from rig.report.markdown import Document

    parts: list[RenderableType] = [Document(scenario.story()), Text(), Text("Parameters", "bold")]
    parts.append(_parameters(scenario))
    guest = scenario.file.guest
    parts += [Text(), _guest_line(guest.memory, guest.cpus, guest.swap, guest.zram, scenario.file.sysctls)]
    parts += [Text(), Text("Claims", "bold"), _claims(scenario), Text(str(scenario.path), "dim")]
    return parts


def _parameters(scenario: Scenario) -> Table:
    from rich.text import Text

    table = _table("parameter", "default", "allowed", "what it is")
    for name, parameter in scenario.parameters.items():
        if parameter.choices is not None:
            allowed = " | ".join(parameter.choices)
        elif parameter.min is None and parameter.max is None:
            allowed = parameter.type
        else:
            low = "" if parameter.min is None else parameter.min
            high = "" if parameter.max is None else parameter.max
            allowed = f"{low} to {high}"
        default = parameter.show(parameter.parse(parameter.default))
        table.add_row(Text(name, "bold"), default, allowed, Text(parameter.help))
    return table


def _guest_line(memory: int, cpus: int, swap: int, zram: int, sysctls: dict[str, str | int]) -> RenderableType:
    from rich.text import Text

    from rig.units import format_size

    words = [f"{format_size(memory)} of memory", f"{cpus} CPU" + ("s" if cpus > 1 else "")]
    words += [f"{format_size(swap)} of swap"] if swap else []
    words += [f"{format_size(zram)} of zram"] if zram else []
    words += [f"{name}={value}" for name, value in sysctls.items()]
    return Text.assemble(("Guest: ", "bold"), ", ".join(words))


def _claims(scenario: Scenario) -> Table:
    from rich.text import Text

    from rig.scenario.settings import parse_settings
    from rig.scenario.templates import render

    context = parse_settings(scenario).context()
    table = _table("claim", "what is claimed", "judged by")
    for checked in scenario.claims:
        claim = checked.claim
        name = Text(claim.id, "bold")
        if claim.kind == "condition":
            name.append("\ncondition", "dim")
        text = Text(render(claim.text, context, where=f"claim '{claim.id}'"))
        if checked.when is not None:
            text.append(f"\nwhen {checked.when.text}", "dim")
        table.add_row(name, text, Text(checked.expr.text, "cyan"))
    return table


WIDE, MIDDLING = 100, 64
"""Columns of a terminal that has room for all of a run's row, and for all but when it was and how long it took."""


def runs_table(listed: Iterable[Listed], *, now: datetime | None = None, width: int = WIDE) -> Table:
    """Return a table of runs in the given order. The row of a run that cannot be read has the reason.

    width: columns of the terminal.
    """
    from rich.text import Text

    shown = ["run", "scenario", "settings", "verdict"] if width >= MIDDLING else ["run", "verdict"]
    shown = ["run", "when", "scenario", "settings", "verdict", "host"] if width >= WIDE else shown
    table = _table(*shown)
    for column in table.columns:
        column.no_wrap = column.header in ("run", "scenario", "verdict")  # an id in two lines cannot be copied
        column.justify = "right" if column.header == "host" else "left"
    for each in listed:
        cells: dict[str, RenderableType] = {"run": Text(each.id, "bold"), "verdict": Text(each.problem, "red")}
        if (run := each.run) is not None:
            cells |= {
                "when": _when(run.started, now),
                "scenario": plain(run.scenario),
                "settings": " ".join(f"{plain(name)}={plain(value)}" for name, value in run.settings.items()),
                "verdict": Text(run.verdict, STYLES[run.verdict]),
                "host": "" if run.host_seconds is None else f"{run.host_seconds:.1f} s",
            }
        table.add_row(*(cells.get(name, "") for name in shown))
    return table


def _when(started: str, now: datetime | None) -> str:
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return plain(started)
    if moment.tzinfo is None:
        return f"{moment:%Y-%m-%d %H:%M}"
    local = moment.astimezone(now.tzinfo if now is not None else None)
    return f"{local:%Y-%m-%d %H:%M}"


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
