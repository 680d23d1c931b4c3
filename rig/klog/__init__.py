# SPDX-License-Identifier: MIT
"""Parse kernel logs: bytes in, events out. Pure functions, usable without the rest of rig.

from rig.klog import read
log = read([b"..."])
for event in log.events: ...
"""

from rig.klog.event import Event, Frame, Registers, Task, TextLine, Trace
from rig.klog.oom import Kill, OomEvent, TaskRow, Zone, badness
from rig.klog.panic import PanicEvent
from rig.klog.reader import Log, read, read_events

__all__ = [
    "Event",
    "Frame",
    "Kill",
    "Log",
    "OomEvent",
    "PanicEvent",
    "Registers",
    "Task",
    "TaskRow",
    "TextLine",
    "Trace",
    "Zone",
    "badness",
    "read",
    "read_events",
]
