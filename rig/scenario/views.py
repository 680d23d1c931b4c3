# SPDX-License-Identifier: MIT
"""Wrap evidence in read-only views: an expression can read fields, but reach no method or module."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from rig.scenario.suggestion import did_you_mean

__all__ = ["AbsentEvent", "MissingRecord", "View", "thing_of", "view"]


class MissingRecord(LookupError):
    """Data that the plan should have produced was not collected: a sample, a process in it, a field."""


class AbsentEvent(LookupError):
    """An event that the kernel may cause did not occur: no OOM, no panic."""


class View:
    """A mapping, or an object of rig, whose fields are read as attributes.

    Text and numbers are returned unchanged, objects as views, and lists as tuples.
    """

    __slots__ = ("_fields", "_name")

    def __init__(self, fields: Mapping[str, Any], name: str) -> None:
        object.__setattr__(self, "_fields", fields)
        object.__setattr__(self, "_name", name)

    def __getattr__(self, field: str) -> Any:
        if field.startswith("__"):
            raise AttributeError(field)
        try:
            value = self._fields[field]
        except KeyError:
            raise MissingRecord(f"{self._name} has no '{field}': {did_you_mean(field, self._fields)}") from None
        return view(value, f"{self._name}.{field}")

    def __getitem__(self, field: str) -> Any:
        return self.__getattr__(str(field))

    def __contains__(self, field: object) -> bool:
        return field in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __setattr__(self, field: str, value: Any) -> None:
        raise AttributeError(f"{self._name} is read-only")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, View) and dict(self._fields) == dict(other._fields)

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"<{self._name}>"


def view(value: Any, name: str) -> Any:
    """Return `value` in a form that is safe to give to an expression."""
    if value is None or isinstance(value, str | int | float | View):
        return value
    if isinstance(value, Mapping):
        return View(value, name)
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        return tuple(view(item, f"{name}[{index}]") for index, item in enumerate(value))
    return View(_Attributes(value), name)


def thing_of(seen: Any) -> Any:
    """Return the object behind a view, for functions of rig; return any other value unchanged."""
    if isinstance(seen, View):
        fields = object.__getattribute__(seen, "_fields")
        return fields.thing if isinstance(fields, _Attributes) else fields
    return seen


class _Attributes(Mapping[str, Any]):
    """The public fields and properties of an object, read when they are asked for."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing
        self._names = _public(thing)

    def __getitem__(self, key: str) -> Any:
        if key not in self._names:
            raise KeyError(key)
        return getattr(self.thing, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _public(thing: Any) -> tuple[str, ...]:
    kind = type(thing)
    names: list[str] = []
    if dataclasses.is_dataclass(thing):
        names += [field.name for field in dataclasses.fields(thing)]
    names += list(getattr(kind, "model_fields", ()))  # pydantic
    if isinstance(thing, tuple):
        names += list(getattr(kind, "_fields", ()))  # NamedTuple
    for cls in kind.__mro__:
        # Skip the properties of pydantic's BaseModel, such as model_extra: only rig's own are data of the run.
        if cls.__module__.startswith("rig."):
            names += [name for name, member in vars(cls).items() if isinstance(member, property)]
    return tuple(dict.fromkeys(name for name in names if not name.startswith("_")))
