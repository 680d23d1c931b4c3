# SPDX-License-Identifier: MIT
"""`rig results`: what sweeps found."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from rig.cli.options import AsJson
from rig.cli.stdout import check_outputs
from rig.errors import RigError, UsageError
from rig.extras import require
from rig.report.arrow_text import arrow_csv, arrow_table, csv_text
from rig.report.console import output_console
from rig.report.heatmap import heat_map
from rig.report.list_documents import print_array, print_json
from rig.report.sweep_table import points_tables
from rig.scenario.load import load_scenario
from rig.sweep.columns import columns_of, groups_of
from rig.sweep.directory import SweepDirectory, find_sweep, list_sweeps
from rig.sweep.journal import read_rows
from rig.sweep.missing_rows import expected_rows, warn_of_missing_rows
from rig.sweep.row import Row
from rig.sweep.table import query, read_table, rows_of, table_of

__all__ = ["app"]

app = typer.Typer()


@app.command()
def results(
    sweep: str = typer.Argument(
        None, metavar="SWEEP", help="A sweep: path, id, unique prefix, last, or a .parquet file."
    ),
    sql: str = typer.Option(None, metavar="QUERY", help="SQL of DuckDB over the table `results`."),
    as_json: AsJson = False,
    as_csv: bool = typer.Option(False, "--csv", help="Print comma-separated values."),
    svg: Path = typer.Option(None, metavar="FILE", help="Write a heat map of the verdicts over one or two axes."),
) -> None:
    """Show the results of a sweep; without a name, list the sweeps."""
    if sweep is None:
        _list_sweeps(as_json=as_json)
        return
    check_outputs(("--json", as_json), ("--csv", as_csv), ("--svg", svg is not None))
    if sql is not None:
        require("duckdb")
    if sweep.endswith(".parquet"):
        if svg is not None:
            raise UsageError("a heat map needs a sweep's directory", where="--svg", remedy="name the sweep")
        table = read_table(Path(sweep))
    else:
        directory = find_sweep(sweep)
        if svg is not None:
            _write_heat_map(directory, svg)
            return
        rows = directory.rows()
        warn_of_missing_rows(directory, len(rows))
        if as_json and sql is None:
            print_array(row.model_dump(mode="json") for row in rows)
            return
        if sql is None and not as_csv:
            for part in points_tables(directory.plan.names, rows):
                output_console().print(part)
            return
        if sql is None:
            # Without pyarrow: the rows of a journal need no library.
            _write_csv(directory, rows)
            return
        # From the journal and not the Parquet file: a sweep that is running or was killed can be asked too.
        table = table_of(directory.plan, load_scenario(directory.plan.scenario), rows)
    if sql is not None:
        table = query(table, sql)
    if as_json:
        print_array(rows_of(table), default=str)
    elif as_csv:
        sys.stdout.write(arrow_csv(table))
    else:
        output_console().print(arrow_table(table))


def _write_csv(directory: SweepDirectory, rows: Sequence[Row]) -> None:
    scenario = load_scenario(directory.plan.scenario)
    for number, group in enumerate(groups_of(rows)):
        columns = columns_of(directory.plan, scenario, group)
        names = None if number else [each.name for each in columns]
        sys.stdout.write(csv_text(names, zip(*(each.values for each in columns), strict=True)))


def _list_sweeps(*, as_json: bool) -> None:
    listed: list[tuple[Path, SweepDirectory | RigError]] = []
    for path in list_sweeps():
        try:
            listed.append((path, find_sweep(str(path))))
        except RigError as error:
            listed.append((path, error))
    if as_json:
        print_json([_entry(path, found) for path, found in listed])
        return
    for path, found in listed:
        if isinstance(found, RigError):
            print(f"{path.name}  cannot be read: {found.what}")
            continue
        over = " ".join(f"{axis.name}={','.join(axis.values)}" for axis in found.plan.axes)
        print(f"{found.id}  {found.plan.scenario}  {over}  {_runs(found)}")


def _runs(sweep: SweepDirectory) -> str:
    """Return how many runs a sweep has, and of how many; of a search that cannot be read the first alone."""
    rows = len(read_rows(sweep.journal))
    try:
        expected = expected_rows(sweep)
    except RigError:
        expected = rows
    return f"{rows} of {expected} runs" if rows < expected else f"{rows} runs"


def _entry(path: Path, found: SweepDirectory | RigError) -> dict[str, Any]:
    """Return the entry of a sweep in the list; one that cannot be read has the key `problem`."""
    if isinstance(found, RigError):
        return {"id": path.name, "path": str(path), "problem": found.what}
    return {
        "id": found.id,
        "path": str(found.path),
        "scenario": found.plan.scenario,
        "axes": {axis.name: list(axis.values) for axis in found.plan.axes},
        "runs": len(read_rows(found.journal)),
    }


def _write_heat_map(directory: SweepDirectory, path: Path) -> None:
    plan = directory.plan
    rows = directory.rows()
    warn_of_missing_rows(directory, len(rows))
    picture = heat_map(plan.scenario, [(axis.name, axis.values) for axis in plan.axes], rows)
    try:
        path.write_text(picture)
    except OSError as error:
        raise RigError(f"the heat map cannot be written: {error.strerror}", where=path) from error
