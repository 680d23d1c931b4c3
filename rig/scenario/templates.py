# SPDX-License-Identifier: MIT
"""Render Jinja2 templates of scenarios: sandboxed, strict about unknown names, with filters for sizes and durations."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from rig.errors import UsageError
from rig.scenario.suggestion import did_you_mean
from rig.units import format_duration, format_size

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["LARGEST_BITS", "check_template", "is_large_product", "render"]

LONGEST = 64 << 10
"""Bound on the characters that products and joined lists of one template may have, all together."""
LONGEST_TEXT = 1 << 20
"""Bound on the characters of a rendered template: far more than any plan, message or source of a program needs."""
LARGEST_BITS = 4096
"""Bound on a product of numbers, in templates and in claims: sizes and times have 64 bits."""
MOST_DIGITS = 30
WIDE = re.compile(r"%[^%a-zA-Z]*(?:\d{4}|\*)")
"""A printf conversion whose width or precision has four or more digits, or is `*`: its result could fill memory."""

FILTERS = (
    "abs", "count", "d", "default", "first", "float", "int", "join", "last", "length", "lower", "max", "min", "round",
    "string", "sum", "trim", "upper",
)  # fmt: skip
NODES = frozenset(
    {
        "Template", "Output", "TemplateData", "Name", "Const", "Getattr", "Getitem", "Slice", "Filter", "Compare",
        "Operand", "CondExpr", "And", "Or", "Not", "Neg", "Pos", "Add", "Sub", "Mul", "Div", "FloorDiv", "Mod",
        "Concat", "List", "Tuple", "If",
    }
)  # fmt: skip
"""Nodes that a template may contain: values and arithmetic.

Loops, calls, powers, macros and includes are refused, so that no template runs for long or fills memory.
"""
WORDS = {"For": "a loop", "Call": "a call", "Pow": "a power (**)", "Assign": "an assignment", "Dict": "a dictionary"}


_made: ContextVar[int] = ContextVar("_made", default=0)
"""Characters that the template has made by products and joins so far."""


@cache
def _environment() -> Environment:
    # Imported on demand: importing jinja2 takes 0.1 s, and commands such as `rig list` do not need it.
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Bounded(ImmutableSandboxedEnvironment):
        """A sandbox whose arithmetic operators have bounded results."""

        intercepted_binops = frozenset({"*", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "*":
                _check_product(left, right)
            elif isinstance(left, str) and WIDE.search(left):
                raise ValueError("a width of more than 999 characters")
            return super().call_binop(context, operator, left, right)

    environment = Bounded(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_plain)
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.filters["join"] = _join
    environment.filters["round"] = _round
    environment.filters["size"] = lambda count: format_size(int(count))
    environment.filters["duration"] = lambda seconds: format_duration(float(seconds))
    return environment


def is_large_product(left: Any, right: Any) -> bool:
    """Return whether both are numbers whose product may have more than LARGEST_BITS bits."""
    return isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > LARGEST_BITS


def _check_product(left: Any, right: Any) -> None:
    """Raise ValueError if a product would be larger than anything that a plan can hold."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, list | tuple):
            # A length bounds nothing here: the items of a list may be lists.
            raise ValueError("a product of a list")
        if isinstance(one, str) and isinstance(other, int):
            _make(len(one) * other, f"a product of more than {LONGEST} characters")
    if is_large_product(left, right):
        raise ValueError(f"a number of more than {LARGEST_BITS} bits")


def _make(length: int, refusal: str) -> None:
    """Count characters that the template makes from few of its own. Raises ValueError above the bound."""
    if length > LONGEST:
        raise ValueError(refusal)
    _made.set(_made.get() + max(length, 0))
    if _made.get() > LONGEST:
        raise ValueError(f"products and joined lists of more than {LONGEST} characters together")


def _join(values: Iterable[Any], separator: str = "") -> str:
    """Return the values as one text. Raises ValueError for one that is longer than anything that a plan can hold."""
    texts = [str(value) for value in values]
    length = sum(len(text) for text in texts) + len(texts) * len(str(separator))
    _make(length, f"a text of more than {LONGEST} characters")
    return str(separator).join(texts)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    """Return Jinja2's round. Raises ValueError for a precision whose power of ten takes long to compute."""
    from jinja2.filters import do_round

    if abs(precision) > MOST_DIGITS:
        raise ValueError(f"a precision of more than {MOST_DIGITS} digits")
    return do_round(value, precision, method)  # type: ignore[arg-type] # it raises FilterArgumentError for others


def _plain(value: Any) -> Any:
    """Return a value as the agent parses it: floats without an exponent (`30`, `0.00005`), booleans as 1 and 0."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    return value


def is_template(text: str) -> bool:
    """Return whether `text` contains Jinja2 markup."""
    return "{{" in text or "{%" in text or "{#" in text


def check_template(text: str, *, where: str, names: Collection[str]) -> None:
    """Refuse a template that does not parse or that uses an unknown name. Raises UsageError."""
    if not is_template(text):
        return
    from jinja2 import TemplateSyntaxError, meta, nodes

    try:
        tree = _environment().parse(text)
    except (TemplateSyntaxError, RecursionError) as error:
        raise UsageError(
            f"the template is broken: {getattr(error, 'message', None) or 'it is nested too deeply'}",
            where=where,
            remedy="correct the template",
            detail=text,
        ) from None
    for node in tree.find_all(nodes.Node):
        kind = type(node).__name__
        if kind not in NODES:
            raise UsageError(
                f"{WORDS.get(kind, kind)} is not part of the templates of scenarios",
                where=where,
                remedy="write values, arithmetic, 'x if c else y' and filters",
                detail=text,
            )
        if isinstance(node, nodes.Filter) and node.name not in _environment().filters:
            raise UsageError(
                f"there is no filter '{node.name}'",
                where=where,
                remedy=did_you_mean(node.name, _environment().filters),
                detail=text,
            )
    for name in sorted(meta.find_undeclared_variables(tree)):
        if name not in names and name not in _environment().globals:
            raise UsageError(
                f"the template uses the unknown name '{name}'",
                where=where,
                remedy=did_you_mean(name, names),
                detail=text,
            )


def render(text: str, context: Mapping[str, Any], *, where: str) -> str:
    """Return `text` rendered with the variables of `context`. Raises UsageError if it cannot be rendered."""
    if not is_template(text):
        return text
    from jinja2 import TemplateError

    before = _made.set(0)
    try:
        return _within_bound(_environment().from_string(text).generate(context))
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise UsageError(
            f"the template cannot be rendered: {error}",
            where=where,
            remedy="correct the template",
            detail=text,
        ) from None
    finally:
        _made.reset(before)


def _within_bound(parts: Iterable[str]) -> str:
    """Join the parts of a rendered template. Raises ValueError at the first that is beyond LONGEST_TEXT."""
    texts, length = [], 0
    for part in parts:
        length += len(part)
        if length > LONGEST_TEXT:
            raise ValueError(f"a text of more than {LONGEST_TEXT} characters")
        texts.append(part)
    return "".join(texts)
