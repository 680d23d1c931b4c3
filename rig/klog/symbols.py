# SPDX-License-Identifier: MIT
"""Add source files and lines to the frames of a trace. The caller supplies the symbols, for example from a vmlinux."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from rig.klog.crash.crash_event import CrashEvent, LabelledTrace
from rig.klog.crash.files import file_to_blame
from rig.klog.event import Event, Frame, Trace

__all__ = ["Place", "Symbolizer", "symbolize"]

Place = tuple[str, str]  # function, `file:line`


class Symbolizer(Protocol):
    """Maps kernel addresses to source lines."""

    def places(self, function: str, offset: int, size: int, module: str | None) -> list[Place]:
        """Return (function, `file:line`) of an address, the innermost inlined function first; [] if it is unknown.

        offset, size: bytes, as in `function+offset/size`.
        """
        ...


def symbolize(event: Event, symbolizer: Symbolizer) -> Event:
    """Return the event with source files and lines in its traces, and with frames for inlined functions."""
    trace = _trace(event.trace, symbolizer)
    changes: dict[str, object] = {"trace": trace}
    if isinstance(event, CrashEvent):
        changes["traces"] = tuple(
            LabelledTrace(labelled.label, _trace(labelled.trace, symbolizer)) for labelled in event.traces
        )
        sources = [frame.source for frame in trace.frames if frame.source and frame.reliable]
        changes["file"] = event.file or file_to_blame(sources)
    return replace(event, **changes)  # type: ignore[arg-type] # the names are Event's own


def _trace(trace: Trace, symbolizer: Symbolizer) -> Trace:
    frames: list[Frame] = []
    for index, frame in enumerate(trace.frames):
        if frame.offset is None or frame.size is None or frame.inlined:
            frames.append(frame)
            continue
        # All frames but the innermost hold return addresses. The call instruction ends one byte before.
        offset = frame.offset - 1 if index and frame.offset else frame.offset
        places = symbolizer.places(frame.function, offset, frame.size, frame.module)
        for name, source in places[:-1]:
            frames.append(
                replace(frame, function=name, offset=None, size=None, source=source, inlined=True, address=None)
            )
        frames.append(replace(frame, source=places[-1][1]) if places else frame)
    return replace(trace, frames=tuple(frames))
