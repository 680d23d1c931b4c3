# SPDX-License-Identifier: MIT
"""Import dask.distributed, and find out what is wrong with its scheduler and workers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

from rig.errors import RigError
from rig.extras import lacking
from rig.finishing import within
from rig.sweep.dask_worker import worker_version
from rig.sweep.task import rig_version

__all__ = [
    "FIND_SCHEDULER",
    "ask",
    "check_workers",
    "import_distributed",
    "lost",
    "no_scheduler",
    "trouble",
]

Answer = TypeVar("Answer")

FIND_SCHEDULER = 10.0
ANSWER = 60.0
"""Host seconds within which a scheduler or a worker must answer what takes no time."""
NO_WORKER = 30.0
"""Host seconds for which a scheduler may have no worker left: one that died may be started again."""
COUNT_WORKERS = 5.0
"""Host seconds between two counts of the workers."""


def import_distributed() -> Any:
    """Import dask.distributed, and return it. Raises RigError where it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise lacking("distributed", str(error)) from None
    # It wants to tell of each connection, with tracebacks. What goes wrong with a task is told as the task's own, and
    # what goes wrong with the scheduler as an error of the sweep.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_no_cancelled_task)
    return distributed  # only some of its functions have types


def _is_no_cancelled_task(record: logging.LogRecord) -> bool:
    # Dask logs the end of its own tasks, by the module of the innermost await (_LogErrors in distributed/utils.py).
    return not record.exc_info or not isinstance(record.exc_info[1], asyncio.CancelledError)


def no_scheduler(scheduler: str | None, error: Exception) -> RigError:
    """Return the error of a scheduler that cannot be reached."""
    return RigError(
        f"no scheduler answers: {error}",
        where=_where(scheduler),
        remedy="start one: dask scheduler --host 127.0.0.1 --dashboard-address 127.0.0.1:8787;"
        " then: dask worker ADDRESS --nthreads 1",
    )


def lost(scheduler: str | None) -> RigError:
    """Return the error of a scheduler that answered once and does not any more."""
    return RigError(
        "the connection to the scheduler is lost",
        where=_where(scheduler),
        remedy="see to it that the scheduler runs, and start the command again",
    )


def _where(scheduler: str | None) -> str:
    return f"--scheduler {scheduler}" if scheduler else "dask"


async def ask(scheduler: str | None, question: Awaitable[Answer]) -> Answer:
    """Return what a scheduler answers. Raises RigError where it is lost, or does not answer within ANSWER."""
    try:
        return await within(ANSWER, question)
    except TimeoutError:
        raise RigError(
            f"the scheduler does not answer within {ANSWER:.0f} s",
            where=_where(scheduler),
            remedy="it was stopped or hangs: start it and its workers anew, and the command again",
        ) from None
    except OSError:
        raise lost(scheduler) from None


async def check_workers(client: Any, scheduler: str | None) -> None:
    """Raise RigError where the scheduler has no worker, or one of them another version of rig."""
    try:
        await client.wait_for_workers(1, timeout=FIND_SCHEDULER)
    except TimeoutError:
        raise RigError(
            "the scheduler has no worker",
            where=_where(scheduler),
            remedy=f"start one: dask worker {scheduler} --nthreads 1",
        ) from None
    except OSError:
        raise lost(scheduler) from None
    try:
        versions = await within(ANSWER, client.run(worker_version))
    except TimeoutError:
        raise RigError(
            f"not all workers tell within {ANSWER:.0f} s which rig they have",
            where=_where(scheduler),
            remedy="the scheduler or a worker was stopped or hangs: start it anew, and the command again",
        ) from None
    except OSError as error:
        raise RigError(
            f"a worker ended as it was asked for its version: {' '.join(str(error).split())}",
            where=_where(scheduler),
            remedy="start the command again",
        ) from None
    except (ImportError, AttributeError) as error:
        raise RigError(
            f"a worker has no rig, or a rig that is too old: {error}",
            where=_where(scheduler),
            remedy=f"install rig {rig_version()} there",
        ) from None
    for address, version in sorted(versions.items()):
        if version != rig_version():
            raise RigError(
                f"a worker has rig {version}, but this is rig {rig_version()}",
                where=address,
                remedy="install the same rig on both, and start the worker again",
            )


async def trouble(client: Any, scheduler: str | None) -> RigError:
    """Wait until the scheduler is lost or hangs, or has had no worker for NO_WORKER, and return that as an error."""
    since = time.monotonic()
    while time.monotonic() - since < NO_WORKER:
        await asyncio.sleep(COUNT_WORKERS)
        try:
            workers = await ask(scheduler, client.nthreads())
        except RigError as error:
            return error
        if workers:
            since = time.monotonic()
    return RigError(
        f"the scheduler has had no worker for {NO_WORKER:.0f} s",
        where=_where(scheduler),
        remedy=f"start one, and the command again: dask worker {scheduler or 'ADDRESS'} --nthreads 1",
    )
