# SPDX-License-Identifier: MIT
"""`rig cache`: what is in the cache, what needs it, and how it is made smaller."""

from __future__ import annotations

import typer
from rich.text import Text

from rig.cli.options import AsJson, parse_option
from rig.experiment.cache_use import look_at_cache, measure_use, prune, prune_to_bounds
from rig.image.store import Store
from rig.report.cache_table import cache_document, cache_tables, pruned_lines
from rig.report.console import output_console
from rig.report.list_documents import print_json
from rig.units import parse_size

app = typer.Typer()
cache = typer.Typer(help="The cache: what is in it, by kind, and what needs it.", invoke_without_command=True)
app.add_typer(cache, name="cache")


@cache.callback()
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the cache by kind, with what needs each entry; and make it smaller."""
    if context.invoked_subcommand is not None:
        return
    store = Store()
    held = look_at_cache(store)
    use = measure_use((each.entry for each in held), store.aside().values())
    if as_json:
        print_json(cache_document(held, store.root, use))
        return
    console = output_console()
    for part in cache_tables(held, store.root, use, width=console.width):
        console.print(part, soft_wrap=isinstance(part, Text))


@cache.command("prune")
def prune_cache(
    most: str = typer.Option(
        None,
        "--max",
        metavar="SIZE",
        help="The size to shrink the cache to with its branch points, as in 5G; "
        "default: RIG_CACHE_SIZE without them, RIG_BRANCH_SIZE for them.",
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only list what would be removed."),
) -> None:
    """Remove what was not used for longest, and first what no recording needs.

    What you named stays (rig kernel rm and rig image rm remove it), and what a rig is using.
    """
    store = Store()
    if most is None:
        rest, branches = prune_to_bounds(store, dry_run=dry_run)
        parts = [("without branch points", rest), ("branch points", branches)]
    else:
        parts = [("", prune(store, parse_option(parse_size, most, "--max"), dry_run=dry_run))]
    for of, pruned in parts:
        for line in pruned_lines(pruned, dry_run=dry_run, of=of):
            print(line)
