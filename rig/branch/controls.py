# SPDX-License-Identifier: MIT
"""Compare futures in which nothing was changed: they are the same to the byte, or the comparison means nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rig.branch.futures import Future
from rig.run.comparison import Comparison

__all__ = ["same_futures"]

STREAMS = ("console.log", "events.jsonl")


def same_futures(futures: Sequence[Future]) -> str:
    """Return how the first future that differs from the first one does so; empty if all are the same to the byte."""
    for other in futures[1:]:
        for name in STREAMS:
            comparison = Comparison(name, futures[0].directory / name)
            comparison.feed((other.directory / name).read_bytes())
            if comparison.difference is not None:
                return (
                    f"{name} of {other.run.id} differs from {futures[0].run.id}'s in line {comparison.difference.line}"
                )
            if comparison.missing:
                return f"{name} of {other.run.id} is shorter than that of {futures[0].run.id}"
    return ""
