# SPDX-License-Identifier: MIT
"""Reports that guests printed, each made by one known cause on each kernel: the headline names that cause."""

from __future__ import annotations

import pytest

from rig.klog import Event, read
from rig.klog.explain import explain
from tests.klog.causes import KERNELS, TABLE, logs
from tests.klog.causes.write import DOCUMENT, document

REPORTS = [(suite, name) for suite in KERNELS for name in logs(suite)]


def event_of(suite: str, name: str) -> Event:
    return next(event for event in read([logs(suite)[name]]).events if event.kind == TABLE[name].kind)


@pytest.mark.parametrize(("suite", "name"), REPORTS)
def test_headline_names_the_cause_that_made_the_report(suite: str, name: str) -> None:
    explanation = explain(event_of(suite, name))

    assert explanation.cause == TABLE[name].cause
    assert explanation.summary[0].lines


@pytest.mark.parametrize("suite", KERNELS)
def test_no_line_within_a_report_is_left_over(suite: str) -> None:
    left = {name: event.unknown for name, log in logs(suite).items() for event in read([log]).events if event.unknown}

    assert left == {}


@pytest.mark.parametrize("suite", KERNELS)
def test_every_self_check_of_a_whole_report_holds(suite: str) -> None:
    failed = {
        name: check for name in logs(suite) for check in explain(event_of(suite, name)).checks if check.ok is False
    }

    assert failed == {}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("messages", "The largest cache is "),
        ("huge-pages", "none of it is in use"),
        ("many-of-one-name", "10 processes named worker hold"),
        ("movable-zone", "free in zone Movable"),
        ("cgroup-ancestor", "that of an ancestor: the victim was in /exec/below"),
        ("memory-policy", "A memory policy bound the request to node 1"),
        ("swap-full", "and 64.0 MB of swap"),
        ("semaphores", "None of the caches in the list is large"),
        ("cgroup", "of it are its processes' own memory"),
        ("cgroup-slab", "of it are the kernel's slabs"),
        ("cgroup-tmpfs", "of it are files in tmpfs and shared memory, which no kill gives back"),
        ("cgroup-lowered", "The limit was set to less than that."),
        ("cgroup-v1", "reached its limit for memory: 64.0 MB of 64.0 MB"),
        ("cgroup-v1-memsw", "reached its limit for memory and swap (memsw): 64.0 MB of 64.0 MB"),
        ("threads", "The kernel's stacks of threads and processes filled memory: "),
    ],
)
@pytest.mark.parametrize("suite", KERNELS)
def test_headline_has_the_figures_of_the_cause(suite: str, name: str, words: str) -> None:
    if name not in logs(suite):
        return
    assert words in explain(event_of(suite, name)).summary[0].text


def test_document_is_current_or_make_docs_writes_it() -> None:
    assert DOCUMENT.read_text() == document()
