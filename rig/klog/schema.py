# SPDX-License-Identifier: MIT
"""The JSON form of a log: versioned, with a published schema (log.schema.json beside this file).

Pydantic is imported here and nowhere else in klog: it is needed for --json alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rig.klog.crash.crash_event import CrashEvent
from rig.klog.explain.explanation import Explanation
from rig.klog.oneline import OneLineEvent
from rig.klog.oom.allocation import AllocationEvent
from rig.klog.oom.oom_event import OomEvent
from rig.klog.panic import PanicEvent

__all__ = ["VERSION", "Document", "document", "json_schema"]

VERSION: Literal[1] = 1  # raised when a field is removed or changes its meaning, but not when one is added


class Document(BaseModel):
    """A log, read: its events in the order of their first lines, and their explanations."""

    model_config = ConfigDict(title="rig klog")

    version: Literal[1] = Field(VERSION, alias="schema", description="version of this form")
    lines: int = Field(description="how many lines the input had")
    events: list[OomEvent | AllocationEvent | PanicEvent | CrashEvent | OneLineEvent]
    explanations: list[Explanation] = Field(default_factory=list)


def document(lines: int, events: Iterable[Any], explanations: Iterable[Explanation] = ()) -> str:
    """Return the JSON text of a log."""
    made = Document.model_construct(version=VERSION, lines=lines, events=list(events), explanations=list(explanations))
    return made.model_dump_json(by_alias=True, indent=2, serialize_as_any=True, warnings=False)


def json_schema() -> str:
    """Return the JSON Schema as it is published in log.schema.json."""
    return json.dumps(Document.model_json_schema(by_alias=True, mode="serialization"), indent=2, sort_keys=True) + "\n"
