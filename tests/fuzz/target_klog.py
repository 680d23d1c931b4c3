# SPDX-License-Identifier: MIT
"""Whatever the bytes of a log: it is read, explained, redacted and written as JSON."""

from __future__ import annotations

from rig.klog import read
from rig.klog.document import document
from rig.klog.explain import explain
from rig.klog.redact import Redactor

__all__ = ["one"]


def one(data: bytes) -> None:
    """Read one log."""
    log = read([data])
    redactor = Redactor()
    explanations = [explain(event) for event in log.events]
    for event in log.events:
        explain(redactor(event))
    document(log.lines, log.events, explanations)
