# SPDX-License-Identifier: MIT
"""HTML built as a tree, so that no text of a log can become markup. It needs nothing but Python's own library."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring

from rig.sanitize import plain

__all__ = ["Child", "markup", "tag"]

Child = Element | str | None


def tag(name: str, /, *children: Child, **attributes: str | int | None) -> Element:
    """Return an element.

    children: elements, or text, which is sanitized; None is left out.
    attributes: a trailing underscore is removed (`class_`), other underscores become hyphens; None is left out.
    """
    made = Element(
        name, {key.rstrip("_").replace("_", "-"): str(value) for key, value in attributes.items() if value is not None}
    )
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif child and last is None:
            made.text = (made.text or "") + plain(child)
        elif child and last is not None:
            last.tail = (last.tail or "") + plain(child)
    return made


def markup(elements: list[Element]) -> str:
    """Return the elements as HTML, escaped."""
    return "\n".join(tostring(element, encoding="unicode", method="html") for element in elements)
