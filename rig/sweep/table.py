# SPDX-License-Identifier: MIT
"""Keep the table of a sweep's results as a Parquet file, and query it with SQL.

rig/sweep/columns.py has its columns. The file's metadata holds `rig.sweep.schema`, the version of this table, and
`rig.sweep.rows.sha256`, the digest of its rows: Parquet has checksums of its pages, and none of the names, types and
places that its footer gives.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from rig.errors import RigError, UsageError
from rig.extras import lacking
from rig.sanitize import plain
from rig.scenario.load import Scenario
from rig.sweep.axes import SweepPlan
from rig.sweep.columns import columns_of, groups_of
from rig.sweep.row import Row
from rig.whole_file import unnamed_until_whole

__all__ = ["TABLE_VERSION", "query", "read_table", "rows_of", "table_of", "tables_of", "write_table"]

logger = logging.getLogger(__name__)
TABLE_VERSION = 1
VERSION_KEY = b"rig.sweep.schema"
DIGEST_KEY = b"rig.sweep.rows.sha256"
ROWS_A_BATCH = 256


def table_of(plan: SweepPlan, scenario: Scenario, rows: Sequence[Row]) -> Any:
    """Return the rows as one pyarrow.Table: it takes a tenth of the memory that the rows would."""
    return _arrow().concat_tables(tables_of(plan, scenario, rows))


def tables_of(plan: SweepPlan, scenario: Scenario, rows: Sequence[Row]) -> Iterator[Any]:
    """Yield the rows as pyarrow.Tables of one schema, each made of a group (groups_of); at least one, if an empty one.

    rows: sorted by point. They are asked for once, in their order.
    """
    for group in groups_of(rows):
        yield _table(plan, scenario, group)


def _table(plan: SweepPlan, scenario: Scenario, rows: Sequence[Row]) -> Any:
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


def write_table(tables: Iterable[Any], path: Path) -> None:
    """Write the Parquet file atomically, by a rename: a row group for each table, so that one is held at a time.

    tables: pyarrow.Tables of one schema, at least one.
    Raises RigError when the file cannot be written.
    """
    parquet = _parquet()
    rest = iter(tables)
    first = next(rest)
    digest = _Digest(first.schema.names)
    try:
        with (
            unnamed_until_whole(path) as file,
            parquet.ParquetWriter(file, first.schema, write_page_checksum=True) as writer,
        ):
            for table in chain([first], rest):
                digest.add(table)
                writer.write_table(table)
            writer.add_key_value_metadata({DIGEST_KEY: digest.text})
    except OSError as error:
        raise RigError(f"the table cannot be written: {error}", where=path) from error


def rows_of(table: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a pyarrow.Table; ROWS_A_BATCH of them are Python's objects at a time."""
    for batch in table.to_batches(max_chunksize=ROWS_A_BATCH):
        yield from batch.to_pylist()


class _Digest:
    """The SHA-256 of a table's names and rows, whatever parts it comes in."""

    def __init__(self, names: Sequence[str]) -> None:
        self._sum = sha256(repr(list(names)).encode())

    def add(self, table: Any) -> None:
        """Add the rows of the next part."""
        for row in rows_of(table):
            self._sum.update(repr(list(row.values())).encode())

    @property
    def text(self) -> str:
        """The digest as hex digits."""
        return self._sum.hexdigest()


def _digest(table: Any) -> str:
    found = _Digest(table.schema.names)
    found.add(table)
    return found.text


def read_table(path: Path) -> Any:
    """Read the Parquet file of a sweep as a pyarrow.Table. Log if it has no digest, so that damage is not noticed.

    Raises RigError for a file that is missing, is not the table of a sweep, or has another schema version.
    """
    parquet = _parquet()
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            # Of the file and not of the schema: what a writer adds at its end is not part of the schema.
            metadata = file.metadata.metadata or {}
            table = file.read()
    except FileNotFoundError:
        raise RigError("there is no such file", where=path, remedy="'rig results' lists the sweeps") from None
    except Exception as error:
        # Of pyarrow's errors for a damaged file some are no ValueError, such as ArrowNotImplementedError.
        raise RigError(f"not a Parquet file: {plain(error)}", where=path) from None
    version = metadata.get(VERSION_KEY)
    if version is None:
        raise RigError("the file contains no results of a sweep", where=path, remedy="'rig results' lists the sweeps")
    if version != str(TABLE_VERSION).encode():
        raise RigError(
            f"the results have schema version {version.decode(errors='replace')}, this rig reads {TABLE_VERSION}",
            where=path,
            remedy="name the sweep's directory instead: its table is made anew from rows.jsonl beside it",
        )
    digest = metadata.get(DIGEST_KEY)
    if digest is None:
        logger.warning("%s was made by an earlier rig: whether it is damaged is not known", path)
    elif digest.decode(errors="replace") != _digest(table):
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
