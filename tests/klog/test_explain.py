# SPDX-License-Identifier: MIT
"""The explanation: its sentences, and that the lines that a sentence names prove it."""

from __future__ import annotations

import pytest

from rig.klog import OomEvent, read
from rig.klog.explain import Explanation, explain
from rig.klog.explain.usable import held_back, usable_zones
from rig.klog.explain.victim import chosen_otherwise
from rig.klog.oom.gfp import decode
from rig.klog.oom.totalpages import derive, parse_nodes
from tests.klog import made


def oom(lines: list[str]) -> OomEvent:
    event = read([made.serial(lines)]).events[0]
    assert isinstance(event, OomEvent)
    return event


def text_of(explanation: Explanation, title: str) -> str:
    section = next(section for section in explanation.sections if section.title == title)
    return "\n".join(sentence.text for sentence in section.sentences)


def line_with(lines: list[str], words: str) -> int:
    return next(number for number, line in enumerate(lines, 1) if words in line)


def test_every_sentence_names_lines_that_are_there() -> None:
    lines = made.oom_report()

    explanation = explain(oom(lines))

    proofs = [s.lines for section in explanation.sections for s in section.sentences] + [
        s.lines for s in explanation.summary
    ]
    assert all(1 <= line <= len(lines) for proof in proofs for line in proof)
    assert all(proofs)


def test_proof_of_a_watermark_is_the_zones_own_line() -> None:
    lines = made.oom_report()

    explanation = explain(oom(lines))

    why = next(section for section in explanation.sections if section.title == "Why it could not be had")
    (sentence,) = [s for s in why.sentences if s.text.startswith("Zone DMA32")]
    assert "2.2 MB free, at or below its min watermark of 2.6 MB" in sentence.text
    assert sentence.lines == (line_with(lines, "Node 0 DMA32 free:"),)


def test_reserve_for_higher_zones_is_told_apart_from_the_watermark() -> None:
    event = oom(made.oom_report())

    dma = next(zone for zone in usable_zones(event) if zone.name == "DMA")
    assert dma.free > dma.min
    assert held_back(event)(dma) == 446 * 4
    assert "keeps 1.7 MB back" in text_of(explain(event), "Why it could not be had")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("do_anonymous_page", "first touch of anonymous memory"),
        ("wp_page_copy", "copy-on-write"),
        ("do_cow_fault", "has nothing to do with a fork"),
        ("do_swap_page", "back from swap"),
        ("filemap_fault", "reading a file's page"),
        ("copy_process", "a fork"),
        ("shmem_fault", "shared memory or a tmpfs"),
    ],
)
def test_origin_is_read_from_the_trace(frame: str, words: str) -> None:
    lines = [line.replace("do_anonymous_page", frame) for line in made.oom_report()]
    if frame == "wp_page_copy":
        # A cleared page is asked for where the zero page was mapped, and for no other copy.
        lines = [line.replace("|__GFP_ZERO", "") for line in lines]

    assert words in text_of(explain(oom(lines)), "What asked for memory")


def test_fragmentation_names_the_order_and_the_largest_block() -> None:
    lines = [line.replace("order=0", "order=4") for line in made.oom_report()]
    lines = [
        line.replace("free:2292kB", "free:60000kB")
        if line.startswith("Node 0 DMA32 free")
        else "Node 0 DMA32: 14000*4kB (UME) 500*8kB (UME) 0*16kB 0*32kB 0*64kB 0*128kB 0*256kB 0*512kB 0*1024kB "
        "0*2048kB 0*4096kB = 60000kB"
        if line.startswith("Node 0 DMA32:")
        else line
        for line in lines
    ]

    text = text_of(explain(oom(lines)), "Why it could not be had")

    assert (
        "Zone DMA32 of node 0 was fragmented: 58.6 MB free, but no free block of 64 kB; the largest was 8 kB." in text
    )


@pytest.mark.parametrize(
    ("free", "total", "words"),
    [(0, 0, "There is no swap"), (12, 1048572, "Swap was full"), (900000, 1048572, "Swap still had")],
)
def test_swap_is_told_empty_full_or_missing(free: int, total: int, words: str) -> None:
    lines = [
        line.replace("Free swap  = 0kB", f"Free swap  = {free}kB").replace(
            "Total swap = 0kB", f"Total swap = {total}kB"
        )
        for line in made.oom_report()
    ]

    assert words in text_of(explain(oom(lines)), "Why it could not be had")


def test_cgroup_limit_is_named_and_the_machine_is_not_blamed() -> None:
    explanation = explain(oom(made.oom_report(cgroup="/rig/job")))

    text = text_of(explanation, "Why it could not be had")
    assert "The cgroup /rig/job was at its limit: 100.0 MB of 100.0 MB, and had reached it 512 times." in text
    assert "Zone" not in text
    assert any("memory.max" in remedy.what for remedy in explanation.remedies)


def test_pages_that_a_fork_left_shared_are_called_out() -> None:
    tasks = (made.MadeTask(120, "parent", 40000), made.MadeTask(121, "parent", 40000), made.MadeTask(130, "hog", 9000))
    lines = [line.replace("inactive_anon:89000 ", "inactive_anon:49000 ") for line in made.oom_report(tasks)]

    text = text_of(explain(oom(lines)), "Where the memory is")

    assert "at least 156.2 MB is counted more than once" in text
    assert "2 rows named parent have nearly the same address space" in text


def test_memory_that_is_not_shared_is_not_called_shared() -> None:
    text = text_of(explain(oom(made.oom_report())), "Where the memory is")

    assert "counted more than once" not in text
    assert "likely forks" not in text


def test_victim_that_the_table_does_not_explain_is_flagged() -> None:
    lines = [
        line.replace("process 120 (parent)", "process 122 (hog)").replace("task=parent,pid=120", "task=hog,pid=122")
        for line in made.oom_report()
    ]

    event = oom(lines)

    assert chosen_otherwise(event)
    assert "parent (pid 120) was worse" in text_of(explain(event), "Why this victim")


def test_oom_score_adj_that_would_have_spared_the_victim_does_so() -> None:
    event = oom(made.oom_report())
    (remedy,) = [remedy for remedy in explain(event).remedies if remedy.what.startswith("oom_score_adj")]
    assert "hog (pid 122) would have died instead" in remedy.what
    adj = int(remedy.what.split(": at ")[1].split()[0])

    def winner(value: int) -> str:
        tasks = [made.MadeTask(120, "parent", 51200, oom_score_adj=value), *made.TASKS[2:]]
        rows = oom(made.oom_report(tasks))
        return max(rows.tasks, key=lambda row: rows.badness(row) or 0).name

    assert winner(adj) == "hog"
    assert winner(adj + 1) == "parent"


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("3*64kB (U) 0*128kB", "9*64kB (U) 0*128kB", "buddy lists add up"),
        ("task=parent,pid=120", "task=parent,pid=121", "name the same task"),
        ("anon-rss:204800kB", "anon-rss:104800kB", "the victim's row and the kill's line agree"),
        ("free:1041 free_pcp", "free:91041 free_pcp", "the zones' free memory"),
        ("130942 pages RAM", "230942 pages RAM", "the zones make up the machine's memory"),
        ("[    122]  1000   122", "[    121]  1000   122", "no task stands in the table twice"),
        ("   51400    51200      200", "   51400    11200      200", "rss is the sum of its parts"),
    ],
)
def test_each_self_check_fails_on_the_damage_that_it_is_for(old: str, new: str, check: str) -> None:
    whole = made.oom_report()
    assert any(old in line for line in whole)
    assert not [c for c in explain(oom(whole)).checks if c.ok is False]

    failed = [c for c in explain(oom([line.replace(old, new) for line in whole])).checks if c.ok is False]

    assert [c.name for c in failed if check in c.name] != []


def test_null_dereference_is_explained_by_its_address() -> None:
    (event,) = read([made.serial(made.oops())]).events

    explanation = explain(event)

    assert "a pointer was NULL, and the field at 40 bytes" in text_of(explanation, "What it is")
    assert "Before this, a warning was issued before." in text_of(explanation, "Where it was")


def test_poison_tells_use_after_free() -> None:
    lines = [line.replace("0000000000000028", "6b6b6b6b6b6b6b93") for line in made.oops()]
    (event,) = read([made.serial(lines)]).events

    assert "use after free" in text_of(explain(event), "What it is")


def test_refused_commitment_says_that_nothing_was_killed() -> None:
    line = "__vm_enough_memory: pid: 77, comm: made, bytes: 41943040 not enough memory for the allocation"
    (event,) = read([made.serial([line])]).events

    explanation = explain(event)

    assert event.task is not None
    assert (event.kind, event.task.comm) == ("commit-refused", "made")
    assert "the promise of 40.0 MB" in explanation.summary[0].text


def test_segfault_is_a_fault_of_the_program() -> None:
    line = "made[77]: segfault at 10 ip 0000000000401000 sp 00007ffd00000000 error 6 in made[400000+1000]"
    (event,) = read([made.serial([line])]).events

    explanation = explain(event)

    assert event.title == "segfault of made in made"
    assert "It wrote to an address where nothing is mapped: 0x10." in text_of(explanation, "What it is")


@pytest.mark.parametrize(
    ("mask", "kernel", "names"),
    [
        (0x201DA, "3.10.0-514.el7.x86_64", ("GFP_HIGHUSER_MOVABLE", "__GFP_COLD")),
        (0xD0, "2.6.32-754.el6", ("GFP_KERNEL",)),
        (0x140DCA, "6.1.0", None),
        (0x201DA, "4.4.0", None),
        (0x201DA, None, None),
    ],
)
def test_mask_is_decoded_only_where_its_layout_is_known(
    mask: int, kernel: str | None, names: tuple[str, ...] | None
) -> None:
    assert decode(mask, kernel) == names


def test_nodes_of_a_cpuset_are_parsed() -> None:
    assert parse_nodes("0-1,3") == {0, 1, 3}
    assert parse_nodes("(null)") == frozenset()


def test_totalpages_is_unknown_where_the_log_does_not_tell() -> None:
    assert derive("global", {}, (), (), mems_allowed=None, page_kb=4) is None
    assert derive("memcg", {"pages_ram": 1000}, (), (), mems_allowed=None, page_kb=4) is None


def test_memory_in_no_counter_is_called_out() -> None:
    lines = made.oom_report()
    hidden = [line.replace("130942 pages RAM", "180942 pages RAM") for line in lines]

    assert "In no counter" not in text_of(explain(oom(lines)), "Where the memory is")
    assert "In no counter (drivers, per-CPU data, a balloon): " in text_of(explain(oom(hidden)), "Where the memory is")
