# SPDX-License-Identifier: MIT
"""Declare the names and functions of the claim language, each once, at its implementation.

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
"""The data that a word is computed from.

settings: the run's settings, known before it starts.
records: the agent's records; a claim that uses such a word is invalid when records were lost.
log: the kernel's log alone.
value: the arguments alone.
"""

Declaring = TypeVar("Declaring", bound=Callable[..., Any])


RUN = "overcommit-oops"


@dataclass(frozen=True)
class Example:
    """An expression that is true of a recorded run.

    run: SCENARIO or SCENARIO/VARIANT, a directory of tests/scenario/data.
    The tests also evaluate it without the run's records: it must then fail if the word has source `records`, and hold
    otherwise.
    """

    expr: str
    run: str = RUN


@dataclass(frozen=True)
class Declared:
    """A word of the claim language.

    call: the implementation; its first argument is the evidence, except for source `value`.
    text: one line of documentation, in Markdown.
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
    """Declare a function of the evidence as a name; the first paragraph of its docstring documents it."""
    return _declaring("name", source, Example(example, run), word)


def function(source: Source, example: str, *, run: str = RUN, word: str = "") -> Callable[[Declaring], Declaring]:
    """Declare a function of the evidence and of arguments; the first paragraph of its docstring documents it."""
    return _declaring("function", source, Example(example, run), word)


def builtin(word: str, call: Callable[..., Any]) -> None:
    """Declare a built-in function of Python, which needs no documentation here."""
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
