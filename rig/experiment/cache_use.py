# SPDX-License-Identifier: MIT
"""Keep the cache within its bound, and say what needs what is in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from rig.image.bounds import branch_bound, cache_bound
from rig.image.entry import Entry
from rig.image.eviction import Held, eviction_order, held_entries, named_keys
from rig.image.kinds import Tier
from rig.image.store import DAMAGED, Store
from rig.remove_tree import remove_tree
from rig.run.references import needed_by_recordings
from rig.units import format_megabytes

__all__ = [
    "CacheUse",
    "Pruned",
    "keep_bound",
    "look_at_cache",
    "measure_use",
    "prune",
    "prune_to_bounds",
    "sizes_by_kind",
]

logger = logging.getLogger(__name__)
SLACK = 10
"""A cache above its bound is cut to a tenth below it, so that not every new snapshot reads all runs again."""


@dataclass(frozen=True)
class Pruned:
    """The result of an eviction.

    removed: in the order of removal.
    in_use: was to go, and is used by a rig at the moment.
    freed: bytes that were removed.
    left: bytes that the cache holds now.
    bound: bytes that it was to hold.
    aside: number of damaged entries that had been set aside, and went before all others.
    """

    removed: tuple[Held, ...]
    in_use: tuple[Held, ...]
    freed: int
    left: int
    bound: int
    aside: int = 0

    def describe(self) -> str:
        """Return in a sentence or two what was removed, and what that costs."""
        counts: dict[str, int] = {}
        for each in self.removed:
            counts[each.entry.kind] = counts.get(each.entry.kind, 0) + 1
        if self.aside:
            counts[DAMAGED] = self.aside
        text = ", ".join(f"{kind} {count}" for kind, count in counts.items())
        lost = {run for each in self.removed if each.tier is Tier.RECORDED for run in each.runs}
        cost = f"; kept runs that can no longer be replayed: {len(lost)}" if lost else ""
        return f"removed from the cache what was not used for longest: {text}{cost}"


@dataclass(frozen=True)
class CacheUse:
    """Bytes that the cache holds, and may hold.

    size, bound: without branch points; RIG_CACHE_SIZE.
    branch_size, branch_bound: of branch points; RIG_BRANCH_SIZE.
    """

    size: int
    bound: int
    branch_size: int
    branch_bound: int


def measure_use(entries: Iterable[Entry], aside: Collection[int]) -> CacheUse:
    """Return the bytes that count against each bound, and the bounds. Raises RigError where one of them is not a size.

    aside: bytes of each damaged entry that was set aside.
    """
    sizes = sizes_by_kind(entries, aside)
    branches = sizes.pop("branch", (0, 0))[1]
    return CacheUse(sum(size for _, size in sizes.values()), cache_bound(), branches, branch_bound())


def sizes_by_kind(entries: Iterable[Entry], aside: Collection[int] = ()) -> dict[str, tuple[int, int]]:
    """Return kind -> (number of entries, bytes), the largest first.

    aside: bytes of each damaged entry that was set aside. They are the kind `damaged`.
    """
    sizes: dict[str, tuple[int, int]] = {DAMAGED: (len(aside), sum(aside))} if aside else {}
    for entry in entries:
        count, size = sizes.get(entry.kind, (0, 0))
        sizes[entry.kind] = count + 1, size + entry.size
    return dict(sorted(sizes.items(), key=lambda pair: -pair[1][1]))


def look_at_cache(store: Store) -> list[Held]:
    """Return all entries with what needs them, the most recently used first."""
    return held_entries(store.entries(), named_keys(store.refs()), needed_by_recordings())


def _is_branch(held: Held) -> bool:
    return held.entry.kind == "branch"


def prune(
    store: Store,
    bound: int,
    *,
    dry_run: bool = False,
    chosen: Callable[[Held], bool] = lambda held: True,
    aside: bool = True,
) -> Pruned:
    """Remove what was not used for longest until the cache fits a bound, in the order of Tier.

    bound: bytes.
    dry_run: remove nothing, and return what would go.
    chosen: which entries are counted and may go.
    aside: whether damaged entries that were set aside are counted, and go before all others.
    What the user named stays, and what a rig is using.
    """
    held = [each for each in look_at_cache(store) if chosen(each)]
    damaged = store.aside() if aside else {}
    total = left = sum(each.entry.size for each in held) + sum(damaged.values())
    removed, in_use = [], []
    gone = 0
    for path, size in damaged.items():
        if left <= bound:
            break
        if not dry_run:
            remove_tree(path)
        left -= size
        gone += 1
    for each in eviction_order(held):
        if left <= bound:
            break
        size = each.entry.size
        if dry_run or store.remove_unused(each.entry):
            removed.append(each)
            left -= size
        else:
            in_use.append(each)
    return Pruned(tuple(removed), tuple(in_use), total - left, left, bound, gone)


def prune_to_bounds(store: Store, *, dry_run: bool = False) -> tuple[Pruned, Pruned]:
    """Remove what was not used for longest until the cache fits RIG_CACHE_SIZE and its branch points RIG_BRANCH_SIZE.

    Return what was removed of all but branch points, and what of branch points.
    Raises RigError where one of the two bounds is not a size.
    """
    bounds = cache_bound(), branch_bound()
    return (
        prune(store, bounds[0], dry_run=dry_run, chosen=lambda held: not _is_branch(held)),
        prune(store, bounds[1], dry_run=dry_run, chosen=_is_branch, aside=False),
    )


def keep_bound(store: Store) -> None:
    """Evict entries if the cache holds more than RIG_CACHE_SIZE; called after something was added to it.

    Branch points are counted apart, against RIG_BRANCH_SIZE.
    Warns of what was removed, and of a cache that stays above its bound.
    Raises RigError where one of the two is not a size.
    """
    _keep(store, cache_bound(), branches=False)
    _keep(store, branch_bound(), branches=True)


def _keep(store: Store, bound: int, *, branches: bool) -> None:
    held = sum(entry.size for entry in store.entries() if (entry.kind == "branch") == branches)
    if held + (0 if branches else sum(store.aside().values())) <= bound:
        return
    from filelock import FileLock, Timeout

    path = store.root / "locks" / "eviction.lock"
    try:
        with FileLock(path, timeout=0):
            smaller = bound - bound // SLACK
            done = prune(store, smaller, chosen=lambda held: _is_branch(held) == branches, aside=not branches)
    except (Timeout, OSError):
        return  # another rig evicts at the moment, or the cache is read-only
    if done.removed or done.aside:
        logger.warning(done.describe())
    if done.left > bound:
        over = format_megabytes(done.left - bound)
        logger.warning(f"the cache is {over} above its bound: the rest is in use, or you named it; rig cache lists it")
