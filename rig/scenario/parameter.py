# SPDX-License-Identifier: MIT
"""Define a scenario's parameter: its type, bounds and default, and how text is parsed to its value."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from rig.units import format_duration, format_size, parse_duration, parse_size

__all__ = ["RESERVED", "Parameter", "Raw", "Value"]

Raw = bool | int | float | str
"""A value as it stands in TOML or on the command line."""

Value = bool | int | float | str
"""A parsed value: a size in bytes (int), a duration in seconds (float), or the value itself."""

GUEST_SETTINGS = ("memory", "cpus", "swap", "zram", "disk", "kernel", "image", "clock", "accel")
TEMPLATE_NAMES = ("params", "guest", "to_the_end", "sysctl", "sysctls", "payload", "item")
RESERVED = frozenset(GUEST_SETTINGS + TEMPLATE_NAMES)
"""Names that no parameter may have: the guest's settings, and the other names that templates use."""

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


class Parameter(BaseModel):
    """One entry of `[parameters.NAME]`.

    type: `size` (bytes), `duration` (seconds), `int`, `float`, `bool`, `choice` (one of `choices`) or `text`.
    min, max: inclusive bounds, in the same notation as the value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    type: Literal["size", "duration", "int", "float", "bool", "choice", "text"]
    default: Raw
    help: str
    min: Raw | None = None
    max: Raw | None = None
    choices: tuple[str, ...] | None = None
    unit: str = ""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.type == "choice") != (self.choices is not None):
            raise ValueError("'choices' is only for type \"choice\"")
        bounded = self.min is not None or self.max is not None
        if bounded and self.type in ("bool", "choice", "text"):
            raise ValueError(f'a parameter of type "{self.type}" has no min and no max')
        for name in ("min", "max"):
            bound = getattr(self, name)
            if bound is not None:
                self._read(bound)
        self.parse(self.default)
        return self

    def parse(self, raw: Raw) -> Value:
        """Return the parsed value of `raw`. Raises ValueError that says what is accepted."""
        value = self._read(raw)
        if self.min is not None and value < self._read(self.min):  # type: ignore[operator] # numbers both
            raise ValueError(f"{self.show(value)} is out of bounds: the smallest value is {self.min}")
        if self.max is not None and value > self._read(self.max):  # type: ignore[operator] # numbers both
            raise ValueError(f"{self.show(value)} is out of bounds: the largest value is {self.max}")
        return value

    def show(self, value: Value) -> str:
        """Return the value in the notation that a user writes: 200M, 30s, true."""
        match self.type:
            case "size":
                return format_size(int(value))
            case "duration":
                return format_duration(float(value))
            case "bool":
                return "true" if value else "false"
            case _:
                return f"{value}{self.unit}" if self.type in ("int", "float") else str(value)

    def _read(self, raw: Raw) -> Value:
        text = str(raw).strip()
        match self.type:
            case "size":
                return parse_size(text)
            case "duration":
                return parse_duration(text)
            case "int":
                return _number(int, text, "a whole number")
            case "float":
                return _number(float, text, "a number")
            case "bool":
                return _switch(text)
            case "choice":
                choices = self.choices or ()
                if text not in choices:
                    raise ValueError(f"'{text}' is not one of {', '.join(choices)}")
                return text
            case "text":
                return str(raw)


def _number(kind: type[int] | type[float], text: str, what: str) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(f"'{text}' is not {what}") from None
    # float() accepts "nan" and "inf", and NaN would pass every comparison with min and max.
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"'{text}' is not {what}")
    return value


def _switch(text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError(f"'{text}' is neither true nor false")
