# SPDX-License-Identifier: MIT
"""The JSON Schema of document.py's form, made from the dataclasses by pydantic.

Pydantic is imported here and nowhere else in klog: only who publishes the schema needs it.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rig.klog.crash.crash_event import CrashEvent
from rig.klog.document import VERSION
from rig.klog.explain.explanation import Explanation
from rig.klog.explain.storms import Storm
from rig.klog.oneline import OneLineEvent
from rig.klog.oom.allocation import AllocationEvent
from rig.klog.oom.oom_event import OomEvent
from rig.klog.panic import PanicEvent

__all__ = ["Document", "json_schema"]

_VERSION: Literal[1] = 1
assert _VERSION == VERSION


class Document(BaseModel):
    """A log, read: its events in the order of their first lines, and their explanations."""

    model_config = ConfigDict(title="rig klog")

    version: Literal[1] = Field(_VERSION, alias="schema", description="version of this form")
    lines: int = Field(description="how many lines the input had")
    events: list[OomEvent | AllocationEvent | PanicEvent | CrashEvent | OneLineEvent]
    explanations: list[Explanation] = Field(default_factory=list)
    storms: list[Storm] = Field(default_factory=list, description="OOM reports that are one shortage")


def json_schema() -> str:
    """Return the JSON Schema as it is published in log.schema.json."""
    return json.dumps(Document.model_json_schema(by_alias=True, mode="serialization"), indent=2, sort_keys=True) + "\n"
