# SPDX-License-Identifier: MIT
"""`rig kernel use` and `rig image use`: the kernel and the image that runs boot by default."""

from __future__ import annotations

from rig.errors import UsageError
from rig.image.defaults import What, choose_default, default_image, default_kernel

__all__ = ["show_or_choose"]


def show_or_choose(what: What, spec: str | None, *, reset: bool) -> None:
    """Store the chosen default, or remove the choice, and print the default that is now in force, with the reason.

    spec: the choice; None leaves it unchanged.
    Raises UsageError where spec and reset are both given.
    """
    if reset and spec is not None:
        raise UsageError(
            f"the {what}'s name and --reset exclude each other", where=f"rig {what} use", remedy="leave one out"
        )
    if reset or spec is not None:
        choose_default(what, spec)
    chosen = default_kernel() if what == "kernel" else default_image()
    print(f"{chosen.spec}  ({chosen.why})")
