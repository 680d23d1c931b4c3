# SPDX-License-Identifier: MIT
"""Keep the cache within its bound, and say what needs what is in it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.disk import sum_by_kind
from rig.image.aside import DAMAGED
from rig.image.bounds import UNFINISHED_AGE, branch_bound, cache_bound, cut_to
from rig.image.entry import Entry
from rig.image.eviction import Held, eviction_order, held_entries, named_keys
from rig.image.kinds import Tier
from rig.image.store import Store
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
]

logger = logging.getLogger(__name__)
BRANCH = "branch"


@dataclass(frozen=True)
class Pruned:
    """The result of an eviction.

    removed: in the order of removal.
    in_use: was to go, and is used by a rig at the moment, or may not be removed by this user.
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
    """What the cache holds, and the bytes that it may hold.

    kinds: kind -> (number of entries, bytes), the largest first; those that were set aside are the kind `damaged`.
    bound: without branch points; RIG_CACHE_SIZE.
    branch_bound: of branch points; RIG_BRANCH_SIZE.
    """

    kinds: Mapping[str, tuple[int, int]]
    bound: int
    branch_bound: int

    @property
    def size(self) -> int:
        """Bytes that count against `bound`."""
        return sum(size for _, size in self.kinds.values()) - self.branch_size

    @property
    def branch_size(self) -> int:
        """Bytes that count against `branch_bound`."""
        return self.kinds.get(BRANCH, (0, 0))[1]


def measure_use(entries: Iterable[Entry], aside: Iterable[int]) -> CacheUse:
    """Return what the cache holds, and the bounds. Raises RigError where one of them is not a size.

    aside: bytes of each damaged entry that was set aside.
    """
    sizes = [*((DAMAGED, size) for size in aside), *((entry.kind, entry.size) for entry in entries)]
    return CacheUse(sum_by_kind(sizes), cache_bound(), branch_bound())


def look_at_cache(store: Store) -> list[Held]:
    """Return all entries with what needs them, the most recently used first."""
    return held_entries(store.entries(), named_keys(store.refs()), needed_by_recordings())


def prune(store: Store, bound: int, *, dry_run: bool = False) -> Pruned:
    """Remove what was not used for longest until the cache fits a bound, in the order of Tier.

    Damaged entries that were set aside go before all others. What the user named stays, and what a rig is using.
    bound: bytes.
    dry_run: remove nothing, and return what would go.
    """
    return _prune(store, look_at_cache(store), store.aside(), bound, dry_run=dry_run)


def prune_to_bounds(store: Store, *, dry_run: bool = False) -> tuple[Pruned, Pruned]:
    """Remove what was not used for longest until the cache fits RIG_CACHE_SIZE and its branch points RIG_BRANCH_SIZE.

    Return what was removed of all but branch points, and what of branch points.
    Raises RigError where one of the two bounds is not a size.
    """
    rest, branches = cache_bound(), branch_bound()
    held = look_at_cache(store)
    return (
        _prune_part(store, held, rest, branches=False, dry_run=dry_run),
        _prune_part(store, held, branches, branches=True, dry_run=dry_run),
    )


def _prune_part(store: Store, held: Iterable[Held], bound: int, *, branches: bool, dry_run: bool = False) -> Pruned:
    """Prune the branch points alone, or all that is not a branch point, with the damaged entries that were set aside.

    held: all entries of the cache.
    """
    part = [each for each in held if (each.entry.kind == BRANCH) == branches]
    return _prune(store, part, {} if branches else store.aside(), bound, dry_run=dry_run)


def _prune(store: Store, held: Sequence[Held], damaged: Mapping[Path, int], bound: int, *, dry_run: bool) -> Pruned:
    """Prune among these entries alone.

    damaged: directory -> bytes of the damaged entries that were set aside, and go first.
    """
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


def keep_bound(store: Store) -> None:
    """Evict entries if the cache holds more than RIG_CACHE_SIZE; called after something was added to it.

    What rigs that were killed left unfinished counts against no bound, so it is removed once it is a day old.
    Branch points are counted apart, against RIG_BRANCH_SIZE.
    Warns of what was removed, and of a cache that stays above its bound.
    Raises RigError where one of the two is not a size.
    """
    if count := store.sweep_staging(older=UNFINISHED_AGE):
        logger.warning(f"unfinished directories of killed rigs were removed from the cache: {count}")
    use = measure_use(store.entries(), store.aside().values())
    _keep(store, use.size, use.bound, branches=False)
    _keep(store, use.branch_size, use.branch_bound, branches=True)


def _keep(store: Store, size: int, bound: int, *, branches: bool) -> None:
    if size <= bound:
        return
    from filelock import FileLock, Timeout

    path = store.root / "locks" / "eviction.lock"
    try:
        with FileLock(path, timeout=0):
            done = _prune_part(store, look_at_cache(store), cut_to(bound), branches=branches)
    except (Timeout, OSError):
        return  # another rig evicts at the moment, or the cache is read-only
    if done.removed or done.aside:
        logger.warning(done.describe())
    if done.left > bound:
        over = format_megabytes(done.left - bound)
        logger.warning(f"the cache is {over} above its bound: the rest is in use, or you named it; rig cache lists it")
