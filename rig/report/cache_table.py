# SPDX-License-Identifier: MIT
"""The cache as tables and as a document: what is in it, by kind, and what needs each entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rig.experiment.cache_use import CacheUse, Pruned
from rig.image.aside import DAMAGED
from rig.image.eviction import Held
from rig.image.kinds import BUILD_DIRECTORIES, KINDS, Tier
from rig.report.list_documents import cache_entry
from rig.sanitize import plain
from rig.units import format_megabytes, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rig.image.entry import Entry

__all__ = ["cache_document", "cache_tables", "describe_entry", "pruned_lines"]


def describe_entry(entry: Entry) -> str:
    """Return what an entry is, as its builder recorded it: a package, a name, a kernel."""
    named = (entry.about.get(name) for name in ("package", "spec", "kernel", "what"))
    return plain(next((str(value) for value in named if value), ""))


WIDE, MIDDLING = 110, 72
"""Columns of a terminal that has room for all that is said of an entry, and for all but when it was last used."""


def cache_tables(held: Sequence[Held], root: Path, use: CacheUse, *, width: int = WIDE) -> Iterator[RenderableType]:
    """Yield the entries, the sum of each kind, and the bounds.

    width: columns of the terminal.
    """
    shown = ["key", "kind", "what", "size", "needed by"] if width >= MIDDLING else ["key", "kind", "needed by"]
    shown = ["key", "kind", "what", "size", "last used", "needed by"] if width >= WIDE else shown
    table = _table(*shown)
    needed = [_needed(each) for each in held]
    # An id that is cut or in two lines cannot be copied.
    table.columns[-1].min_width = max((len(word) for text in needed for word in text.split()), default=0)
    for each, by in zip(held, needed, strict=True):
        cells = {
            "key": each.entry.key[:12],
            "kind": each.entry.kind,
            "what": describe_entry(each.entry),
            "size": format_megabytes(each.entry.size),
            "last used": datetime.fromtimestamp(each.entry.used).astimezone().strftime("%Y-%m-%d %H:%M"),
            "needed by": by,
        }
        table.add_row(*(cells[name] for name in shown))
    yield table
    yield ""
    kinds = _table("kind", "entries", "size", "made again by")
    for kind, (count, taken) in use.kinds.items():
        remade = f"set aside in {root / DAMAGED}" if kind == DAMAGED else KINDS[kind].remade
        kinds.add_row(kind, str(count), format_megabytes(taken), Text(remade, "dim"))
    yield kinds
    size, branches = format_megabytes(use.size), format_megabytes(use.branch_size)
    yield Text(
        f"\nWithout branch points {size} of at most {format_size(use.bound)} (RIG_CACHE_SIZE) in {root}\n"
        f"Branch points {branches} of at most {format_size(use.branch_bound)} (RIG_BRANCH_SIZE)"
    )
    for name, removed in BUILD_DIRECTORIES.items():
        if (path := root / name).is_dir():
            yield Text(f"Not counted, because something was built in it: {path}; {removed}")


def cache_document(held: Sequence[Held], root: Path, use: CacheUse) -> dict[str, Any]:
    """Return the cache as a document; sizes in bytes. `bound` and `size` are without branch points."""
    return {
        "path": str(root),
        "bound": use.bound,
        "size": use.size,
        "branch_points": {"bound": use.branch_bound, "size": use.branch_size},
        "kinds": {kind: {"entries": count, "size": size} for kind, (count, size) in use.kinds.items()},
        "entries": [{**cache_entry(each.entry), "names": list(each.names), "runs": list(each.runs)} for each in held],
    }


def pruned_lines(pruned: Pruned, *, dry_run: bool, of: str) -> Iterator[str]:
    """Yield a line an entry that was removed, and what is left.

    of: the part of the cache that was looked at; empty for the whole.
    """
    for each in pruned.removed:
        needed = f"  can no longer be replayed: {_needed(each)}" if each.tier is Tier.RECORDED else ""
        yield f"{each.entry.key[:12]}  {each.entry.kind}  {describe_entry(each.entry)}{needed}"
    if pruned.aside:
        yield f"damaged, and set aside: {pruned.aside}"
    if pruned.in_use:
        yield f"not removed, because a rig uses it, or it is not yours to remove: {len(pruned.in_use)}"
    verb = "would be removed" if dry_run else "removed"
    freed, left = format_megabytes(pruned.freed), format_megabytes(pruned.left)
    yield f"{of}{', ' if of else ''}{verb}: {len(pruned.removed) + pruned.aside} ({freed}); left: {left}"
    if pruned.left > pruned.bound and not pruned.in_use:
        yield "what is left has names of yours: rig kernel rm and rig image rm remove it"


def _needed(each: Held) -> str:
    parts = [plain(name) for name in each.names]
    if len(each.runs) > 1:
        parts.append(f"{len(each.runs)} recordings")
    parts += [f"run {plain(run)}" for run in each.runs if len(each.runs) == 1]
    return ", ".join(parts)


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in headings:
        # A name of one word that is too wide is folded. Rich would cut it.
        table.add_column(heading, justify="right" if heading in ("size", "entries") else "left", overflow="fold")
    for column in table.columns:
        column.no_wrap = column.header in ("key", "kind", "size", "entries")
    return table
