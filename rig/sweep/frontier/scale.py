# SPDX-License-Identifier: MIT
"""Parse the axis of a threshold search: `NAME=LOW..HIGH`, divided into steps of a resolution."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from rig.errors import UsageError
from rig.scenario.load import Scenario
from rig.scenario.parameter import GUEST_SETTINGS
from rig.scenario.suggestion import did_you_mean
from rig.sweep.axes import check_value
from rig.units import format_duration, format_size, parse_duration, parse_size

__all__ = ["Scale", "parse_scale"]

MOST_STEPS = 1 << 20
SIZES = ("memory", "swap", "zram", "disk")


@dataclass(frozen=True)
class Scale:
    """A range of a setting.

    low, high, resolution: in the unit of `kind`: bytes, seconds, or the number itself.
    Fractions keep the steps exact, so that the text of a step parses back to the same value.
    """

    name: str
    kind: str
    low: Fraction
    high: Fraction
    resolution: Fraction

    @property
    def steps(self) -> int:
        """Number of whole steps between low and high; a remainder below high is not searched."""
        return int((self.high - self.low) / self.resolution)

    def value(self, step: int) -> Fraction:
        return self.low + step * self.resolution

    def text(self, step: int) -> str:
        """Return a step's value in the notation of the command line."""
        return show(self.kind, self.value(step))


def show(kind: str, value: Fraction) -> str:
    """Return a value in the notation of its kind: 200M, 30s or 7."""
    if kind == "size":
        return format_size(round(value))
    if kind == "duration":
        return format_duration(float(value))
    return str(int(value)) if kind == "int" else f"{float(value):g}"


def parse_scale(text: str, scenario: Scenario, resolution: str | None = None) -> Scale:
    """Return the axis of `NAME=LOW..HIGH`.

    resolution: text of a step; None for 1 MiB, 1, or 1/256 of the range for durations and fractions.
    Raises UsageError for an unknown name, an invalid range, and an invalid resolution.
    """
    name, equals, rest = text.partition("=")
    low, dots, high = rest.partition("..")
    if not equals or not dots:
        raise UsageError(f"'{text}' is not a range", where="--over", remedy="write NAME=LOW..HIGH, as in hog=0M..300M")
    kind = _kind(name.strip(), scenario)
    where = f"--over {text}"
    ends = [_parse(kind, end, where) for end in (low, high)]
    for end in (low, high):
        check_value(scenario, name.strip(), end.strip())
    if ends[0] >= ends[1]:
        raise UsageError("the range is empty", where=where, remedy="write the smaller value first")
    if resolution is not None:
        step = _parse(kind, resolution, f"--resolution {resolution}")
        if step <= 0:
            raise UsageError("is not above zero", where=f"--resolution {resolution}")
    else:
        step = {"size": Fraction(1 << 20), "int": Fraction(1)}.get(kind, (ends[1] - ends[0]) / 256)
    scale = Scale(name.strip(), kind, ends[0], ends[1], step)
    if not 1 <= scale.steps <= MOST_STEPS:
        raise UsageError(
            f"the range has {scale.steps} steps",
            where="--resolution",
            remedy=f"choose a resolution with 1 to {MOST_STEPS} steps",
        )
    for step_number in (0, scale.steps):
        check_value(scenario, scale.name, scale.text(step_number))
    return scale


def _kind(name: str, scenario: Scenario) -> str:
    if name in SIZES:
        return "size"
    if name == "cpus" or "." in name:
        return "int"
    parameter = scenario.parameters.get(name)
    if parameter is None:
        known = [*scenario.parameters, *GUEST_SETTINGS]
        raise UsageError(f"there is no axis '{name}'", where=f"--over {name}", remedy=did_you_mean(name, known))
    if parameter.type not in ("size", "duration", "int", "float"):
        raise UsageError(
            f"'{name}' is of type {parameter.type}: there is nothing between two of its values",
            where=f"--over {name}",
            remedy="sweep over it instead",
        )
    return parameter.type


def _parse(kind: str, text: str, where: str) -> Fraction:
    try:
        if kind == "size":
            return Fraction(parse_size(text))
        if kind == "duration":
            return Fraction(parse_duration(text)).limit_denominator(10**9)
        return Fraction(int(text)) if kind == "int" else Fraction(text.strip())
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(str(error), where=where) from None
