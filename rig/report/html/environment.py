# SPDX-License-Identifier: MIT
"""The Jinja environment of rig's HTML pages, and the functions that templates may use. All guest text is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from rig.klog.explain.explanation import Bar, Picture
from rig.klog.explain.words import size
from rig.sanitize import plain

__all__ = ["TEMPLATES", "environment"]

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
    made.globals |= {"plain": plain, "size": size, "share": _share, "reach": _reach}
    return made


def _share(value: int, whole: int) -> str:
    return f"{min(100 * value / whole, 100):.2f}" if whole else "0"


def _reach(picture: Picture, bar: Bar) -> int:
    if bar.marks:
        return max(bar.value_kb, *(value for _name, value in bar.marks))
    return picture.whole_kb or max((entry.value_kb for entry in picture.bars), default=0)
