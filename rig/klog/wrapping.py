# SPDX-License-Identifier: MIT
"""Learn what other tools added around the kernel's lines: quoting, numbering, columns, indentation, markup.

Anchors are beginnings of lines that every kernel prints in the same way. Text before an anchor was added by a tool.
From several anchored lines this module derives a pattern for the added prefix and one for the added suffix.
Common prefixes with time stamps have fixed patterns in prefix.py, which are faster and keep the times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from rig.klog.prefix import Prefix, split_prefix

__all__ = ["WINDOW", "Columns", "Wrapping", "ends_alike", "learn", "runs_backwards"]

WINDOW = 80  # lines to learn from: the head and the trace of a report take about 40

# Anchors: (rank, pattern). The rank is the line's position within an OOM report, from which runs_backwards() tells the
# order of the lines; 0 marks a line that has no fixed position.
_ANCHORS = (
    (1, r"CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: "),
    (2, r"Hardware name: "),
    (3, r"Call [Tt]race:"),
    (4, r"Mem-Info:"),
    (5, r"active_anon:\d"),
    (6, r"Node \d+ (?:\w+ )?(?:free:|active_anon:|hugepages_total=)\d"),
    (6, r"lowmem_reserve\[\]:"),
    (7, r"(?<![\d.,:])\d+ total pagecache pages"),
    (8, r"(?:Free|Total) swap +="),
    (4, r"memory: usage \d+kB"),
    (5, r"Memory cgroup stats(?: for .{1,200})?:"),
    (9, r"Tasks state \(memory values"),
    (10, r"\[ *pid *\] +uid +tgid"),
    (12, r"oom-kill:constraint="),
    (13, r"(?:Out of memory|Memory cgroup out of memory): Kill"),
    (0, r"(?:RIP: \d|R[SA][PX]: [0-9a-f]|Code: [0-9a-f<]{2,4} )"),
    (0, r"Modules linked in:|Kernel panic - not syncing|BUG: (?!soft)|WARNING: (?:CPU: )?|Workqueue: |Tainted: \["),
    (0, r"------------\[ cut here|---\[ end trace|Internal error: |Unable to handle kernel |general protection fault"),
)  # fmt: skip
_ANCHOR = re.compile("|".join(f"(?P<a{index}>{pattern})" for index, (_rank, pattern) in enumerate(_ANCHORS)))
_TOKEN = re.compile(r"(?P<number>\s*\d+(?!\w))|(?P<word>\w+)|(?P<blank>\s+)|(?P<sign>.)", re.DOTALL)
_LONGEST_PREFIX = 300
_MARKUP = "$>\"'`|,;"
_MOST_SHAPES = 6
_LEAST_LINES = 8  # lines needed to learn a suffix: fewer may end alike by chance
_TIME = re.compile(r"\[ *(\d{1,10}\.\d{3,9})(?:\]| *<)")
_NEAR = 12
_SURE = 3  # if prefix.py reads this many anchored lines, the whole log is taken to need no learned pattern

_Token = tuple[str, str]  # (name of the group of _TOKEN, text)


class Columns:
    """Reads a CSV table of which one column holds the kernel's lines."""

    record = False

    def __init__(self, column: int, width: int) -> None:
        self._column = column
        self._width = width

    def __call__(self, raw: str) -> tuple[Prefix, str] | None:
        row = _row(raw)
        if len(row) != self._width:
            return None
        prefix, text = split_prefix(row[self._column])
        return prefix._replace(present=True), text


def _row(raw: str) -> list[str]:
    import csv

    try:
        return next(csv.reader([raw]), [])
    except csv.Error:
        return []


def _columns(lines: Sequence[str]) -> Columns | None:
    """Return the column of a CSV table that holds the kernel's lines; None if the lines are not a table."""
    rows = [_row(line) for line in lines if line.strip()]
    widths = {len(row) for row in rows}
    if len(rows) < _SURE or len(widths) != 1 or (width := widths.pop()) < 2:
        return None
    for column in range(width):
        begins = sum(1 for row in rows if _ANCHOR.match(split_prefix(row[column])[1]) is not None)
        if begins >= _SURE:
            return Columns(column, width)
    return None


class Wrapping:
    """Removes the learned prefix and suffix from a raw line.

    record: the lines are fields of journal records, so a line without the prefix is another field and not the kernel's.
    """

    def __init__(
        self,
        before: re.Pattern[str],
        behind: re.Pattern[str] | None = None,
        *,
        quoted: bool = False,
        record: bool = False,
    ) -> None:
        self._before = before
        self._behind = behind
        self._quoted = quoted
        self.record = record

    def __call__(self, raw: str) -> tuple[Prefix, str] | None:
        """Return (prefix, text) of a raw line; None for a line that does not begin with the learned prefix."""
        match = self._before.match(raw)
        if match is None:
            return None
        rest = raw[match.end() :]
        if self._behind is not None:
            rest = self._behind.sub("", rest)
        if self._quoted:
            rest = _unquoted(rest)
        prefix, text = split_prefix(rest)
        if prefix.time is None:
            stamp = _TIME.search(match[0])
            prefix = prefix._replace(time=float(stamp[1]) if stamp else None)
        return prefix._replace(present=True), text


def _unquoted(text: str) -> str:
    if "\\" in text:
        import json

        try:
            text = json.loads(f'"{text}"')
        except ValueError:
            return text
        return text.rstrip("\n")
    return text.replace('""', '"')


def ends_alike(lines: Sequence[str]) -> bool:
    """Return whether the first lines end with the same markup character: a cheap test before a pattern is learned."""
    ends = [line[-1:] for line in map(str.rstrip, lines[:_SURE]) if line]
    return len(ends) == _SURE and ends[0] in _MARKUP and len(set(ends)) == 1


def learn(lines: Sequence[str]) -> Wrapping | Columns | None:
    """Return how to unwrap the lines; None if prefix.py reads them as they are, or no pattern can be learned."""
    if all("," in line for line in lines[:_SURE]) and (columns := _columns(lines)) is not None:
        return columns
    junk: list[str] = []  # for each anchored line, the part of its prefix that prefix.py cannot read
    for line in lines:
        match = _ANCHOR.search(line[:_LONGEST_PREFIX])
        if match is not None:
            junk.append(_junk(line[: match.start()], line))
            if len(junk) == _SURE and not any(junk) and not ends_alike(lines):
                return None
    if not junk:
        return None
    if junk.count("") * 2 >= len(junk):
        ending = _behind(list(lines)) if ends_alike(lines) else None
        return None if ending is None else Wrapping(re.compile(""), ending)
    shapes = _shapes(part for part in junk if part)
    if not shapes:
        return None
    before = re.compile("|".join(shapes))
    near = [line for line in lines[:_NEAR] if line.strip()]
    if sum(1 for line in near if before.match(line)) * 3 < len(near) and "MESSAGE" not in before.pattern:
        return None  # only the report's first line has text before it, so the lines are not wrapped
    rests = [line[match.end() :] for line in lines if (match := before.match(line)) is not None]
    behind = _behind(rests)
    quoted = any(part.rstrip().endswith('"') for part in junk)
    return Wrapping(before, behind, quoted=quoted, record=any("MESSAGE" in part for part in junk))


def _junk(before: str, line: str) -> str:
    """Return the part of `before`, the text before the anchor, that prefix.py cannot read."""
    end = len(before)
    cuts = [0, *(match.end() for match in _TOKEN.finditer(before))]
    for cut in cuts:
        if cut < end or end == 0:
            _prefix, text = split_prefix(line[cut:])
            if len(line) - len(text) == end:
                return before[:cut]
    return before


def _tokens(text: str) -> list[_Token]:
    return [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(text)]


def _shapes(parts: Iterable[str]) -> list[str]:
    """Return a regular expression for each of the most frequent token sequences among the parts."""
    groups: dict[tuple[str, ...], list[list[_Token]]] = {}
    for part in parts:
        tokens = _tokens(part)
        kinds = tuple(kind if kind != "sign" else ":" if text == "-" else text for kind, text in tokens)
        groups.setdefault(kinds, []).append(tokens)
    most = sorted(groups.values(), key=len, reverse=True)[:_MOST_SHAPES]
    return ["".join(_pattern(column) for column in zip(*group, strict=True)) for group in most]


def _pattern(column: tuple[_Token, ...]) -> str:
    """Return a regular expression for one token position: a number, a word that all lines share, or any word."""
    kind, text = column[0]
    if kind == "number":
        return r"\s*\d+"
    if kind == "sign" and text in ":-":
        return "[:-]"  # grep -n -C prints `12:` before a match and `12-` before a line of context
    same = all(other == text for _kind, other in column)
    if kind == "word":
        return re.escape(text) if same and len(column) > 1 and not any(c.isdigit() for c in text) else r"\w+"
    return re.escape(text) if same else r"\s+"


def _behind(rests: list[str]) -> re.Pattern[str] | None:
    """Return a pattern for the suffix that all lines share, apart from numbers; None if they share none."""
    rests = [rest.rstrip() for rest in rests if rest.strip()]
    if len(rests) < _LEAST_LINES:
        return None
    columns = zip(*(list(reversed(_tokens(rest[-200:]))) for rest in rests), strict=False)
    parts: list[str] = []
    signs = 0
    for column in columns:
        kind, text = column[0]
        if any(other[0] != kind for other in column):
            break
        if kind == "number":
            parts.append(r"\s*\d+")
        elif all(other[1] == text for other in column):
            parts.append(re.escape(text))
            signs += kind == "sign"
        elif kind == "word" and all(any(c.isdigit() for c in other[1]) for other in column):
            parts.append(r"\w+")
        else:
            break
    if not signs:
        return None
    return re.compile("".join(reversed(parts)) + r"\s*$")


def runs_backwards(lines: Sequence[str]) -> bool:
    """Return whether a report's lines are in reverse order, the newest first, as journalctl -r prints them."""
    ranks = []
    for line in lines:
        match = _ANCHOR.search(line[:_LONGEST_PREFIX])
        if match is not None:
            rank = _ANCHORS[int((match.lastgroup or "a0")[1:])][0]
            if rank:
                ranks.append(rank)
    down = sum(1 for earlier, later in pairwise(ranks) if later < earlier)
    up = sum(1 for earlier, later in pairwise(ranks) if later > earlier)
    return down >= 3 and down > 2 * up
