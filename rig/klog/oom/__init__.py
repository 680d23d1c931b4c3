# SPDX-License-Identifier: MIT
"""OOM reports: the lines that mm/oom_kill.c and the functions that it calls print."""

from rig.klog.oom.badness import badness
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import Kill, TaskRow, Zone

__all__ = ["Kill", "OomEvent", "TaskRow", "Zone", "badness"]
