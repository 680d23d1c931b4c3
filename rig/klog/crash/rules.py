# SPDX-License-Identifier: MIT
"""Rule: how a kind of report begins and how its title is made. Each family's module holds a table of rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from rig.klog.crash import choose
from rig.klog.crash.blame import Blame
from rig.klog.crash.report import Report
from rig.klog.crash.roles import without_roles
from rig.klog.crash.titles import short_name, spellings, stable
from rig.klog.demangle import demangle
from rig.klog.kinds import Kind

__all__ = ["Rule", "Verdict", "leading_literal"]

_SHORTEST_KEYWORD = 4  # a shorter one occurs in most lines, and each hit costs a match of the regular expression
_LITERAL = re.compile(r"\^?(?P<text>(?:[\w :/<>=,!'#-]|\\(?=[.(\[])[.(\[])*)(?P<next>[?*{]?)")


def leading_literal(pattern: str) -> str:
    """Return the literal text that a regular expression begins with; empty where it begins with a metacharacter."""
    match = _LITERAL.match(pattern)
    assert match is not None  # it matches the empty string
    text = match["text"].replace("\\", "")
    return text[:-1] if match["next"] else text  # a quantifier makes the last character optional


@dataclass(frozen=True, slots=True)
class Verdict:
    """The title of a report, and the function that it blames.

    title: what the report is called.
    alternatives: other titles for the same bug.
    function: the function to blame; None where none was found.
    corruption: why the report is considered damaged; None where it is intact.
    values: what the rule's expressions read, by the name of the group, as printed.
    """

    title: str
    alternatives: tuple[str, ...]
    function: str | None
    corruption: str | None
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of first line.

    start: a regular expression, searched for in the first line.
    title: a format; `{f}` stands for the function to blame, `{name}` for a group of start or of detail.
    blame: searches for candidates, tried in order until one yields a function to blame.
    also: formats of alternative titles.
    passed_over: a regular expression for functions that are not to blame here, beside those of roles.py.
    choose: picks one of the candidates by index.
    named: a search that comes before blame and whose first function is taken without regard to roles.
    detail: a regular expression, searched for in all lines joined by newlines; the report is cut where it is not found.
    otherwise: the title where detail is not found.
    corrupt: why a report with this first line is always damaged.
    needs_trace: whether a report without a trace is damaged.
    keywords: literals, one of which is in every such line; by default the literal that start begins with.
        A line without any rule's keyword is never matched, so every rule must have one.
    """

    kind: Kind
    start: str
    title: str
    blame: tuple[Blame, ...] = ()
    also: tuple[str, ...] = ()
    passed_over: str = ""
    choose: Callable[[list[str]], int | None] = choose.first
    named: Blame | None = None
    detail: str | None = None
    otherwise: str = "{line}"
    corrupt: str | None = None
    needs_trace: bool = True
    keywords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.keywords:
            object.__setattr__(self, "keywords", (leading_literal(self.start),))
        if min(map(len, self.keywords)) < _SHORTEST_KEYWORD:
            raise ValueError(f"the rule {self.start!r} begins with no literal: give it keywords")

    def verdict(self, report: Report, start: re.Match[str]) -> Verdict:
        """Return the verdict on a report. start: the match of this rule's start in the report's first line."""
        values = {name: value or "" for name, value in start.groupdict().items()}
        corruption = self.corrupt
        if self.detail is not None:
            found = re.search(self.detail, "\n".join(report.texts))
            if found is None:
                line = start.string[start.start() :]
                title = self.otherwise.format_map({**values, "line": line})
                return Verdict(
                    stable(title), (), None, "the report ends before what its first line announces", _kept(values)
                )
            values.update({name: value or "" for name, value in found.groupdict().items()})
        if "{f}" not in self.title and not any("{f}" in title for title in self.also):
            function = values.get("function")
            return self._finish(values, [values.get("f", "")], function, corruption)
        raw = values.get("f") or self._blamed(report, start)
        if raw is None:
            corruption = corruption or "no function can be blamed: the trace is missing or cut"
            return self._finish(values, ["corrupted"], None, corruption)
        readable = demangle(raw)
        if readable != raw:
            return self._finish(values, [readable, raw], readable, corruption)
        name = choose.common_name(short_name(raw), chooser=self.choose)
        return self._finish(values, [name, *spellings(raw)], name, corruption)

    def _blamed(self, report: Report, start: re.Match[str]) -> str | None:
        if self.named is not None:
            named = self.named(report, start)
            if named:
                return named[0]
        for blame in self.blame:
            functions = without_roles(blame(report, start), self.passed_over)
            chosen = self.choose([short_name(function) for function in functions])
            if chosen is not None:
                return functions[chosen]
        return None

    def _finish(
        self, values: dict[str, str], names: list[str], function: str | None, corruption: str | None
    ) -> Verdict:
        titles: list[str] = []
        for name in names:
            for form in (self.title, *self.also):
                title = stable(form.format_map({**values, "f": name}))
                if title not in titles:
                    titles.append(title)
        return Verdict(titles[0], tuple(titles[1:]), function, corruption, _kept(values))


def _kept(values: dict[str, str]) -> dict[str, str]:
    """Return the values of an event: without the function to blame, and without `rest`, the whole first line."""
    return {name: value for name, value in values.items() if value and name not in ("f", "function", "rest")}
