# SPDX-License-Identifier: MIT
"""`rig explain --follow`, `--jsonl` and `--json`: each event is printed when its report is over, and none is kept."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator

from rig.cli.explain_chosen import listed
from rig.cli.follow_log import follow
from rig.cli.logfile import open_log, read_log
from rig.klog import Event, Log, read_events
from rig.klog.document import BEGIN, BETWEEN, SEPARATOR, end, member
from rig.klog.explain import explain
from rig.klog.follow import QUIET, Follower

__all__ = ["explain_json", "explain_stream"]


def explain_stream(source: str, prepare: Callable[[Event], Event], *, live: bool, jsonl: bool) -> int:
    """Print the events of a log as they come. Return 0, or 1 when there were none.

    prepare: what is done to each event before it is explained.
    live: whether the log is still written. jsonl: print a line of JSON for each event, instead of words.
    """
    found = False
    for event in map(prepare, _live(source) if live else _whole(source)):
        (_print_line if jsonl else _print_words)(event)
        found = True
    return 0 if found else 1


def explain_json(source: str, prepare: Callable[[Event], Event], number: int | None) -> Log:
    """Print a log's events and explanations as one JSON object, as document() makes it; return the log.

    number: of the only event that is printed; None for all.
    The explanations come after all events, so they wait in a file.
    """
    shown: list[Event] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8") as explanations:

        def keep(event: Event) -> Event:
            event = prepare(event)
            bare = listed(event)
            if number in (None, event.number):
                sys.stdout.write((SEPARATOR if shown else BEGIN) + member(event))
                explanations.write((SEPARATOR if shown else "") + member(explain(event)))
                shown.append(bare)
            return bare

        log = read_log(source, keep=keep)
        if number is not None and not shown:
            return log
        sys.stdout.write(BETWEEN if shown else BEGIN + BETWEEN)
        explanations.seek(0)
        shutil.copyfileobj(explanations, sys.stdout)
        print(end(log.lines, shown))
    return log


def _live(source: str) -> Iterator[Event]:
    follower = Follower()
    for data in follow(source, quiet=QUIET, waiting=lambda: follower.waiting):
        yield from follower.flush() if data is None else follower.feed(data)
    yield from follower.finish()


def _whole(source: str) -> Iterator[Event]:
    with open_log(source) as chunks:
        yield from read_events(chunks)


def _print_line(event: Event) -> None:
    from rig.klog.document import line

    print(line(event, explain(event)), flush=True)


def _print_words(event: Event) -> None:
    from rig.report.console import output_console
    from rig.report.explain_text import print_explanation

    print_explanation(output_console(highlight=False), explain(event), event)
    print(flush=True)
