# SPDX-License-Identifier: MIT
"""Verdicts over one or two axes as SVG: a cell a point; with more axes, a small map for each of their values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from html import escape

from rig.sanitize import plain
from rig.sweep.row import Row

__all__ = ["heat_map"]

# Colour and letter, because a verdict must also be legible without colour.
LOOKS = {
    "reproduced": ("#2e7d32", "R"), "not-reproduced": ("#f9a825", "N"), "invalid": ("#8e24aa", "I"),
    "error": ("#c62828", "E"),
}  # fmt: skip
CELL_W, CELL_H, LEFT, TOP, GAP = 64, 30, 150, 46, 40


def heat_map(title: str, axes: Sequence[tuple[str, Sequence[str]]], rows: Sequence[Row]) -> str:
    """Return the SVG. The last axis goes to the right, the one before it downwards."""
    across = axes[-1] if axes else ("", ("",))
    down = axes[-2] if len(axes) > 1 else ("", ("",))
    others = list(axes[:-2])
    width = LEFT + CELL_W * len(across[1]) + 20
    height_each = TOP + CELL_H * len(down[1]) + GAP
    panels = list(itertools.product(*(values for _, values in others)))
    verdicts: dict[tuple[str | None, ...], list[str]] = {}
    for row in rows:
        verdicts.setdefault(tuple(row.settings.get(name) for name, _ in axes), []).append(row.verdict)
    parts = [f'<text x="10" y="20" font-size="15" font-weight="bold">{escape(plain(title))}</text>']
    for number, values in enumerate(panels):
        fixed = dict(zip((name for name, _ in others), values, strict=True))
        parts.append(f'<g transform="translate(0,{30 + number * height_each})">')
        parts += _panel(fixed, across, down, verdicts)
        parts.append("</g>")
    height = 40 + height_each * len(panels) + 24
    x = 10
    for verdict, (colour, letter) in LOOKS.items():
        parts.append(f'<rect x="{x}" y="{height - 22}" width="14" height="14" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="{height - 10}">{letter} {verdict}</text>')
        x += 130
    width = max(width, x)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' font-family="sans-serif" font-size="12">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(
    fixed: dict[str, str], across: tuple[str, Sequence[str]], down: tuple[str, Sequence[str]],
    verdicts: Mapping[tuple[str | None, ...], Sequence[str]],
) -> list[str]:  # fmt: skip
    """Return a map over two axes. verdicts: a value of each axis, in the order of the axes -> those of its runs."""
    heading = ", ".join(f"{name}={value}" for name, value in fixed.items())
    parts = [f'<text x="10" y="14">{escape(plain(heading))}</text>'] if heading else []
    parts.append(f'<text x="{LEFT}" y="14" font-weight="bold">{escape(across[0])} →</text>')
    if down[0]:
        parts.append(f'<text x="10" y="{TOP - 8}" font-weight="bold">{escape(down[0])} ↓</text>')
    for column, value in enumerate(across[1]):
        parts.append(_label(LEFT + CELL_W * column + CELL_W // 2, TOP - 8, value, "middle"))
    for line, name in enumerate(down[1]):
        parts.append(_label(LEFT - 10, TOP + CELL_H * line + 20, name, "end"))
        for column, value in enumerate(across[1]):
            at = (*fixed.values(), *([name] if down[0] else []), *([value] if across[0] else []))
            parts += _cell(LEFT + CELL_W * column, TOP + CELL_H * line, verdicts.get(at, ()))
    return parts


def _label(x: int, y: int, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(plain(text))}</text>'


def _cell(x: int, y: int, verdicts: Sequence[str]) -> list[str]:
    """Return a cell with one band a run: an unstable point has two colours."""
    if not verdicts:
        return [f'<rect x="{x}" y="{y}" width="{CELL_W - 2}" height="{CELL_H - 2}" fill="none" stroke="#bbb"/>']
    verdicts = sorted(verdicts)
    band = (CELL_W - 2) / len(verdicts)
    parts = [f"<g><title>{escape(', '.join(verdicts))}</title>"]
    for index, verdict in enumerate(verdicts):
        colour = LOOKS.get(verdict, ("#888", "?"))[0]
        parts.append(
            f'<rect x="{x + index * band:.2f}" y="{y}" width="{band:.2f}" height="{CELL_H - 2}" fill="{colour}"/>'
        )
    letters = "".join(LOOKS.get(verdict, ("", "?"))[1] for verdict in dict.fromkeys(verdicts))
    parts.append(f'<text x="{x + CELL_W // 2}" y="{y + 19}" text-anchor="middle" fill="#fff">{letters}</text></g>')
    return parts
