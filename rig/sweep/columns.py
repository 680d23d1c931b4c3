# SPDX-License-Identifier: MIT
"""The columns of a sweep's results, in plain Python: what the Parquet file, CSV and a DataFrame are made of.

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
| oom_count | int32 | OOM reports in the kernel's log; the next six speak of the first |
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
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from rig.scenario.load import Scenario
from rig.sweep.axes import SweepPlan
from rig.sweep.row import Row
from rig.units import parse_size

__all__ = ["Column", "ColumnType", "agreement", "columns_of", "groups_of"]

ColumnType = Literal["int32", "int64", "double", "bool", "string", "map(string, string)", "map(string, double)"]
SIZES = ("memory", "swap", "zram", "disk")
GROUP = 256
"""Rows that are in memory at once when columns are written: with their claims, 8 MB."""


@dataclass(frozen=True)
class Column:
    """A column: a value for each row, None where the row has none. A map is a list of pairs."""

    name: str
    type: ColumnType
    values: list[Any]


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


def groups_of(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows in groups of GROUP or some more, for a point is whole in its group; at least one, if an empty one.

    rows: sorted by point.
    """
    group: list[Row] = []
    began = False
    for _, runs in groupby(rows, key=lambda row: row.point):
        group += runs
        if len(group) >= GROUP:
            yield group
            group, began = [], True
    if group or not began:
        yield group


def columns_of(plan: SweepPlan, scenario: Scenario, rows: Sequence[Row]) -> list[Column]:
    """Return the columns of this module's docstring for these rows."""

    def of(kind: ColumnType, *names: str) -> list[Column]:
        return [Column(name, kind, [getattr(row, name) for row in rows]) for name in names]

    agreed = agreement(rows)
    return [
        *of("int32", "point", "repeat"),
        Column("scenario", "string", [scenario.name] * len(rows)),
        *(_axis(scenario, name, rows) for name in plan.names),
        *of("string", "verdict"),
        Column("unstable", "bool", [agreed[row.point][1] < 1 for row in rows]),
        Column("agreed", "double", [agreed[row.point][1] for row in rows]),
        *of("string", "reason", "run", "kernel", "kernel_package", "kernel_hash", "image_hash"),
        *of("double", "host_seconds", "overhead_seconds", "guest_seconds"),
        *of("int32", "oom_count"),
        *of("double", "oom_time"),
        *of(
            "string",
            "oom_invoker",
            "oom_victim",
            "oom_tied",
            "oom_scope",
            "oom_constraint",
            "panic",
            "worker",
            "shared",
        ),
        # Claims and values are maps and not columns, so that sweeps of different scenarios have one schema.
        Column("claims", "map(string, string)", [[(claim.id, claim.verdict) for claim in row.claims] for row in rows]),
        Column("values", "map(string, double)", [list(row.values().items()) for row in rows]),
    ]


def _axis(scenario: Scenario, name: str, rows: Sequence[Row]) -> Column:
    kind, read = _reader(scenario, name)
    return Column(name, kind, [None if name not in row.settings else read(row.settings[name]) for row in rows])


def _reader(scenario: Scenario, name: str) -> tuple[ColumnType, Callable[[str], Any]]:
    """Return an axis's column type, and the function that parses the text of a value."""
    if name in SIZES:
        return "int64", parse_size
    if name == "cpus":
        return "int64", int
    parameter = scenario.parameters.get(name)
    if parameter is None:
        return "string", str
    kinds: dict[str, ColumnType] = {
        "size": "int64", "int": "int64", "duration": "double", "float": "double", "bool": "bool",
    }  # fmt: skip
    return kinds.get(parameter.type, "string"), parameter.parse
