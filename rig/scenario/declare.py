# SPDX-License-Identifier: MIT
"""Declare a name or a function of the language of claims: once, where it is written.

The vocabulary that expressions are checked against, the functions that evaluate them, whether lost records make a claim
invalid, and the tables of docs/reference/claims.md all come from these declarations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

__all__ = ["DECLARED", "Declared", "Example", "Source", "builtin", "function", "name"]

Source = Literal["settings", "records", "log", "value"]
"""What the answer rests on: the run's settings (known before it), the agent's records, the kernel's log alone, or
nothing but the arguments.
"""

Declaring = TypeVar("Declaring", bound=Callable[..., Any])


RUN = "overcommit-oops"


@dataclass(frozen=True)
class Example:
    """An expression that holds for a recorded run, SCENARIO or SCENARIO/VARIANT of tests/scenario/data.

    Without the run's records it does not, where the word rests on them, and still does elsewhere.
    """

    expr: str
    run: str = RUN


@dataclass(frozen=True)
class Declared:
    """A word of the language.

    call: takes the evidence first, but for source `value`. text: its line of documentation (Markdown).
    """

    word: str
    kind: Literal["name", "function"]
    source: Source
    signature: str
    text: str
    example: Example
    call: Callable[..., Any]


DECLARED: dict[str, Declared] = {}
"""Every word by its name, in the order of declaration."""


def name(source: Source, example: str, *, run: str = RUN, word: str = "") -> Callable[[Declaring], Declaring]:
    """Declare a function of the evidence as a name. Its docstring's first paragraph is its documentation."""
    return _declaring("name", source, Example(example, run), word)


def function(source: Source, example: str, *, run: str = RUN, word: str = "") -> Callable[[Declaring], Declaring]:
    """Declare a function of the evidence and the claim's arguments. Its docstring's first paragraph documents it."""
    return _declaring("function", source, Example(example, run), word)


def builtin(word: str, call: Callable[..., Any]) -> None:
    """Declare one of Python's own functions."""
    _add(Declared(word, "function", "value", word, "", Example(""), call))


def _declaring(kind: Literal["name", "function"], source: Source, example: Example, word: str) -> Callable[..., Any]:
    def declare(call: Declaring) -> Declaring:
        called = word or call.__name__
        text = " ".join((inspect.getdoc(call) or "").split("\n\n")[0].split())
        if not text:
            raise ValueError(f"'{called}' has no line of documentation")
        signature = called if kind == "name" else f"{called}({', '.join(_parameters(call, source))})"
        _add(Declared(called, kind, source, signature, text, example, call))
        return call

    return declare


def _parameters(call: Callable[..., Any], source: Source) -> list[str]:
    parameters = list(inspect.signature(call).parameters.values())
    shown = []
    for parameter in parameters if source == "value" else parameters[1:]:
        star = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is inspect.Parameter.empty else f"={parameter.default!r}"
        shown.append(f"{star}{parameter.name}{default}")
    return shown


def _add(declared: Declared) -> None:
    if declared.word in DECLARED:
        raise ValueError(f"'{declared.word}' is declared twice")
    DECLARED[declared.word] = declared
