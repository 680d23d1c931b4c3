# SPDX-License-Identifier: MIT
"""The Jinja environment of rig's HTML pages, and the functions that templates may use. All guest text is escaped."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from rig.klog.event import Event
from rig.klog.explain.explanation import Explanation
from rig.report.html.elements import markup
from rig.report.html.explanation import explained
from rig.sanitize import plain

__all__ = ["TEMPLATES", "environment", "stylesheet"]

TEMPLATES = Path(__file__).with_name("templates")


@cache
def environment() -> jinja2.Environment:
    """Return the environment: it escapes everything, and an undefined name is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
    )
    made.globals |= {"plain": plain, "explained": _explained}
    return made


def stylesheet() -> Markup:
    """Return the style sheet of reports: what every page of rig has, then what only reports have."""
    return Markup("".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("base.css", "report.css")))


def _explained(explanation: Explanation, event: Event, shown_lines: Collection[int]) -> Markup:
    return Markup(markup(explained(explanation, event, shown_lines, tasks=False)))  # the report ranks the tasks itself
