# SPDX-License-Identifier: MIT
"""Build the table of a sweep's results, keep it as a Parquet file, and query it with SQL.

Columns, one row a run, ordered by point and repeat:

| column | type | is |
|---|---|---|
| point, repeat | int32 | number of the point and of its run, from 0 |
| scenario | string | |
| one column an axis, by its name | see below | value at this point |
| verdict | string | reproduced, not-reproduced, invalid, error |
| unstable | bool | the runs of this point do not agree on the verdict |
| agreed | double | share of this point's runs with its most frequent verdict |
| reason | string | why it is invalid or error |
| run | string | id of the run (`rig runs`); empty where none was made |
| kernel, kernel_package, kernel_hash, image_hash | string | what the guest booted |
| host_seconds, overhead_seconds, guest_seconds | double | whole run; the rig's own part; on the guest's clock |
| oom_count | int32 | OOM reports in the kernel's log; the next five speak of the first |
| oom_time | double | guest seconds |
| oom_invoker, oom_victim, oom_scope, oom_constraint | string | |
| oom_tied | string | the tasks that might as well have been killed (a tie), with commas; empty: no tie |
| panic | string | the panic's reason; empty where there was none |
| worker | string | where it ran; empty: in this process |
| shared | string | the branch point from which it began, its past being that of other runs too; empty: a whole run |
| claims | map(string, string) | claim -> held, failed, not-applicable, invalid |
| values | map(string, double) | claim.value -> number it was judged on, in the scenario's unit |

An axis is int64 where it is a size (bytes) or a whole number, double where it is a duration (seconds) or a fraction,
bool, or string; null where an explicit point does not set it.

The file's metadata holds `rig.sweep.schema`, the version of this table, and `rig.sweep.sha256`, the digest of its
columns: Parquet has checksums of its pages, and none of the names, types and places that its footer gives.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from rig.errors import RigError, UsageError
from rig.extras import lacking
from rig.sanitize import plain
from rig.scenario.load import Scenario
from rig.sweep.axes import SweepPlan
from rig.sweep.row import Row
from rig.units import parse_size
from rig.whole_file import unnamed_until_whole

__all__ = ["TABLE_VERSION", "agreement", "query", "read_table", "table_of", "write_table"]

TABLE_VERSION = 1
VERSION_KEY = b"rig.sweep.schema"
DIGEST_KEY = b"rig.sweep.sha256"
SIZES = ("memory", "swap", "zram", "disk")


def agreement(rows: Sequence[Row]) -> dict[int, tuple[str, float]]:
    """Return point -> (most frequent verdict of its runs, share of the runs that have it, from 0 to 1)."""
    verdicts: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        verdicts[row.point].append(row.verdict)
    found = {}
    for point, each in verdicts.items():
        verdict, count = Counter(each).most_common(1)[0]
        found[point] = (verdict, count / len(each))
    return found


def table_of(plan: SweepPlan, scenario: Scenario, rows: Sequence[Row]) -> Any:
    """Return the rows as a pyarrow.Table with the schema of this module's docstring."""
    arrow = _arrow()
    agreed = agreement(rows)
    columns: list[tuple[str, Any, list[Any]]] = [
        ("point", arrow.int32(), [row.point for row in rows]),
        ("repeat", arrow.int32(), [row.repeat for row in rows]),
        ("scenario", arrow.string(), [scenario.name] * len(rows)),
    ]
    for name in plan.names:
        kind, read = _reader(arrow, scenario, name)
        values = [None if name not in row.settings else read(row.settings[name]) for row in rows]
        columns.append((name, kind, values))
    columns += [
        ("verdict", arrow.string(), [row.verdict for row in rows]),
        ("unstable", arrow.bool_(), [agreed[row.point][1] < 1 for row in rows]),
        ("agreed", arrow.float64(), [agreed[row.point][1] for row in rows]),
    ]
    for name in ("reason", "run", "kernel", "kernel_package", "kernel_hash", "image_hash"):
        columns.append((name, arrow.string(), [getattr(row, name) for row in rows]))
    for name in ("host_seconds", "overhead_seconds", "guest_seconds"):
        columns.append((name, arrow.float64(), [getattr(row, name) for row in rows]))
    columns.append(("oom_count", arrow.int32(), [row.oom_count for row in rows]))
    columns.append(("oom_time", arrow.float64(), [row.oom_time for row in rows]))
    for name in ("oom_invoker", "oom_victim", "oom_tied", "oom_scope", "oom_constraint", "panic", "worker", "shared"):
        columns.append((name, arrow.string(), [getattr(row, name) for row in rows]))
    # Claims and values are maps and not columns, so that sweeps of different scenarios have one schema.
    claims = [[(claim.id, claim.verdict) for claim in row.claims] for row in rows]
    columns.append(("claims", arrow.map_(arrow.string(), arrow.string()), claims))
    numbers = [list(row.values().items()) for row in rows]
    columns.append(("values", arrow.map_(arrow.string(), arrow.float64()), numbers))
    schema = arrow.schema([(name, kind) for name, kind, _ in columns], metadata={VERSION_KEY: str(TABLE_VERSION)})
    return arrow.table([arrow.array(values, kind) for _, kind, values in columns], schema=schema)


def _reader(arrow: Any, scenario: Scenario, name: str) -> tuple[Any, Any]:
    """Return an axis's column type, and the function that parses the text of a value."""
    if name in SIZES:
        return arrow.int64(), parse_size
    if name == "cpus":
        return arrow.int64(), int
    parameter = scenario.parameters.get(name)
    if parameter is None:
        return arrow.string(), str
    kinds = {"size": arrow.int64(), "int": arrow.int64(), "duration": arrow.float64(), "float": arrow.float64(),
             "bool": arrow.bool_()}  # fmt: skip
    return kinds.get(parameter.type, arrow.string()), parameter.parse


def write_table(table: Any, path: Path) -> None:
    """Write the Parquet file atomically, by a rename. Raises RigError when it cannot be written."""
    parquet = _parquet()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), DIGEST_KEY: _digest(table)})
    try:
        with unnamed_until_whole(path) as file:
            parquet.write_table(table, file, write_page_checksum=True)
    except OSError as error:
        raise RigError(f"the table cannot be written: {error}", where=path) from error


def _digest(table: Any) -> str:
    """Return the SHA-256 (hex) of a table's names and values."""
    columns = [(name, table.column(name).to_pylist()) for name in table.schema.names]
    return sha256(repr(columns).encode()).hexdigest()


def read_table(path: Path) -> Any:
    """Read the Parquet file of a sweep as a pyarrow.Table.

    Raises RigError for a file that is missing, is not the table of a sweep, or has another schema version.
    """
    parquet = _parquet()
    try:
        table = parquet.read_table(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise RigError("there is no such file", where=path, remedy="'rig results' lists the sweeps") from None
    except Exception as error:
        # Of pyarrow's errors for a damaged file some are no ValueError, such as ArrowNotImplementedError.
        raise RigError(f"not a Parquet file: {plain(error)}", where=path) from None
    version = (table.schema.metadata or {}).get(VERSION_KEY)
    if version is None:
        raise RigError("the file contains no results of a sweep", where=path, remedy="'rig results' lists the sweeps")
    if version != str(TABLE_VERSION).encode():
        raise RigError(
            f"the results have schema version {version.decode(errors='replace')}, this rig reads {TABLE_VERSION}",
            where=path,
            remedy="name the sweep's directory instead: its table is made anew from rows.jsonl beside it",
        )
    digest = table.schema.metadata.get(DIGEST_KEY)
    if digest is not None and digest.decode(errors="replace") != _digest(table):
        raise RigError(
            "the file is damaged: it is not what its digest says",
            where=path,
            remedy="name the sweep's directory instead: its table is made anew from rows.jsonl beside it",
        )
    return table


def query(table: Any, sql: str) -> Any:
    """Return the result of an SQL query as a pyarrow.Table; in the query the table is called `results`.

    Raises UsageError, with the message of DuckDB, for a query that it does not accept.
    """
    try:
        import duckdb
    except ImportError as error:
        raise lacking("duckdb", str(error)) from None
    # A query may come from others: without external access it can read neither the host's files nor load extensions.
    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        connection.register("results", table)
        try:
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise UsageError(
                "the query is not accepted", where="--sql", remedy="the table is called results", detail=str(error)
            ) from None


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise lacking("pyarrow", str(error)) from None
    return pyarrow


def _parquet() -> Any:
    _arrow()
    from pyarrow import parquet

    return parquet
