# SPDX-License-Identifier: MIT
"""Explain a vmalloc that failed: by its size, by the room for its addresses, or by the pages that it got.

Source: __vmalloc_node_range() and __vmalloc_area_node() in mm/vmalloc.c; the words changed in 5.13.
"""

from __future__ import annotations

import re

from rig.klog.explain.cause import Cause, Certainty
from rig.klog.explain.explanation import Sentence
from rig.klog.explain.words import size
from rig.klog.oom.allocation import AllocationEvent

__all__ = ["vmalloc_cause"]

_SIZE = re.compile(r"size (?P<new>\d+)|: (?P<old>\d+) bytes")
_PARTLY = re.compile(r"allocated (?P<done>\d+) of (?P<all>\d+) bytes")


def vmalloc_cause(event: AllocationEvent) -> Cause | None:
    """Return the cause of a vmalloc's failure; None for another allocation, and where the line gives no size."""
    if "vmalloc" not in event.what:
        return None
    partly = _PARTLY.search(event.detail)
    if partly is not None:
        done, whole = int(partly["done"]) / 1024, int(partly["all"]) / 1024
        text = f"The kernel had got {size(done)} of {size(whole)} for vmalloc when no further page was free."
        return _cause("vmalloc-partly", Certainty.CERTAIN, text, event)
    found = _SIZE.search(event.detail)
    if found is None:
        return None
    bytes_wanted = int(found["new"] or found["old"])
    wanted = size(bytes_wanted / 1024)
    if bytes_wanted == 0:
        text = "vmalloc was asked for 0 bytes: a fault of the caller, such as a size that overflowed, and no shortage."
        return _cause("vmalloc-size", Certainty.CERTAIN, text, event)
    if "exceeds total pages" in event.detail or found["old"]:
        text = f"vmalloc was asked for {wanted}, more than the machine has: a wrong size, or too small a machine."
        return _cause("vmalloc-size", Certainty.CERTAIN if found["new"] else Certainty.LIKELY, text, event)
    if "vm_struct allocation failed" in event.detail:
        text = f"There was no room for {wanted} among the kernel's addresses for vmalloc: free memory does not help."
        return _cause("vmalloc-space", Certainty.LIKELY, text, event)
    return _cause("vmalloc-memory", Certainty.LIKELY, f"There was no memory for a vmalloc of {wanted}.", event)


def _cause(name: str, certainty: Certainty, text: str, event: AllocationEvent) -> Cause:
    return Cause(name, certainty, Sentence(text, (event.line,)))
