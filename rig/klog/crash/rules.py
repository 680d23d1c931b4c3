# SPDX-License-Identifier: MIT
"""What begins a report, and how its title is made: the shape of the tables in the families' modules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rig.klog.crash import choose
from rig.klog.crash.blame import Blame
from rig.klog.crash.report import Report
from rig.klog.crash.roles import without_roles
from rig.klog.crash.titles import short_name, spellings, stable
from rig.klog.kinds import Kind

__all__ = ["Rule", "Verdict", "leading_literal"]

_SHORTEST_KEYWORD = 4  # a shorter one would be found in most lines, and each costs a look
_LITERAL = re.compile(r"\^?(?P<text>(?:[\w :/<>=,!'#-]|\\(?=[.(\[])[.(\[])*)(?P<next>[?*{]?)")


def leading_literal(pattern: str) -> str:
    """Return the literal text that a regular expression begins with; empty where it begins with anything else."""
    match = _LITERAL.match(pattern)
    assert match is not None  # it matches the empty string
    text = match["text"].replace("\\", "")
    return text[:-1] if match["next"] else text  # the last character may be left out or repeated


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a report is called and whom it blames. function is None where none could be found."""

    title: str
    alternatives: tuple[str, ...]
    function: str | None
    corruption: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of first line.

    start: searched for in the line. keywords: literals of which every such line holds one; by default the literal that
    start begins with. Lines without any rule's keyword are never looked at, so a rule must have one. title, also: `{f}`
    stands for the function, `{name}` for a group of start or of detail. detail: found in the report's lines joined by
    newlines; where it is not, the report is cut. blame: tried in order until one yields functions. passed_over: roles
    of this kind of report, beside the general ones.
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
        """Return the title of a report that begins with this rule's line."""
        values = {name: value or "" for name, value in start.groupdict().items()}
        corruption = self.corrupt
        if self.detail is not None:
            found = re.search(self.detail, "\n".join(report.texts))
            if found is None:
                line = start.string[start.start() :]
                title = self.otherwise.format_map({**values, "line": line})
                return Verdict(stable(title), (), None, "the report ends before what its first line announces")
            values.update({name: value or "" for name, value in found.groupdict().items()})
        if "{f}" not in self.title and not any("{f}" in title for title in self.also):
            function = values.get("function")
            return self._finish(values, [values.get("f", "")], function, corruption)
        raw = values.get("f") or self._blamed(report, start)
        if raw is None:
            corruption = corruption or "no function can be blamed: the trace is missing or cut"
            return self._finish(values, ["corrupted"], None, corruption)
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
        return Verdict(titles[0], tuple(titles[1:]), function, corruption)
