# SPDX-License-Identifier: MIT
"""Define a sweep: its axes, which are settings with a list of values, and the points of their product."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.errors import UsageError
from rig.scenario.load import Scenario
from rig.scenario.parameter import GUEST_SETTINGS
from rig.scenario.settings import parse_settings
from rig.scenario.suggestion import did_you_mean

__all__ = ["MANY_POINTS", "Axis", "Point", "SweepPlan", "check_plan", "check_value", "parse_axes", "read_plan"]

MANY_POINTS = 10_000
"""A sweep of this many runs or more starts only with --yes."""
FILE_KEYS = ("scenario", "repeat", "set", "over", "points")


@dataclass(frozen=True)
class Axis:
    """A setting and its values, in the notation of the user."""

    name: str
    values: tuple[str, ...]


Point = tuple[tuple[str, str], ...]
"""The settings of one point: (name, value) in the order of the axes."""


@dataclass(frozen=True)
class SweepPlan:
    """The points of a sweep: the product of its axes, followed by the explicit points of a file.

    fixed: settings that all points share.
    extra: the explicit points.
    repeat: number of runs of each point.
    searched: whether it is of a threshold search, which has a frontier.json when it is finished.
    """

    scenario: str
    axes: tuple[Axis, ...] = ()
    fixed: Point = ()
    extra: tuple[Point, ...] = ()
    repeat: int = 1
    searched: bool = False

    def points(self) -> Iterator[Point]:
        """Yield the points; the last axis varies fastest."""
        if self.axes:
            names = [axis.name for axis in self.axes]
            for values in itertools.product(*(axis.values for axis in self.axes)):
                yield tuple(zip(names, values, strict=True))
        yield from self.extra

    @property
    def size(self) -> int:
        """The number of runs, without building the product: it may have millions of points."""
        product = math.prod(len(axis.values) for axis in self.axes) if self.axes else 0
        return (product + len(self.extra)) * self.repeat

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that differ between points, in order."""
        extra = (name for point in self.extra for name, _ in point)
        return tuple(dict.fromkeys([*(axis.name for axis in self.axes), *extra]))


def parse_axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Return the axes of `NAME=V1,V2,…` texts.

    Raises UsageError for a text that is not an axis, an axis without values, and a name that is given twice.
    """
    axes: list[Axis] = []
    for text in texts:
        name, equals, rest = text.partition("=")
        name = name.strip()
        where = f"--over {text}"
        if not equals or not name:
            raise UsageError(
                f"'{text}' is not an axis", where="--over", remedy="write NAME=V1,V2, as in memory=384M,512M"
            )
        values = tuple(value.strip() for value in rest.split(","))
        if not all(values):
            raise UsageError(
                "the axis has an empty value: the product of the axes would be empty",
                where=where,
                remedy=f"write at least one value, as in {name}=1,2",
            )
        axes.append(_axis(name, values, where))
    _no_name_twice([axis.name for axis in axes], "--over")
    return tuple(axes)


def _axis(name: str, values: tuple[str, ...], where: str) -> Axis:
    if len(set(values)) != len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise UsageError(f"the value {twice} is given twice", where=where, remedy="--repeat N runs each point N times")
    return Axis(name, values)


def _no_name_twice(names: Sequence[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the axis '{name}' is given twice", where=where, remedy="give all its values at once")


def read_plan(path: Path, scenario: str | None = None) -> SweepPlan:
    """Read a sweep from a TOML file: `scenario`, `repeat`, `[set]`, `[over]` with lists, `[[points]]`.

    Raises UsageError that names the file and the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not valid TOML: {error}", where=path, remedy="see https://toml.io") from None
    for key in content:
        if key not in FILE_KEYS:
            raise UsageError(f"unknown key '{key}'", where=path, remedy=did_you_mean(key, FILE_KEYS))
    name = scenario or content.get("scenario")
    if not isinstance(name, str):
        raise UsageError(
            "no scenario is named", where=path, remedy='add scenario = "NAME", or name it on the command line'
        )
    repeat = content.get("repeat", 1)
    if not isinstance(repeat, int) or isinstance(repeat, bool) or not 1 <= repeat <= 1000:
        raise UsageError("is not a number from 1 to 1000", where=f"{path}: repeat")
    axes = []
    for key, values in _table(content, "over", path).items():
        where = f"{path}: over.{key}"
        if not isinstance(values, list):
            raise UsageError("an axis is a list of values", where=where, remedy=f'as in {key} = ["1", "2"]')
        if not values:
            raise UsageError(
                "the axis has no value: the product of the axes is empty", where=where, remedy="add at least one value"
            )
        axes.append(_axis(key, tuple(_text(value, where) for value in values), where))
    points = content.get("points", [])
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise UsageError("points are tables", where=f"{path}: points", remedy="write [[points]] before each")
    return SweepPlan(
        scenario=name,
        axes=tuple(axes),
        fixed=_settings(_table(content, "set", path), f"{path}: set"),
        extra=tuple(_settings(point, f"{path}: points[{index}]") for index, point in enumerate(points)),
        repeat=repeat,
    )


def _table(content: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise UsageError("is not a table", where=f"{path}: {key}", remedy=f"write [{key}] and one setting a line")
    return _flat(table)


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join nested tables to dotted names: TOML reads an unquoted `vm.overcommit_memory` as a table within a table."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _settings(table: Mapping[str, Any], where: str) -> Point:
    return tuple((name, _text(value, f"{where}.{name}")) for name, value in _flat(table).items())


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise UsageError("a setting is a text, a number or true or false", where=where)


def check_plan(plan: SweepPlan, scenario: Scenario, *, yes: bool = False) -> None:
    """Check a plan before any guest starts.

    yes: whether the user accepts MANY_POINTS runs or more.
    Raises UsageError for an unknown axis, a plan without points, too many points without `yes`, and a value that its
    setting does not accept. Values that are valid alone but not in combination are not a usage error: such a point
    becomes a row with the verdict `error`.
    """
    for name in plan.names:
        if name not in GUEST_SETTINGS and "." not in name and name not in scenario.parameters:
            known = [*scenario.parameters, *GUEST_SETTINGS]
            raise UsageError(
                f"there is no axis '{name}': '{scenario.name}' has no such parameter",
                where=f"--over {name}",
                remedy=did_you_mean(name, known),
            )
    count = plan.size
    if not count:
        raise UsageError("there is no point: the product is empty", where="--over", remedy="name at least one axis")
    if count >= MANY_POINTS and not yes:
        raise UsageError(f"that is {count} runs", where="--over", remedy="add --yes to run them all")
    shared = {name for name, _ in plan.fixed} & set(plan.names)
    if shared:
        raise UsageError(f"'{min(shared)}' is both a setting and an axis", where="--set", remedy="leave one out")
    for axis in plan.axes:
        for value in axis.values:
            check_value(scenario, axis.name, value)


def check_value(scenario: Scenario, name: str, value: str) -> None:
    """Check a value against its own type and bounds; what depends on other settings is checked when the point runs."""
    if ".." in value and name != "kernel" and name != "image":
        raise UsageError(
            f"'{value}' is a range, and an axis is a list of values",
            where=f"--over {name}={value}",
            remedy=f"{name}=V1,V2,…; rig frontier searches a range: rig frontier {scenario.name} --over {name}={value}",
        )
    if name in scenario.parameters:
        try:
            scenario.parameters[name].parse(value)
        except ValueError as error:
            raise UsageError(str(error), where=f"--over {name}={value}") from None
        return
    try:
        parse_settings(scenario, [f"{name}={value}"])
    except UsageError as error:
        if error.where is not None and error.where.startswith("--set"):
            raise UsageError(error.what, where=f"--over {name}={value}", remedy=error.remedy) from None
        if name == "memory" and error.where == name:
            # Memory out of bounds is wrong with any settings; cpus=2 may be valid, with clock=live on another axis.
            raise UsageError(error.what, where=f"--over {name}={value}", remedy=error.remedy) from None
        if "." in name and error.where is None:
            raise
