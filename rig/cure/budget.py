# SPDX-License-Identifier: MIT
"""How much time the runs of a cure may take: none begins that would most likely end after it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Budget"]

LAST = 4


@dataclass
class Budget:
    """Host seconds for all runs.

    clock: returns the present time, in seconds.
    """

    seconds: float
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    took: deque[float] = field(default_factory=lambda: deque(maxlen=LAST), init=False)
    """Host seconds of the last runs."""

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def spent(self) -> float:
        return self.clock() - self.began

    @property
    def left(self) -> bool:
        """Whether a run that takes as long as the longest of the last ones would end in time."""
        return self.spent + max(self.took, default=0.0) < self.seconds

    def note(self, seconds: float) -> None:
        """Note how long a run took."""
        self.took.append(seconds)
