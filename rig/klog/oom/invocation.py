# SPDX-License-Identifier: MIT
"""Parse the first line of an OOM report: which task asked for how many pages, and its gfp flags.

Format: dump_header() in mm/oom_kill.c; warn_alloc() in mm/page_alloc.c prints the same fields for an
allocation that failed without an OOM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "FAILED",
    "FAILURE_KEYWORDS",
    "Invocation",
    "is_allocation_failure",
    "page_order",
    "read_cpuset",
    "read_invocation",
]

_INVOKED = re.compile(r"(?P<comm>.*?) invoked oom-killer:\s*(?P<fields>.*)$")
_MASK = re.compile(r"gfp_mask=(?:0x)?(?P<mask>[0-9a-fA-F]+)(?:\((?P<flags>[^)]*)\)?)?")
_NODEMASK = re.compile(r"nodemask=(?P<nodemask>\(null\)|[\d,\-]*)")
FAILED = re.compile(
    r"(?:warn_alloc: )?(?P<comm>.*?): (?P<what>page allocation failure|page allocation stalls for \d+ms"
    r"|vmalloc: allocation failure|vmalloc error|vmap allocation)\b(?P<fields>.*)$"
)
FAILURE_KEYWORDS = ("allocation failure", "page allocation stalls", "vmalloc error", "vmap allocation")
_NUMBER = {
    "order": re.compile(r"order=(-?\d+)"),
    "oom_score_adj": re.compile(r"oom_score_adj=(-?\d+)"),
    "oom_adj": re.compile(r"(?:oom_adj|oomkilladj)=(-?\d+)"),  # oomkilladj: until 2.6.31
}
LARGEST_ORDER = 20  # in vmalloc's reports; the buddy allocator has no free lists above order 13
_CPUSET = re.compile(r"(?:(?P<comm>.*?) )?cpuset=(?P<cpuset>\S*) mems_allowed=(?P<mems>\S*)$")


@dataclass(frozen=True, slots=True)
class Invocation:
    """The fields of the line; None where this kernel prints no such field, or where the line is cut.

    complete: whether the line holds the mask, the order, and oom_score_adj or oom_adj.
    """

    comm: str
    gfp_mask: int | None
    gfp_flags: tuple[str, ...]
    order: int | None
    oom_score_adj: int | None
    oom_adj: int | None
    nodemask: str | None
    complete: bool


def read_invocation(text: str) -> Invocation | None:
    """Return the invocation that a line holds, or None."""
    match = _INVOKED.match(text)
    if match is None:
        return None
    fields = match["fields"]
    mask = _MASK.search(fields)
    nodemask = _NODEMASK.search(fields)
    numbers = {name: _number(pattern, fields) for name, pattern in _NUMBER.items()}
    numbers["order"] = page_order(numbers["order"])
    return Invocation(
        comm=match["comm"],
        gfp_mask=None if mask is None else int(mask["mask"], 16),
        gfp_flags=tuple(mask["flags"].split("|")) if mask is not None and mask["flags"] else (),
        order=numbers["order"],
        oom_score_adj=numbers["oom_score_adj"],
        oom_adj=numbers["oom_adj"],
        nodemask=None if nodemask is None else nodemask["nodemask"],
        complete=mask is not None
        and numbers["order"] is not None
        and (numbers["oom_score_adj"] is not None or numbers["oom_adj"] is not None),
    )


def page_order(order: int | None) -> int | None:
    """Return the order if it is plausible, else None: a damaged line may hold any number. -1 stands for SysRq f.

    MAX_PAGE_ORDER (include/linux/mmzone.h) is 10 by default and 13 on arm64 with 64 kB pages.
    """
    return order if order is not None and -1 <= order <= LARGEST_ORDER else None


def read_cpuset(text: str) -> tuple[str, str] | None:
    """Return (cpuset, mems_allowed) of the line that kernels before 4.19 print after the invocation."""
    match = _CPUSET.match(text)
    return None if match is None else (match["cpuset"], match["mems"])


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return None if match is None else int(match[1])


def is_allocation_failure(text: str) -> bool:
    """Return whether a line begins the report of a failed allocation."""
    return any(word in text for word in FAILURE_KEYWORDS) and FAILED.match(text) is not None
