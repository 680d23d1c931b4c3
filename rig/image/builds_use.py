# SPDX-License-Identifier: MIT
"""Keep the directories of builds within a bound: objects are compiled again, and nothing else goes.

Kernels are built in the children of `build`, Buildroot's images in those of `buildroot`. Each of the two has the bound
for itself: to measure an output directory of Buildroot takes seconds, which not every build of a kernel is to wait.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rig.deadline_scale import scaled
from rig.disk import bytes_below, modified
from rig.errors import RigError
from rig.image.bounds import builds_bound
from rig.image.kinds import BUILD_DIRECTORIES
from rig.image.store import Store
from rig.in_use import hold, lock_unused
from rig.units import format_megabytes, format_size

__all__ = ["ASKED", "bounded_build", "hold_build", "keep_builds_bound", "remove_builds"]

logger = logging.getLogger(__name__)
ASKED = "rig-asked.json"
"""The options of a tree's last build, in its build directory."""
SHARED = ("dl", "ccache")
"""What all builds of Buildroot share: sources, which may be on no mirror any more, and the compiler's cache, which has
a bound of its own (ccache's max_size)."""
HOLD_DEADLINE = 20.0
"""Host seconds within which another rig must have renamed what it removes from a build directory."""
AGAIN = 0.05
"""Host seconds between two attempts to hold a build directory."""


@contextmanager
def bounded_build(store: Store, out: Path) -> Iterator[None]:
    """Hold a build directory in which a kernel or an image is built, and keep the bound at the end of the block.

    The bound is kept where the build fails, too: what it left is as large as what a build leaves that succeeds.
    Raises the errors of hold_build(), and RigError where RIG_BUILD_SIZE is not a size, before anything is built.
    """
    # Another rig that keeps its bound empties no directory that is held.
    hold_build(out)
    builds_bound()
    try:
        yield
    except RigError:
        # The build's own error is the one to report. An interrupt does not wait for the measurement.
        with suppress(RigError, OSError):
            keep_builds_bound(store, out)
        raise
    with store.writing():
        keep_builds_bound(store, out)


def keep_builds_bound(store: Store, built: Path) -> None:
    """Empty the build directories not used for longest while all of one kind take more than RIG_BUILD_SIZE.

    A tree's options (ASKED) stay: the next build of the tree takes them, and compiles everything again.
    built: the directory that was built in last, which stays whole, if it is still there. Those that a rig builds in
        stay too.
    Raises RigError where RIG_BUILD_SIZE is not a size.
    """
    bound = builds_bound()
    with suppress(FileNotFoundError):
        os.utime(built)
    directories = [path for path in built.parent.iterdir() if path.is_dir() and path.name not in SHARED]
    sizes = {path: bytes_below(path) for path in directories}
    left = sum(sizes.values())
    emptied = []
    for path in sorted(sizes, key=modified):
        if left <= bound:
            break
        if path != built and _empty(store, path):
            emptied.append(path.name)
            left -= sizes[path]
    if emptied:
        logger.warning(
            f"the build directories took more than {format_size(bound)} (RIG_BUILD_SIZE): {len(emptied)} not used for"
            " longest were emptied, and what was built there is built whole the next time"
        )
    if left > bound:
        logger.warning(
            f"the build directories are {format_megabytes(left - bound)} above their bound (RIG_BUILD_SIZE) in"
            f" {built.parent}: {BUILD_DIRECTORIES[built.parent.name]}"
        )


def remove_builds(store: Store) -> list[Path]:
    """Remove the build directories of kernels, and return those that stay, because a rig builds in them.

    The kernels themselves stay in the cache.
    Raises RigError where the cache does not let the user remove one.
    """
    in_use = []
    for path in sorted((store.root / "build").glob("*")):
        with store.staging_directory() as work, lock_unused(path, asked=True) as free:
            if free:
                path.rename(work / path.name)
            elif path.exists():
                in_use.append(path)
    return in_use


def hold_build(path: Path) -> None:
    """Mark a build directory as in use, once no other rig is emptying it. Renaming its children takes milliseconds.

    Raises RigError where it is gone, as after `rig kernel rm --all`, or cannot be held.
    """
    until = time.monotonic() + scaled(HOLD_DEADLINE)
    while not hold(path):
        if not path.is_dir():
            raise RigError("another rig removed the build directory", where=path, remedy="run the command again")
        if time.monotonic() > until:
            raise RigError("the build directory cannot be locked", where=path, remedy="make it readable")
        time.sleep(AGAIN)


def _empty(store: Store, path: Path) -> bool:
    """Remove what is in a build directory, except ASKED. Return whether there was anything, and nobody uses it."""
    # The lock is released before the renamed files are removed, which takes seconds: a build waits for the lock.
    with store.staging_directory() as work, lock_unused(path) as free:
        children = [child for child in path.iterdir() if child.name != ASKED] if free else []
        # Renamed, so that a kill leaves no half of a source tree, which the next build would take for whole. In `build`
        # Buildroot keeps its stamps (package/pkg-generic.mk): once it has gone, every package is built again.
        for child in sorted(children, key=lambda child: child.name != "build"):
            child.rename(work / child.name)
    return bool(children)
