# SPDX-License-Identifier: MIT
"""The language of claims: simpleeval over read-only views, checked whole before a guest is started.

An expression is Python's grammar for comparisons, arithmetic, comprehensions and calls of the functions
that are offered; nothing else of Python is. What cannot be evaluated safely or names what does not exist is
refused when the scenario is loaded, with a caret under the place.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rig.errors import UsageError
from rig.scenario.suggestion import did_you_mean
from rig.scenario.views import AbsentEvent, MissingRecord

__all__ = ["AbsentSubject", "Expression", "Undecidable", "evaluate", "parse_expression"]

MOST_STEPS = 2_000_000
"""Parts of an expression that are evaluated: a loop within a loop of ten thousand each would take minutes."""

METHODS = frozenset({"startswith", "endswith", "lower"})
"""Methods of strings that may be called; no other object that an expression sees has any."""

NODES: tuple[type[ast.AST], ...] = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Store, ast.Attribute, ast.Subscript, ast.Slice,
    ast.Call, ast.keyword, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.IfExp, ast.List,
    ast.Tuple, ast.Set, ast.ListComp, ast.GeneratorExp, ast.comprehension,
)  # fmt: skip


class AbsentSubject(Exception):
    """The expression speaks of something that did not happen in the run: the claim fails."""


class Undecidable(Exception):
    """What the expression needs was not recorded, or makes no sense: the claim cannot be judged."""


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
    """Check `text` and return it, parsed. `fields` are the names whose fields are known beforehand.

    Raises UsageError that names the place and shows the expression with a caret.
    """
    line = re.sub(r"\s*\n\s*", " ", text.strip())
    if not line:
        raise UsageError("the expression is empty", where=where, remedy="write what must be true")
    try:
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

    Raises AbsentSubject (it speaks of what did not happen) or Undecidable (what it needs is missing or makes no
    sense); both carry a text for the reader.
    """
    from simpleeval import InvalidExpression

    evaluator = _bounded_evaluator()(names=dict(names), functions=dict(functions))
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
    """Return simpleeval's evaluator with a bound on what one expression may cost."""
    from simpleeval import DEFAULT_OPERATORS, EvalWithCompoundTypes

    def remainder(left: Any, right: Any) -> Any:
        if isinstance(left, str):
            raise MissingRecord("texts are not formatted in expressions")
        return left % right

    class Bounded(EvalWithCompoundTypes):  # type: ignore[misc] # simpleeval has no types
        steps = 0

        def __init__(self, **words: Any) -> None:
            super().__init__(operators={**DEFAULT_OPERATORS, ast.Mod: remainder}, **words)

        def _eval(self, node: Any) -> Any:
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise MissingRecord(f"the expression takes more than {MOST_STEPS:,} steps")
            return super()._eval(node)

    return Bounded


def _none_of(expression: Expression, names: Mapping[str, Any], attribute: str) -> str | None:
    """Return what the attribute was asked of, where that is a thing of the run that there was not: `oom`, `oom.victim`.

    The first such place in the expression is taken: simpleeval does not say where it was.
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
