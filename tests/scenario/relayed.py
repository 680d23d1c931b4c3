# SPDX-License-Identifier: MIT
"""Make recorded runs those of an agent that relayed the kernel's lines from /dev/kmsg."""

from __future__ import annotations

import re
from typing import Any

from tests.scenario.recorded import Recorded


def as_kmsg(console: bytes) -> str:
    """Return a console's lines as /dev/kmsg has them."""
    found = re.findall(rb"^\[ *(\d+)\.(\d{6})\] (.*?)\r?$", console, re.MULTILINE)
    return "".join(f"4,{i},{int(s) * 1_000_000 + int(us)},-;{text.decode()}\n" for i, (s, us, text) in enumerate(found))


def relayed(run: Recorded, kernels: bytes | None = None, *, left_out: int = 0, **counted: Any) -> Recorded:
    """Return the run as of an agent that relayed the kernel's lines: those of the console, or others.

    left_out: how many lines the agent did not relay.
    counted: what the kernel's counters say at the end; they are 0 at the plan's begin.
    """
    text = as_kmsg(run.console if kernels is None else kernels)
    end = {"kernel_left_out": left_out, "tainted": 0, "hung_tasks": 0, **counted}
    more = {"go": {"kernel_lines": 600, "tainted": 0, "hung_tasks": 0}, "end": end}
    records = [{**each, **more.get(str(each["ev"]), {})} for each in run.records]
    at = next((number for number, each in enumerate(records) if each["ev"] == "end"), len(records))
    records.insert(at, {"ev": "kernel", "t": records[at - 1]["t"], "text": text})
    return run.with_records(records)
