# SPDX-License-Identifier: MIT
"""What is in the cache, listed and removed by key: for `rig image` and `rig kernel`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table

from rig.errors import RigError, UsageError
from rig.image.entry import Entry
from rig.image.store import Store
from rig.report.cache_table import describe_entry
from rig.report.console import output_console
from rig.report.list_documents import cache_entry, print_json
from rig.units import format_megabytes

__all__ = ["list_entries", "remove_entries", "the_entry"]


def list_entries(kind: str | None, *, as_json: bool) -> None:
    """Print the cache, or one kind of what is in it."""
    store = Store()
    if as_json:
        print_json([cache_entry(entry) for entry in store.entries(kind)])
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("key", "kind", "what", "size", "last used"):
        table.add_column(name, justify="right" if name == "size" else "left", overflow="fold", no_wrap=name != "what")
    for entry in store.entries(kind):
        used = datetime.fromtimestamp(entry.used).astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(entry.key[:12], entry.kind, describe_entry(entry), format_megabytes(entry.size), used)
    output_console().print(table)
    print(f"{store.describe_size()} in {store.root}")


def remove_entries(keys: Sequence[str], everything: bool, kind: str | None, *, command: str) -> None:
    """Remove entries by the first letters of their keys, or all. command: what the user called, as in `rig kernel`."""
    store = Store()
    entries = store.entries(kind)
    where = f"{command} rm"
    if not keys and not everything:
        raise UsageError("name what to remove", where=where, remedy=f"a key of `{command} list`, or --all")
    chosen = entries if everything else []
    chosen += [the_entry(entries, key, "entry", where=where, listed=f"{command} list") for key in keys]
    removed = [entry for entry in chosen if store.remove_unused(entry, asked=True)]
    print(f"removed {len(removed)} {'entry' if len(removed) == 1 else 'entries'}")
    if len(removed) < len(chosen):
        raise RigError(
            f"{len(chosen) - len(removed)} of {len(chosen)} entries stay: another rig is using them",
            where=where,
            remedy="wait until it has ended",
        )


def the_entry(entries: Sequence[Entry], key: str, what: str, *, where: str, listed: str = "rig image list") -> Entry:
    """Return the one entry whose key begins with `key`. Raises UsageError where there is none, or more than one."""
    found = [entry for entry in entries if entry.key.startswith(key)] if key else []
    if len(found) != 1:
        problem = f"'{key}' begins {len(found)} keys" if found else f"there is no {what} '{key}'"
        raise UsageError(problem, where=where, remedy=f"see `{listed}`")
    return found[0]
