# SPDX-License-Identifier: MIT
"""The results of a sweep as a pandas.DataFrame, for a notebook:

from rig.sweep.frame import results_frame
results_frame("last").groupby("hog")["host_seconds"].median()
"""

from __future__ import annotations

from typing import Any

from rig.extras import lacking
from rig.scenario.load import load_scenario
from rig.sweep.columns import Column, columns_of
from rig.sweep.directory import find_sweep

__all__ = ["results_frame"]

TYPES = {"int32": "Int32", "int64": "Int64", "double": "Float64", "bool": "boolean", "string": "string"}
"""Column type -> pandas' type of that name that has missing values."""


def results_frame(sweep: str = "last") -> Any:
    """Return the results of a sweep as a pandas.DataFrame, one row a run.

    Its columns are those of rig/sweep/columns.py, with a column `claim.CLAIM` for each claim's verdict and a column
    `CLAIM.VALUE` for each number in place of the two maps.

    sweep: path, id, unique prefix of the id, or `last`. A sweep that still runs has the rows of its finished runs.
    Raises UsageError where no sweep, or more than one, matches.
    Raises RigError where pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise lacking("pandas", str(error)) from None
    found = find_sweep(sweep)
    columns = columns_of(found.plan, load_scenario(found.plan.scenario), found.rows())
    series: dict[str, Any] = {}
    for column in columns:
        for each in _spread(column):
            series[each.name] = pandas.array(each.values, dtype=TYPES[each.type])
    return pandas.DataFrame(series)


def _spread(column: Column) -> list[Column]:
    """Return a column for each key of a map; any other column as it is."""
    if not column.type.startswith("map"):
        return [column]
    maps = [dict(pairs) for pairs in column.values]
    prefix = "claim." if column.name == "claims" else ""
    kind: Any = "string" if column.name == "claims" else "double"
    keys = dict.fromkeys(key for each in maps for key in each)
    return [Column(f"{prefix}{key}", kind, [each.get(key) for each in maps]) for key in keys]
