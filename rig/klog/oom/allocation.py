# SPDX-License-Identifier: MIT
"""Reports of an allocation that failed or stalled without an OOM kill: warn_alloc() in mm/page_alloc.c."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rig.klog.crash.roles import without_roles
from rig.klog.crash.titles import short_name
from rig.klog.event import Event
from rig.klog.kinds import Kind
from rig.klog.oom.invocation import FAILED, Invocation, page_order
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.report import OomBuilder

__all__ = ["AllocationBuilder", "AllocationEvent"]

_ORDER = re.compile(r"order[:=] ?(\d+)")
_MODE = re.compile(r"mode:0x(?P<mask>[0-9a-f]+)(?:\((?P<flags>[^)]*)\)?)?")
_NODEMASK = re.compile(r"nodemask=(\(null\)|[\d,-]*)")
_CPUSET = re.compile(r"cpuset=(?P<cpuset>\S*?),? ?mems_allowed=(?P<mems>[\d,-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationEvent(OomEvent):
    """A failed allocation without an OOM kill: the caller got an error, or waited.

    what: the failure as printed, such as `page allocation failure` or `vmalloc error`.
    detail: what stands between it and the gfp mask, such as `size 4096, vm_struct allocation failed`.
    """

    kind: Kind = Kind.ALLOCATION_FAILURE
    what: str = ""
    detail: str = ""


class AllocationBuilder(OomBuilder):
    """Collect an allocation failure: its first line, the trace and the Mem-Info that follow."""

    kind = Kind.ALLOCATION_FAILURE
    what = ""
    detail = ""

    def _take_invocation(self, text: str) -> bool:
        match = FAILED.match(text)
        if match is None or self.invocation is not None:
            return False
        self.what = match["what"]
        fields = match["fields"]
        self.detail = fields.partition(", mode:")[0].strip()
        mode, order, nodemask = _MODE.search(fields), _ORDER.search(fields), _NODEMASK.search(fields)
        self.invocation = Invocation(
            comm=match["comm"],
            gfp_mask=None if mode is None else int(mode["mask"], 16),
            gfp_flags=tuple(mode["flags"].split("|")) if mode is not None and mode["flags"] else (),
            order=None if order is None else page_order(int(order[1])),
            oom_score_adj=None,
            oom_adj=None,
            nodemask=None if nodemask is None else nodemask[1],
            complete=mode is not None,
        )
        cpuset = _CPUSET.search(fields)
        if cpuset is not None:
            self.cpuset = (cpuset["cpuset"], cpuset["mems"])
        return True

    def _is_oom(self) -> bool:
        return False

    def close(self) -> Event:
        functions = [frame.function.split(".")[0] for frame in self.trace.frames if frame.reliable]
        to_blame = without_roles(functions, r"alloc|_folio|vmap")
        function = short_name(to_blame[0]) if to_blame else None
        # A stall's duration differs from report to report, and titles must not.
        what = re.sub(r" for \d+ms", "", self.what)
        order = "" if self.invocation is None or self.invocation.order is None else f" of order {self.invocation.order}"
        title = f"{what}{order}" + (f" in {function}" if function else "")
        fields = {**self.fields(), "kind": self.kind, "title": title, "function": function}
        return AllocationEvent(**fields, what=self.what, detail=self.detail)
