# SPDX-License-Identifier: MIT
"""Write docs/reference/causes.md from what guests printed: `python -m tests.klog.causes.write`, which `make docs` calls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rig.klog import read
from rig.klog.explain import explain
from tests.benchmarks.klog_certainty import judge_all, table
from tests.klog.causes import KERNELS, TABLE, Made, logs

__all__ = ["DOCUMENT", "document"]

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "reference" / "causes.md"
HEAD = """\
# The causes that the log reader names

<!-- written by `make docs` from tests/klog/causes: `make cause-logs` makes the reports anew -->

A guest filled its memory in each of these ways, with the kernel of each column, and the console was read. A cell is how
certain the headline says it is; **wrong** would be a headline that names another cause. "Not run" means that no guest was
run so far.

The reports of four more causes are in `tests/klog/test_causes.py`, made by hand: a limit of kernel memory (kmem, cgroup
v1), the highatomic reserve, GFP_DMA32, and a page fault without a request (gfp_mask 0). None of these kernels prints the
last: since 60e2793d440a (5.16, and in stable kernels before it) pagefault_out_of_memory() calls no OOM killer.

"""


def _cell(name: str, made: Made, suite: str, notes: dict[str, int]) -> str:
    if suite in made.not_on:
        return f"– ({notes.setdefault(made.not_on[suite], len(notes) + 1)})"
    log = logs(suite).get(name)
    if log is None:
        return "not run"
    explanation = explain(next(event for event in read([log]).events if event.kind == made.kind))
    if explanation.cause != made.cause:
        return f"**wrong: {explanation.cause}**"
    return explanation.certainty or "named"


def document() -> str:
    """Return the text of the document."""
    notes: dict[str, int] = {}
    kernels: Mapping[str, str] = KERNELS
    rows = [
        f"| {made.what} | {f'`{made.cause}`' if made.cause else 'no cause: `memory-info`'} | "
        + " | ".join(_cell(name, made, suite, notes) for suite in kernels)
        + " |"
        for name, made in TABLE.items()
    ]
    head = [
        f"| what filled memory | named | {' | '.join(kernels.values())} |",
        f"|---|---|{'---|' * len(kernels)}",
    ]
    below = [f"({number}) {reason}." for reason, number in notes.items()]
    certainty = [
        "## How certain a headline says it is, against how often it was right",
        "",
        "The inputs are these reports, others of the tests' guests, and reports made by changing the figures of one.",
        "",
        table(judge_all()),
    ]
    return HEAD + "\n".join([*head, *rows, "", *below, "", *certainty]) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
