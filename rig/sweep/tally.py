# SPDX-License-Identifier: MIT
"""Count the rows of a sweep while something else reads them: each reading parses the whole journal anew."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from rig.run.verdict import Verdict, worst
from rig.sweep.row import Row

__all__ = ["Tally"]


class Tally(Iterable[Row]):
    """Rows, counted as they are iterated over.

    shared: name of a branch point -> number of runs that began at it.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.shared: Counter[str] = Counter()
        self._rows = rows
        self._verdicts: defaultdict[int, set[Verdict]] = defaultdict(set)

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self._verdicts[row.point].add(row.verdict)
            if row.shared:
                self.shared[row.shared] += 1
            yield row

    @property
    def unstable(self) -> int:
        """Number of points whose runs do not agree on the verdict."""
        return sum(len(each) > 1 for each in self._verdicts.values())

    @property
    def worst(self) -> Verdict:
        """The worst verdict of all rows."""
        return worst(verdict for each in self._verdicts.values() for verdict in each)
