# SPDX-License-Identifier: MIT
"""`rig explain --recursive DIRECTORY`: all logs below a directory, on all CPUs or on Dask's workers."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from rig.cli.logfile import open_log
from rig.errors import RigError, UsageError
from rig.klog.document import line
from rig.klog.explain import explain
from rig.klog.reader import Reader
from rig.report.log_totals import LogSummary, count_event, print_totals, totals_document
from rig.terminal_signals import started_without_terminal_signals

__all__ = ["explain_directory", "summarize"]

_BATCH = 16  # files of one task, so that a task takes longer than to hand it over

_Result = tuple[LogSummary, list[str]]
_Batch = tuple[tuple[str, ...], bool]
_Map = Callable[[Callable[[_Batch], _Result], Iterable[_Batch]], Iterator[_Result]]


def explain_directory(source: str, *, as_json: bool, jsonl: bool, scheduler: str | None) -> int:
    """Print what the logs below a directory hold together. Return 0, or 1 where there is no event in any of them.

    as_json: print the totals as JSON. jsonl: print one line of JSON for each event, with the member `file`.
    scheduler: address of Dask's scheduler, whose workers see the files at the same paths; None for this machine's CPUs.
    """
    directory = Path(source)
    if not directory.is_dir():
        raise UsageError("this is not a directory", where=source, remedy="give a directory, or leave out --recursive")
    total = LogSummary()
    files = sorted(_files(directory))
    batches: list[_Batch] = [(tuple(files[at : at + _BATCH]), jsonl) for at in range(0, len(files), _BATCH)]
    with _map(scheduler, len(batches)) as called:
        for summary, lines in called(summarize, batches):
            total.add(summary)
            for text in lines:
                print(text)
    if as_json:
        print(totals_document(total))
    elif not jsonl:
        from rig.report.console import output_console

        print_totals(output_console(highlight=False), total)
    return 0 if total.kinds else 1


def _files(directory: Path) -> Iterator[str]:
    for below, _directories, names in os.walk(directory):
        yield from (path for name in names if Path(path := f"{below}/{name}").is_file())


def summarize(batch: _Batch) -> _Result:
    """Read a batch of files, of which none can stop the others. Runs in a process of its own."""
    paths, jsonl = batch
    summary = LogSummary()
    lines: list[str] = []
    for path in paths:
        _read(path, summary, lines if jsonl else None)
    return summary, lines


def _read(path: str, summary: LogSummary, lines: list[str] | None) -> None:
    summary.files += 1
    reader = Reader()
    try:
        with open_log(path) as chunks:
            for event in reader.run(chunks):
                explanation = explain(event)
                count_event(summary, event, explanation)
                if lines is not None:
                    lines.append(line(event, explanation, file=path))
        if not reader.looks_like_text:
            summary.broken.append((path, "this does not look like a kernel log"))
    except (RigError, OSError) as error:
        summary.broken.append((path, getattr(error, "what", None) or str(error)))
    summary.lines += reader.lines


@contextmanager
def _map(scheduler: str | None, tasks: int) -> Iterator[_Map]:
    if scheduler is not None:
        from rig.sweep.dask import dask_map

        with dask_map(scheduler) as there:
            yield there
        return
    workers = max(1, min(len(os.sched_getaffinity(0)), tasks))
    # Not forked: rig has a thread that waits for signals.
    context = multiprocessing.get_context("spawn")
    # Ctrl-C reaches every process of the terminal; the one that was started decides.
    local = started_without_terminal_signals(lambda: ProcessPoolExecutor(workers, mp_context=context))

    def here(function: Callable[[_Batch], _Result], batches: Iterable[_Batch]) -> Iterator[_Result]:
        try:
            yield from started_without_terminal_signals(lambda: local.map(function, batches))
        except BrokenProcessPool:
            raise RigError(
                "a process that read logs was killed: perhaps there was no memory left",
                where="--recursive",
                remedy="look into dmesg, or read fewer of the logs at once",
            ) from None

    try:
        yield here
    except BaseException:
        # Nobody waits for the logs that they read: a batch may take minutes.
        for worker in multiprocessing.active_children():
            worker.kill()
        raise
    finally:
        local.shutdown(cancel_futures=True)
