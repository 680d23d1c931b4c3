# SPDX-License-Identifier: MIT
"""Check and evaluate claim expressions: simpleeval over read-only views.

The language is the part of Python's grammar for comparisons, arithmetic, comprehensions and calls of declared
functions. An expression that uses anything else, or an unknown name, is refused when the scenario is loaded, before a
guest starts. The error marks the column with a caret.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rig.errors import UsageError
from rig.scenario.suggestion import did_you_mean
from rig.scenario.templates import LARGEST_BITS, is_large_product
from rig.scenario.views import AbsentEvent, MissingRecord

__all__ = ["AbsentSubject", "Expression", "Undecidable", "evaluate", "parse_expression"]

MOST_STEPS = 2_000_000
"""Bound on evaluated nodes: a comprehension of 10,000 items inside another would run for minutes."""

CALL_STEPS = 200
"""What a call counts for MOST_STEPS: 10,000 calls are allowed."""

ITEMS_A_STEP, CHARACTERS_A_STEP = 2, 64
"""A list counts for MOST_STEPS by its items, those of the lists in it included, and a text that was made by its length.

Each value that a list holds was evaluated, and so counted, before: no list is larger than what was paid for it.
"""

METHODS = frozenset({"startswith", "endswith", "lower"})
"""String methods that may be called; every other method call is refused."""

NODES: tuple[type[ast.AST], ...] = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Store, ast.Attribute, ast.Subscript, ast.Slice,
    ast.Call, ast.keyword, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.IfExp, ast.List,
    ast.Tuple, ast.Set, ast.ListComp, ast.GeneratorExp, ast.comprehension,
)  # fmt: skip


class AbsentSubject(Exception):
    """The expression names an event that did not occur, such as an OOM report: the claim fails."""


class Undecidable(Exception):
    """The expression needs data that was not collected, or is a type error: the claim cannot be judged."""


@dataclass(frozen=True)
class Expression:
    """A checked expression: its text on one line, its tree, and the names it uses."""

    text: str
    tree: ast.expr
    names: frozenset[str]


def parse_expression(
    text: str,
    *,
    where: str,
    names: Collection[str],
    functions: Collection[str],
    fields: Mapping[str, Collection[str]] | None = None,
) -> Expression:
    """Check and parse `text`.

    where: the file, line and key, for error messages.
    names, functions: the words that the expression may use.
    fields: name -> its fields, for names whose fields are known before the run.
    Raises UsageError that names `where` and marks the column with a caret.
    """
    line = re.sub(r"\s*\n\s*", " ", text.strip())
    if not line:
        raise UsageError("the expression is empty", where=where, remedy="write what must be true")
    try:
        with warnings.catch_warnings():
            # The compiler warns of `1and x` on standard error, with no word of the scenario.
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(line, mode="eval")
    except SyntaxError as error:
        column = max((error.offset or 1) - 1, 0)
        raise UsageError(
            f"the expression does not parse: {error.msg}",
            where=where,
            remedy="write a comparison, as in 'len(ooms) > 0'; `rig help claims` lists the names",
            detail=_caret(line, column),
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise UsageError("the expression does not parse", where=where, remedy="make it shorter") from None
    checker = _Checker(line, where, frozenset(names), frozenset(functions), fields or {})
    checker.check(tree)
    return Expression(text=line, tree=tree.body, names=frozenset(checker.used))


def evaluate(expression: Expression, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Return the expression's value over `names`.

    Raises AbsentSubject if it names an event that did not occur.
    Raises Undecidable if data is missing or the expression is a type error.
    The text of both is a reason for the user.
    """
    from simpleeval import InvalidExpression

    evaluator = _bounded_evaluator()(names=dict(names), functions=dict(functions))
    # By default simpleeval reads a missing attribute as a key; View already does, with a better message.
    evaluator.ATTR_INDEX_FALLBACK = False
    try:
        return evaluator.eval(expression.text, previously_parsed=expression.tree)
    except AbsentEvent as absent:
        raise AbsentSubject(str(absent)) from None
    except MissingRecord as missing:
        raise Undecidable(str(missing)) from None
    except InvalidExpression as error:
        attribute = re.search(r"Attribute '(\w+)' does not exist", str(error))
        absent_thing = _none_of(expression, names, attribute[1]) if attribute else None
        if absent_thing:
            raise AbsentSubject(f"there is no '{absent_thing}' in this run") from None
        raise Undecidable(str(error)) from None
    except (
        TypeError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise Undecidable(f"{type(error).__name__}: {error}") from None


@cache
def _bounded_evaluator() -> Any:
    """Return simpleeval's evaluator with a bound on what one expression may evaluate, in time and memory."""
    from simpleeval import DEFAULT_OPERATORS, EvalWithCompoundTypes

    def product(left: Any, right: Any) -> Any:
        # simpleeval bounds the length of a list, and not that of the lists in it.
        if isinstance(left, list | tuple) or isinstance(right, list | tuple):
            raise MissingRecord("lists are not repeated in expressions")
        if is_large_product(left, right):
            raise MissingRecord(f"a number of more than {LARGEST_BITS} bits")
        return DEFAULT_OPERATORS[ast.Mult](left, right)

    def remainder(left: Any, right: Any) -> Any:
        if isinstance(left, str):
            raise MissingRecord("texts are not formatted in expressions")
        return left % right

    class Bounded(EvalWithCompoundTypes):  # type: ignore[misc] # simpleeval has no types
        steps = 0

        def __init__(self, **words: Any) -> None:
            super().__init__(operators={**DEFAULT_OPERATORS, ast.Mult: product, ast.Mod: remainder}, **words)

        def _eval(self, node: Any) -> Any:
            # A function reads all records of the run, or all of the log.
            self.spend(CALL_STEPS if isinstance(node, ast.Call) else 1)
            value = super()._eval(node)
            self.spend(_items(value) // ITEMS_A_STEP)
            if isinstance(node, ast.BinOp | ast.Subscript | ast.Call):
                self.spend(_characters(value) // CHARACTERS_A_STEP)
            return value

        def spend(self, steps: int) -> None:
            self.steps += steps
            if self.steps > MOST_STEPS:
                raise MissingRecord(f"the expression takes more than {MOST_STEPS:,} steps")

    return Bounded


def _items(value: Any) -> int:
    """Return the number of items of a list, tuple or set, and of those in it; 0 for any other value."""
    if not isinstance(value, list | tuple | set):
        return 0
    return len(value) + sum(_items(item) for item in value if isinstance(item, list | tuple | set))


def _characters(value: Any) -> int:
    """Return the length of a text or of a number's bytes; 0 for any other value."""
    if isinstance(value, str | bytes):
        return len(value)
    return value.bit_length() // 8 if isinstance(value, int) else 0


def _none_of(expression: Expression, names: Mapping[str, Any], attribute: str) -> str | None:
    """Return the object whose attribute was read although the run has no such object, as in `oom` or `oom.victim`.

    simpleeval does not report the position, so the first read of that attribute in the expression is taken.
    """
    for node in ast.walk(expression.tree):
        if isinstance(node, ast.Attribute) and node.attr == attribute:
            base = node.value
            if isinstance(base, ast.Attribute) or (isinstance(base, ast.Name) and names.get(base.id, "") is None):
                return ast.unparse(base)
    return None


class _Checker:
    def __init__(
        self,
        line: str,
        where: str,
        names: frozenset[str],
        functions: frozenset[str],
        fields: Mapping[str, Collection[str]],
    ) -> None:
        self.line = line
        self.where = where
        self.names = names
        self.functions = functions
        self.fields = fields
        self.used: set[str] = set()

    def check(self, tree: ast.Expression) -> None:
        targets = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if not isinstance(node, NODES):
                self.refuse(
                    node, f"{type(node).__name__} is not part of the language", "see `rig help claims` for what is"
                )
            elif isinstance(node, ast.Call):
                self.check_call(node)
            elif isinstance(node, ast.Attribute):
                self.check_attribute(node)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                if id(node) not in called and node.id not in self.names | targets:
                    self.refuse(node, f"unknown name '{node.id}'", did_you_mean(node.id, self.names | targets))
                self.used.add(node.id)

    def check_attribute(self, node: ast.Attribute) -> None:
        if node.attr.startswith("_"):
            self.refuse(node, f"'{node.attr}' cannot be read", "names that start with _ are not the run's")
        if isinstance(node.value, ast.Name) and node.value.id in self.fields:
            known = self.fields[node.value.id]
            if node.attr not in known:
                self.refuse(node, f"{node.value.id} has no '{node.attr}'", did_you_mean(node.attr, known))

    def check_call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            if node.func.id not in self.functions:
                self.refuse(node, f"unknown function '{node.func.id}'", did_you_mean(node.func.id, self.functions))
        elif not (isinstance(node.func, ast.Attribute) and node.func.attr in METHODS):
            self.refuse(node, "only functions can be called", "see `rig help claims` for the functions")

    def refuse(self, node: ast.AST, what: str, remedy: str) -> None:
        column = getattr(node, "col_offset", 0)
        raise UsageError(what, where=self.where, remedy=remedy, detail=_caret(self.line, column))


def _caret(line: str, column: int) -> str:
    return f"{line}\n{' ' * min(column, len(line))}^"
