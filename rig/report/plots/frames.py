# SPDX-License-Identifier: MIT
"""The frames of a trace, grouped by the layer of the kernel that each belongs to (rig.klog.functions).

A function that is not in the table is shown in the layer of its caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rig.klog.functions import LAYERS, KernelFunction, known
from rig.run.document import Frame

__all__ = ["Layered", "layers", "source_link"]


@dataclass(frozen=True)
class Layered:
    """Frames that follow each other within one layer, the outermost first."""

    layer: str
    frames: tuple[tuple[Frame, KernelFunction | None], ...]

    @property
    def title(self) -> str:
        return LAYERS[self.layer]


def layers(frames: Sequence[Frame]) -> list[Layered]:
    """Return the reliable frames by layer in the order in which they were called, outermost first."""
    grouped: list[tuple[str, list[tuple[Frame, KernelFunction | None]]]] = []
    for frame in reversed([frame for frame in frames if frame.reliable]):
        about = known(frame.function)
        layer = about.layer if about else (grouped[-1][0] if grouped else "other")
        if not grouped or grouped[-1][0] != layer:
            grouped.append((layer, []))
        grouped[-1][1].append((frame, about))
    return [Layered(layer, tuple(members)) for layer, members in grouped]


def source_link(function: str, release: str) -> str | None:
    """Return where the source of a known function can be read, for a release such as 6.1.0-50-cloud-amd64."""
    numbers = release.split("-", 1)[0].split(".")[:2]
    if known(function) is None or len(numbers) < 2 or not _all_digits(numbers):
        return None
    return f"https://elixir.bootlin.com/linux/v{numbers[0]}.{numbers[1]}/A/ident/{function.split('.', 1)[0]}"


def _all_digits(numbers: Iterable[str]) -> bool:
    return all(number.isascii() and number.isdigit() and len(number) < 5 for number in numbers)
