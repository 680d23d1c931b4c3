# SPDX-License-Identifier: MIT
"""The recipe of the quick image, read from images/debian/quick.toml into types."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from rig.assets import assets

__all__ = ["Recipe", "quick_recipe"]


@dataclass(frozen=True)
class Recipe:
    """Packages and exclusions of the root filesystem, and the kernel modules of the initramfs.

    optional: module -> names of the modules that it requests when it is used.
    """

    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    required: tuple[str, ...]
    wanted: tuple[str, ...]
    optional: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def modules(self) -> tuple[str, ...]:
        """All modules that any guest may load."""
        return (*self.required, *self.wanted, *(name for wish, more in self.optional for name in (*more, wish)))


@cache
def quick_recipe() -> Recipe:
    """Return the recipe that is shipped with rig."""
    data = tomllib.loads((assets("images") / "debian" / "quick.toml").read_text())
    rootfs, modules = data["rootfs"], data["modules"]
    return Recipe(
        packages=tuple(rootfs["packages"]),
        exclude=tuple(rootfs["exclude"]),
        required=tuple(modules["required"]),
        wanted=tuple(modules["wanted"]),
        optional=tuple((wish, tuple(more)) for wish, more in modules["optional"].items()),
    )
