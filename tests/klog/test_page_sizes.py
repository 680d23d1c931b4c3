# SPDX-License-Identifier: MIT
"""Reports of arm64 with pages of 16 and 64 kB: sizes, zones and cause are those of the memory, not of 4 kB pages.

Made from what an arm64 guest printed: counts of pages are divided, and sizes in kB stay, as a kernel with larger pages
would print them.
"""

from __future__ import annotations

import re

import pytest

from rig.klog import OomEvent, read
from rig.klog.explain import explain
from tests.klog.test_guest_logs import DATA

PRINTED = (DATA / "arm64-trixie-oom.log").read_text()
_ROW = re.compile(r"(\[ +\d+\] +\d+ +\d+ +)([\d ]+?)( +-?\d+ \w+)$")


def _larger(line: str, factor: int) -> str:
    """Return a line as a kernel would print it whose pages are `factor` times 4 kB."""

    def divided(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2]) // factor}"

    if row := _ROW.search(line):
        *pages, tables, swap = row[2].split()
        page = 4096 * factor
        cells = [str(int(each) // factor) for each in pages]
        return line[: row.start()] + row[1] + " ".join([*cells, str(-(-int(tables) // page) * page), swap]) + row[3]
    if re.search(r" pages (?:RAM|reserved|cma)| pagecache pages", line):
        return re.sub(r"(\] )(\d+)", divided, line)
    if (
        re.search(r"(?:active|slab|mapped|unevictable|free|sec_\w+|kernel_\w+)[a-z_]*:\d+ ", line)
        and "Node" not in line
    ):
        return re.sub(r"(\w:)(\d+)", divided, line)
    if blocks := re.findall(r"(\d+)\*(\d+)kB", line):
        made = [(int(count) // factor, int(size) * factor) for count, size in blocks]
        words = " ".join(f"{count}*{size}kB" for count, size in made)
        return f"{line[: line.index('DMA:') + 4]} {words} = {sum(count * size for count, size in made)}kB"
    return line


def event_with_pages_of(kb: int) -> OomEvent:
    text = "\n".join(_larger(line, kb // 4) for line in PRINTED.splitlines())
    event = read([text.encode()]).events[0]
    assert isinstance(event, OomEvent)
    return event


@pytest.mark.parametrize("kb", [16, 64])
def test_sizes_are_those_of_the_larger_pages(kb: int) -> None:
    event, plain = event_with_pages_of(kb), event_with_pages_of(4)

    assert (event.page_kb, plain.page_kb) == (kb, 4)
    assert abs(event.tasks[0].rss * kb - plain.tasks[0].rss * 4) <= kb
    assert event.zones[0].name == "DMA"
    assert event.zones[0].free == plain.zones[0].free
    assert event.zones[0].buddy[0].size_kb == kb


@pytest.mark.parametrize("kb", [16, 64])
def test_headline_has_the_figures_of_the_machine(kb: int) -> None:
    explanation = explain(event_with_pages_of(kb))

    assert (explanation.cause, explanation.certainty) == ("processes", "certain")
    assert re.search(r"busybox holds 200\.\d MB of 2(?:20|21)\.\d MB", explanation.summary[0].text)
    assert [check for check in explanation.checks if check.ok is False] == []


@pytest.mark.parametrize("kb", [16, 64])
def test_page_size_is_derived_without_a_list_of_free_blocks(kb: int) -> None:
    lines = [_larger(line, kb // 4) for line in PRINTED.splitlines() if "*4kB" not in line]

    (event, *_) = read(["\n".join(lines).encode()]).events

    assert isinstance(event, OomEvent)
    assert event.page_kb == kb
