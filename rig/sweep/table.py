# SPDX-License-Identifier: MIT
"""Keep the table of a sweep's results as a Parquet file, and query it with SQL.

rig/sweep/columns.py has its columns. The file's metadata holds `rig.sweep.schema`, the version of this table, and
`rig.sweep.sha256`, the digest of its columns: Parquet has checksums of its pages, and none of the names, types and
places that its footer gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from rig.errors import RigError, UsageError
from rig.extras import lacking
from rig.sanitize import plain
from rig.scenario.load import Scenario
from rig.sweep.axes import SweepPlan
from rig.sweep.columns import columns_of
from rig.sweep.row import Row
from rig.whole_file import unnamed_until_whole

__all__ = ["TABLE_VERSION", "query", "read_table", "table_of", "write_table"]

TABLE_VERSION = 1
VERSION_KEY = b"rig.sweep.schema"
DIGEST_KEY = b"rig.sweep.sha256"


def table_of(plan: SweepPlan, scenario: Scenario, rows: Sequence[Row]) -> Any:
    """Return the rows as a pyarrow.Table."""
    arrow = _arrow()
    types = {
        "int32": arrow.int32(), "int64": arrow.int64(), "double": arrow.float64(), "bool": arrow.bool_(),
        "string": arrow.string(),
        "map(string, string)": arrow.map_(arrow.string(), arrow.string()),
        "map(string, double)": arrow.map_(arrow.string(), arrow.float64()),
    }  # fmt: skip
    columns = columns_of(plan, scenario, rows)
    schema = arrow.schema(
        [(each.name, types[each.type]) for each in columns], metadata={VERSION_KEY: str(TABLE_VERSION)}
    )
    return arrow.table([arrow.array(each.values, types[each.type]) for each in columns], schema=schema)


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
