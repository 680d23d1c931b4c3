# SPDX-License-Identifier: MIT
"""OOM reports: the lines of mm/oom_kill.c and of what it calls."""

from rig.klog.oom.badness import badness
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import Kill, TaskRow, Zone

__all__ = ["Kill", "OomEvent", "TaskRow", "Zone", "badness"]
