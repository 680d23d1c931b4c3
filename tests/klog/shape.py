# SPDX-License-Identifier: MIT
"""A log's JSON without what a prefix may change: time, host, caller, line numbers."""

from __future__ import annotations

import json
from typing import Any

from rig.klog import Log
from rig.klog.document import document

__all__ = ["shape"]

_ASIDE = {"time", "wall", "host", "caller", "line", "lines", "last_line"}


def shape(log: Log) -> Any:
    """Return the log's JSON as Python values, time, host, caller and line numbers left out."""
    return _without(json.loads(document(log.lines, log.events)))


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without(item)
            for key, item in value.items()
            if key not in _ASIDE and not key.endswith(("_line", "_lines"))
        }
    if isinstance(value, list):
        return [_without(item) for item in value]
    return value
