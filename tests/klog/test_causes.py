# SPDX-License-Identifier: MIT
"""The headline of an explanation: cause, figures and certainty; and logs in which the cause does not hold."""

from __future__ import annotations

import re

import pytest

from rig.klog import OomEvent, read
from rig.klog.explain import Explanation, causes, explain
from rig.klog.explain.cause import Cause
from rig.klog.explain.causes import cause_of
from rig.klog.explain.measured_remedies import MEASURED, MeasuredRemedy
from rig.klog.explain.remedy_table import TABLE
from tests.klog import made
from tests.klog.test_guest_logs import DATA

SMALL = (
    made.MadeTask(101, "agent", 50, oom_score_adj=-1000),
    made.MadeTask(120, "sshd", 700),
    made.MadeTask(121, "bash", 500),
)


def oom(lines: list[str]) -> OomEvent:
    event = read([made.serial(lines)]).events[0]
    assert isinstance(event, OomEvent)
    return event


def changed(*pairs: tuple[str, str], tasks: tuple[made.MadeTask, ...] = SMALL, kernel: str = "6.12.9") -> list[str]:
    """Return a report with each pattern replaced; every pattern must be found."""
    text = "\n".join(made.oom_report(tasks, kernel=kernel))
    for pattern, replacement in pairs:
        text, times = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert times, pattern
    return text.split("\n")


KERNEL = (r"gfp_mask=\S+ ", "gfp_mask=0xcc0(GFP_KERNEL), ")
NORMAL = r"Node 0 DMA32 free:2292kB boost:0kB min:2708kB"
HIGHATOMIC = (
    (NORMAL, "Node 0 DMA32 free:9000kB boost:0kB min:2708kB"),
    ("high:4060kB reserved_highatomic:0KB", "high:4060kB reserved_highatomic:8192KB"),
)
# Pages of files that cannot be reclaimed: no rule takes them for the cause.
FILE_CACHE = (r"^ active_file:\d+ ", " active_file:110000 ")
V1 = ["hog invoked oom-killer: gfp_mask=0x50, order=0, oom_score_adj=0", "hog cpuset=/ mems_allowed=0",
      "CPU: 0 PID: 77 Comm: hog Not tainted 3.10.0-1160.el7.x86_64 #1",
      "Task in /lxc/c killed as a result of limit of /lxc/c"]  # fmt: skip


def cgroup_v1(memory: str, both: str, kmem: str) -> list[str]:
    return [*V1, f"memory: usage {memory}", f"memory+swap: usage {both}", f"kmem: usage {kmem}",
            "Memory cgroup stats for /lxc/c: cache:32KB rss:90000KB",
            "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name",
            "[   77]     0    77   506390    23456     100        0             0 hog",
            "Memory cgroup out of memory: Kill process 77 (hog) score 22 or sacrifice child",
            "Killed process 77 (hog) total-vm:2025560kB, anon-rss:93824kB, file-rss:0kB"]  # fmt: skip


NO_LIMIT = "90000kB, limit 9007199254740988kB, failcnt 0"
CASES: dict[str, tuple[list[str], str, str]] = {
    "processes": (made.oom_report(), "certain", "parent holds 200.8 MB of 461.6 MB, and there is no swap"),
    "many of one name": (
        made.oom_report([made.MadeTask(100 + at, "php-fpm", 9000) for at in range(10)]),
        "certain",
        "10 processes named php-fpm hold 359.4 MB together",
    ),
    "slab": (
        changed(("slab_unreclaimable:2900", "slab_unreclaimable:100000")),
        "certain",
        "unreclaimable slabs filled memory: 390.6 MB of 461.6 MB",
    ),
    "huge-pages": (
        changed(("hugepages_total=0 hugepages_free=0", "hugepages_total=150 hugepages_free=150")),
        "certain",
        "300.0 MB of 461.6 MB; none of it is in use",
    ),
    "shmem": (changed((" shmem:4 ", " shmem:70000 "), (r" inactive_anon:\d+ isolated", " inactive_anon:70000 isolated")), "certain", "tmpfs and shared memory filled memory: 273.4 MB"),
    "page-tables": (changed(("pagetables:310", "pagetables:80000")), "certain", "Page tables filled memory: 312.5 MB"),
    "uncounted": (changed(tasks=SMALL), "certain", "in no counter of the report (drivers, a leak, a balloon): 43"),
    "cma": (
        changed(KERNEL, (NORMAL, "Node 0 DMA32 free:90000kB boost:0kB min:2708kB"), (r"(high:4060kB.*)", r"\1 free_cma:88000kB")),
        "certain",
        "85.9 MB lie in CMA areas, which only movable pages may use: 2.0 MB are left",
    ),
    "highatomic": (
        changed(KERNEL, *HIGHATOMIC, FILE_CACHE),
        "certain",
        "8.0 MB are reserved for requests that cannot wait (highatomic)",
    ),
    "low-zone": (
        changed((r"gfp_mask=\S+ ", "gfp_mask=0xcc1(GFP_KERNEL|GFP_DMA), "), ("DMA free:1872kB", "DMA free:72kB")),
        "certain",
        "bound to zone DMA or a lower one (GFP_DMA), and there memory had run out: DMA (72 kB free, min 92 kB)",
    ),
    "movable-zone": (
        changed(KERNEL, ("DMA free:1872kB", "DMA free:72kB"),
                (r"(Node 0 DMA32 free:.*)", r"\1\nNode 0 Movable free:90000kB boost:0kB min:2708kB low:3384kB high:4060kB "
                 "active_anon:0kB present:200000kB managed:200000kB\\nlowmem_reserve[]: 0 0 0 0")),
        "certain",
        "87.9 MB were free in zone Movable",
    ),
    "unevictable": (
        changed(("unevictable:0 dirty", "unevictable:100000 dirty"), tasks=SMALL),
        "certain",
        "no process maps (files in ramfs, locked shared memory) filled the machine: 383.4 MB of 461.6 MB",
    ),
    "kernel-stacks": (
        changed(
            ("kernel_stack:1056kB", "kernel_stack:200000kB"),
            (r" inactive_anon:\d+ isolated", " inactive_anon:40000 isolated"),
        ),
        "likely",
        "stacks of threads and processes filled memory: 195.3 MB of 461.6 MB. The task table has 3 processes.",
    ),
    "mempolicy": (
        changed(
            (r"CONSTRAINT_NONE,nodemask=\(null\)", "CONSTRAINT_MEMORY_POLICY,nodemask=1"),
            ("mems_allowed=0", "mems_allowed=0-3"),
            (r"Node 0 DMA32 free", "Node 1 DMA32 free"),
            ("free:1041 ", "free:901041 "),
        ),
        "certain",
        "A memory policy bound the request to node 1",
    ),
    "cpuset": (
        changed(("CONSTRAINT_NONE", "CONSTRAINT_CPUSET"), ("mems_allowed=0", "mems_allowed=0"), ("free:1041 ", "free:901041 ")),
        "certain",
        "A cpuset confined the request to node 0",
    ),
    "fragmentation": (
        changed(KERNEL, ("order=0", "order=4"), (NORMAL, "Node 0 DMA32 free:60000kB boost:0kB min:2708kB"),
                (r"Node 0 DMA32: .*", "Node 0 DMA32: 14000*4kB (UME) 500*8kB (UME) 0*16kB = 60000kB"),
                (r"Node 0 DMA: .*", "Node 0 DMA: 400*4kB (U) 34*8kB (U) = 1872kB")),
        "certain",
        "no block of 64 kB in one piece (order 4)",
    ),
    "page-fault-path": (
        changed((r"gfp_mask=\S+ ", "gfp_mask=0x0(), "), (NORMAL, "Node 0 DMA32 free:200000kB boost:0kB min:2708kB")),
        "likely",
        "No request for memory failed here",
    ),
    "cgroup-memory": (made.oom_report(cgroup="/rig/job"), "certain", "reached its limit for memory: 100.0 MB of 100.0 MB"),
    "cgroup-kmem": (
        cgroup_v1("90000kB, limit 8388608kB, failcnt 0", NO_LIMIT, "65536kB, limit 65536kB, failcnt 70"),
        "certain",
        "limit for kernel memory (kmem): 64.0 MB of 64.0 MB, which it had reached 70 times",
    ),
    "cgroup-memsw": (
        cgroup_v1("90000kB, limit 8388608kB, failcnt 0", "102400kB, limit 102400kB, failcnt 9", "10kB, limit 9007199254740988kB, failcnt 0"),
        "certain",
        "limit for memory and swap (memsw): 100.0 MB of 100.0 MB",
    ),
    "sysrq": (changed(("order=0", "order=-1")), "certain", "somebody invoked the OOM killer by hand"),
    "small-machine": (
        changed(("130942 pages RAM", "6000 pages RAM"), ("12785 pages reserved", "3900 pages reserved")),
        "likely",
        "only 8.2 MB of memory",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_headline_says_the_cause_with_its_figures(name: str) -> None:
    lines, certainty, words = CASES[name]

    explanation = explain(oom(lines))

    assert explanation.cause == ("processes" if name == "many of one name" else name)
    assert explanation.certainty == certainty
    assert words in explanation.summary[0].text
    assert explanation.summary[0].lines


@pytest.mark.parametrize("name", sorted(set(CASES) - {"processes", "many of one name"}))
def test_report_of_processes_alone_has_none_of_the_other_causes(name: str) -> None:
    assert cause_of(oom(made.oom_report())).name != name


@pytest.mark.parametrize(
    ("change", "not_the_cause"),
    [
        (("slab_unreclaimable:2900", "slab_unreclaimable:20000"), "slab"),
        (("hugepages_total=0", "hugepages_total=20"), "huge-pages"),
        ((" shmem:4 ", " shmem:9000 "), "shmem"),
        (("pagetables:310", "pagetables:4000"), "page-tables"),
        (("DMA free:1872kB", "DMA free:72kB"), "low-zone"),
        ((r"(high:4060kB.*)", r"\1 free_cma:1000kB"), "cma"),
    ],
)
def test_figure_that_is_too_small_is_no_cause(change: tuple[str, str], not_the_cause: str) -> None:
    assert cause_of(oom(changed(change))).name != not_the_cause


@pytest.mark.parametrize(
    ("changes", "tasks", "cause"),
    [
        ((), made.TASKS, "processes"),
        ((("inactive_anon:1250 ", "inactive_anon:110000 "),), SMALL, "processes"),
        ((("slab_unreclaimable:2900", "slab_unreclaimable:100000"),), SMALL, "slab"),
        (
            (("slab_unreclaimable:2900", "slab_unreclaimable:40000"), (FILE_CACHE[0], " active_file:70000 ")),
            SMALL,
            "slab",
        ),
    ],
    ids=["processes", "processes-not-listed", "most", "a-third"],
)
def test_what_filled_memory_comes_before_the_small_highatomic_reserve(
    changes: tuple[tuple[str, str], ...], tasks: tuple[made.MadeTask, ...], cause: str
) -> None:
    assert cause_of(oom(changed(KERNEL, *HIGHATOMIC, *changes, tasks=tasks))).name == cause


def test_cma_of_a_later_zone_is_found_where_an_earlier_one_has_a_highatomic_reserve() -> None:
    lines = changed(
        KERNEL,
        ("DMA free:1872kB", "DMA free:3000kB"),
        ("high:132kB reserved_highatomic:0KB", "high:132kB reserved_highatomic:2048KB"),
        (NORMAL, "Node 0 DMA32 free:90000kB boost:0kB min:2708kB"),
        (r"(high:4060kB.*)", r"\1 free_cma:88000kB"),
    )

    assert cause_of(oom(lines)).name == "cma"


# From 6.1 on the zones that the request may not use are not in the report: only the number of all free pages has them.
LEFT_OUT = ("free:1041 ", "free:91041 ")


def test_zones_that_the_report_leaves_out_count_as_well() -> None:
    movable = changed(
        KERNEL, ("DMA free:1872kB", "DMA free:72kB"), LEFT_OUT,
        (r"reserve\[\]: 0 446 446 446 446", "reserve[]: 0 446 446 9446 9446"),
        (r"reserve\[\]: 0 0 0 0 0", "reserve[]: 0 0 0 9000 9000"),
    )  # fmt: skip
    low = changed(
        (r"gfp_mask=\S+ ", "gfp_mask=0xcc4(GFP_KERNEL|GFP_DMA32), "), ("DMA free:1872kB", "DMA free:72kB"), LEFT_OUT
    )

    assert explain(oom(movable)).cause == "movable-zone"
    assert "353.3 MB were free in zone Movable" in explain(oom(movable)).summary[0].text
    assert explain(oom(low)).cause == "low-zone"
    assert "353.3 MB were free in the other zones, which it may not use" in explain(oom(low)).summary[0].text


def test_low_memory_runs_out_while_high_memory_is_free() -> None:
    lines = changed(
        KERNEL, ("DMA free:1872kB", "DMA free:72kB"), LEFT_OUT, ("0 pages HighMem", "90000 pages HighMem")
    )  # fmt: skip

    assert explain(oom(lines)).cause == "low-zone"
    assert "353.3 MB were free in zone HighMem" in explain(oom(lines)).summary[0].text


def test_free_memory_elsewhere_needs_a_zone_that_could_hold_it() -> None:
    assert explain(oom(changed(KERNEL, ("DMA free:1872kB", "DMA free:72kB"), LEFT_OUT))).cause == "processes"


def test_locked_memory_of_a_process_is_the_process() -> None:
    lines = changed(("unevictable:0 dirty", "unevictable:100000 dirty"), tasks=made.TASKS)

    assert explain(oom(lines)).cause == "processes"


def test_movable_page_may_use_cma() -> None:
    lines = changed(
        (NORMAL, "Node 0 DMA32 free:90000kB boost:0kB min:2708kB"), (r"(high:4060kB.*)", r"\1 free_cma:88000kB")
    )

    assert cause_of(oom(lines)).name != "cma"


def test_blocks_of_a_reserve_do_not_serve_a_large_request() -> None:
    lines = changed(
        KERNEL, ("order=0", "order=4"), (NORMAL, "Node 0 DMA32 free:60000kB boost:0kB min:2708kB"),
        (r"Node 0 DMA32: .*", "Node 0 DMA32: 14000*4kB (UME) 5*64kB (H) 19*4096kB (C) = 134144kB"),
        (r"Node 0 DMA: .*", "Node 0 DMA: 400*4kB (U) 34*8kB (U) = 1872kB"),
    )  # fmt: skip

    assert "the 24 blocks of that size lie in CMA areas or reserves" in explain(oom(lines)).summary[0].text


def test_kernel_memory_beyond_the_caches_names_no_cache() -> None:
    lines = changed(("slab_unreclaimable:2900", "slab_unreclaimable:100000"))
    at = lines.index("Tasks state (memory values in pages):")
    lines[at:at] = ["Unreclaimable slab info:", "Name                      Used          Total",
                    "made_cache              1290KB       1304KB"]  # fmt: skip

    text = explain(oom(lines)).summary[0].text

    assert "None of the caches in the list is large (the largest is made_cache with 1.3 MB)" in text


def test_largest_of_what_no_process_holds_is_the_cause() -> None:
    lines = changed(("slab_unreclaimable:2900", "slab_unreclaimable:32000"), tasks=SMALL)

    assert explain(oom(lines)).cause == "uncounted"


def cgroup_holding(**held: int) -> list[str]:
    """Return the report of a cgroup at its limit of 100 MB that holds so many MB of each kind."""
    lines = [line for line in made.oom_report(cgroup="/rig/job") if not re.match(r"file \d", line)]
    at = next(at for at, line in enumerate(lines) if line.startswith("anon "))
    lines[at : at + 1] = [f"{name} {megabytes << 20}" for name, megabytes in held.items()]
    return lines


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"anon": 90, "file": 1}, "90.0 MB of it are its processes' own memory."),
        (
            {"anon": 5, "file": 90, "shmem": 88},
            "88.0 MB of it are files in tmpfs and shared memory, which no kill gives",
        ),
        ({"anon": 5, "file": 90, "shmem": 1}, "89.0 MB of it are page cache."),
        ({"anon": 5, "file": 1, "slab": 80}, "80.0 MB of it are the kernel's slabs."),
    ],
)
def test_headline_of_a_cgroup_says_what_filled_it(held: dict[str, int], words: str) -> None:
    assert words in explain(oom(cgroup_holding(**held))).summary[0].text


def test_cgroup_that_nothing_fills_alone_is_said_to_be_full_and_no_more() -> None:
    text = explain(oom(cgroup_holding(anon=30, file=30, shmem=1, slab=30))).summary[0].text

    assert "of it are" not in text


def test_limit_that_was_lowered_is_said_to_be() -> None:
    lines = [line.replace("usage 102400kB", "usage 202400kB") for line in made.oom_report(cgroup="/rig/job")]

    assert "197.7 MB of 100.0 MB" in explain(oom(lines)).summary[0].text
    assert "The limit was set to less than that." in explain(oom(lines)).summary[0].text


def test_limit_of_an_ancestor_is_said_to_be_one() -> None:
    lines = [
        line.replace("task_memcg=/rig/job", "task_memcg=/rig/job/worker") for line in made.oom_report(cgroup="/rig/job")
    ]

    assert "that of an ancestor: the victim was in /rig/job/worker" in explain(oom(lines)).summary[0].text


def test_memory_of_a_cgroup_that_is_not_at_its_limit_is_not_called_so() -> None:
    lines = cgroup_v1("90000kB, limit 8388608kB, failcnt 0", NO_LIMIT, "65536kB, limit 65536kB, failcnt 70")

    text = "\n".join(sentence.text for section in explain(oom(lines)).sections for sentence in section.sentences)

    assert "memory was not at the limit: 87.9 MB of 8.0 GB" in text
    assert "ran into it 0 times" not in text


@pytest.mark.parametrize(
    ("line", "cause", "words"),
    [
        ("vmalloc error: size 0, exceeds total pages", "vmalloc-size", "asked for 0 bytes"),
        ("vmalloc error: size 1099511627776, exceeds total pages", "vmalloc-size", "1.0 TB, more than the machine has"),
        ("vmalloc: allocation failure: 0 bytes", "vmalloc-size", "asked for 0 bytes"),
        ("vmalloc error: size 16384, vm_struct allocation failed", "vmalloc-space", "no room for 16 kB"),
        ("vmalloc: allocation failure, allocated 45056 of 1048576 bytes", "vmalloc-partly", "44 kB of 1.0 MB"),
        ("vmalloc error: size 65536, page order 0, failed to allocate pages", "vmalloc-memory", "a vmalloc of 64 kB"),
    ],
)
def test_vmalloc_says_what_failed(line: str, cause: str, words: str) -> None:
    event = oom(
        [f"insmod: {line}, mode:0xdc2(GFP_KERNEL|__GFP_HIGHMEM|__GFP_ZERO), nodemask=(null),cpuset=/,mems_allowed=0"]
    )

    explanation = explain(event)

    assert explanation.cause == cause
    assert words in explanation.summary[1].text


def test_kernel_that_scored_by_another_formula_says_so_and_computes_nothing() -> None:
    tasks = [made.MadeTask(77, "daemon", 60000, uid=0), made.MadeTask(88, "app", 58000, uid=1000)]
    event = oom([line.replace("6.12.9-cloud-amd64", "2.6.32.61") for line in made.oom_report(tasks)])

    text = " ".join(
        sentence.text
        for section in explain(event).sections
        for sentence in section.sentences
        if "Why this" in section.title
    )

    assert "before 2.6.36 points were the task's total_vm" in text
    assert " = " not in text
    assert "next came" not in text


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (59_990, "next came app (pid 88) with 60317, which is a tie."),
        (40_000, "next came app (pid 88) with 40288."),
    ],
)
def test_tie_for_the_highest_badness_is_said(other: int, words: str) -> None:
    tasks = [made.MadeTask(77, "daemon", 60_000), made.MadeTask(88, "app", other)]

    text = " ".join(
        sentence.text for section in explain(oom(made.oom_report(tasks))).sections for sentence in section.sentences
    )

    assert words in text


def test_victim_that_the_table_has_second_in_a_tie_is_said_so() -> None:
    tasks = [made.MadeTask(77, "daemon", 60_000), made.MadeTask(88, "app", 59_990)]
    lines = [line.replace("Killed process 77 (daemon)", "Killed process 88 (app)") for line in made.oom_report(tasks)]

    text = " ".join(sentence.text for section in explain(oom(lines)).sections for sentence in section.sentences)

    assert "By the table daemon (pid 77) has 60327, which is a tie" in text


@pytest.mark.parametrize("size", [8, 16, 64])
def test_page_size_is_derived_from_figures_that_are_printed_twice(size: int) -> None:
    lines = [
        re.sub(r"(\d+)kB", lambda match: f"{int(match[1]) * size // 4}kB", line)
        if line.startswith(("Node 0 active_anon", "Node 0 DMA free", "Node 0 DMA32 free"))
        else line
        for line in made.oom_report()
        if not re.match(r"Node 0 DMA(32)?: ", line)
    ]

    assert oom(lines).page_kb == size


ROOT = [made.MadeTask(77, "daemon", 60000, uid=0), made.MadeTask(88, "app", 58000, uid=1000)]


@pytest.mark.parametrize(
    ("kernel", "worst"),
    [
        ("3.10.0-957.el7.x86_64", "app"),
        ("2.6.32-754.el6", "app"),
        ("4.4.0-21-generic", "daemon"),
        ("4.19.0", "daemon"),
        ("6.1.0", "daemon"),
    ],
)
def test_root_was_spared_by_kernels_that_did_so(kernel: str, worst: str) -> None:
    event = oom([line.replace("6.12.9-cloud-amd64", kernel) for line in made.oom_report(ROOT)])

    assert max(event.tasks, key=lambda row: event.badness(row) or 0).name == worst


def test_three_percent_of_ones_own_can_decide_as_well() -> None:
    tasks = [made.MadeTask(77, "daemon", 59000, uid=0), made.MadeTask(88, "app", 58000, uid=1000)]
    event = oom([line.replace("6.12.9-cloud-amd64", "4.4.0-21-generic") for line in made.oom_report(tasks)])

    assert max(event.tasks, key=lambda row: event.badness(row) or 0).name == "app"


def test_nothing_is_invented_of_a_zone_that_is_known_by_its_free_blocks() -> None:
    lines = ["hog: page allocation failure: order:0, mode:0x820(GFP_ATOMIC), nodemask=(null)",
             "Node 0 DMA32: 4492*4kB 1997*8kB 62*16kB 13*32kB 1*64kB 0*128kB 1*256kB = 35672kB"]  # fmt: skip

    explanation = explain(oom(lines))

    assert not [picture for picture in explanation.pictures if "Free by zone" in picture.title]
    assert "min" not in " ".join(sentence.text for section in explanation.sections for sentence in section.sentences)


def test_page_cache_that_is_large_is_not_called_used_up() -> None:
    lines = ["hog: page allocation failure: order:0, mode:0x820(GFP_ATOMIC), nodemask=(null)", "Mem-Info:",
             "active_anon:1000 inactive_anon:1000 isolated_anon:0", " active_file:13000000 inactive_file:500000"]  # fmt: skip

    text = " ".join(sentence.text for section in explain(oom(lines)).sections for sentence in section.sentences)

    assert "nothing left" not in text
    assert "could not wait for reclaim" in text


def test_missing_head_is_not_a_kill_that_did_not_happen() -> None:
    explanation = explain(oom(made.oom_report()[1:20]))

    words = " ".join(sentence.text for sentence in explanation.summary)
    assert "Who was killed is not in this log" in words
    assert "Nobody" not in words


def test_constraint_of_another_policy_is_named_as_printed() -> None:
    lines = [line.replace("CONSTRAINT_NONE", "CONSTRAINT_BPF_MADE") for line in made.oom_report()]

    assert "CONSTRAINT_BPF_MADE" in " ".join(sentence.text for sentence in explain(oom(lines)).summary)


GUESTS = {"oom": "processes", "alloctask": "processes", "panicoom": "processes", "deadlock": "processes", "tmpfs": "processes",
          "memcg": "cgroup-memory", "group": "cgroup-memory", "sysrqf": "sysrq"}  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(DATA.glob("*.log")) if path.stem.split("-")[2] in GUESTS],
    ids=lambda path: path.stem,
)
def test_cause_of_what_a_guest_printed_is_the_one_that_made_it(path: object) -> None:
    event = next(event for event in read([path.read_bytes()]).events if event.kind == "oom")  # type: ignore[attr-defined] # a Path

    explanation = explain(event)

    assert explanation.cause == GUESTS[path.stem.split("-")[2]]  # type: ignore[attr-defined] # a Path
    assert explanation.certainty == "certain"


def names(explanation: Explanation) -> set[str]:
    return {remedy.name for remedy in explanation.remedies}


def test_every_remedy_has_a_row_with_a_cost_and_a_setting() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)
    assert all(row.settings and row.cost and row.when for row in TABLE)


def test_remedy_that_was_not_measured_is_not_printed() -> None:
    in_replicas = {name for measured in MEASURED.values() for name in measured}
    unmeasured = {row.name for row in TABLE if not row.measured} - in_replicas
    printed = {name for lines, _certainty, _words in CASES.values() for name in names(explain(oom(lines)))}

    assert "swappiness" in unmeasured
    assert printed
    assert not printed & unmeasured


@pytest.mark.parametrize(
    "name", ["slab", "huge-pages", "uncounted", "cma", "fragmentation", "cgroup-kmem", "sysrq", "low-zone"]
)
def test_remedy_against_processes_is_not_offered_where_no_process_holds_the_memory(name: str) -> None:
    assert not names(explain(oom(CASES[name][0]))) & {"swap", "overcommit-2", "more-memory", "oom-score", "memory.max"}


def test_remedies_fit_a_machine_that_processes_filled() -> None:
    assert {"swap", "overcommit-2", "more-memory", "oom-score"} <= names(explain(oom(made.oom_report())))


def test_what_a_remedy_did_in_a_replica_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    swap = MeasuredRemedy("later", "12 % swap (64M) delayed it by 90 s", 3, 3)
    monkeypatch.setitem(MEASURED, "processes", {"swap": swap})

    [found] = [each for each in explain(oom(made.oom_report())).remedies if each.name == "swap"]

    assert found.measured == "12 % swap (64M) delayed it by 90 s (3 of 3 timings)"


@pytest.mark.parametrize("outcome", ["no difference", "stalled", "worse"])
def test_remedy_that_a_replica_refutes_is_not_printed(outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURED, "processes", {"swap": MeasuredRemedy(outcome, "swap did it", 3, 3)})

    assert "swap" not in names(explain(oom(made.oom_report())))


def test_remedy_that_is_to_kill_sooner_is_printed_and_what_a_run_calls_worse_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worse = MeasuredRemedy("worse", "earlyoom -m 10 made it worse: -1 s", 3, 3)
    monkeypatch.setitem(MEASURED, "processes", {"user-space-killer": worse})

    [found] = [each for each in explain(oom(made.oom_report())).remedies if each.name == "user-space-killer"]

    assert found.measured == ""


@pytest.mark.parametrize(("agree", "printed"), [(3, True), (2, False)])
def test_remedy_without_a_test_is_printed_when_a_replica_proves_it(
    agree: int, printed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MEASURED, "processes", {"zram": MeasuredRemedy("prevented", "it helped", agree, 3)})

    assert ("zram" in names(explain(oom(made.oom_report())))) == printed


def test_machine_with_swap_is_not_told_to_add_some() -> None:
    lines = changed(("Total swap = 0kB", "Total swap = 100000kB"), tasks=made.TASKS)

    assert "swap" not in names(explain(oom(lines)))


def test_old_cgroup_is_not_offered_what_it_does_not_have() -> None:
    lines = cgroup_v1("102400kB, limit 102400kB, failcnt 90", NO_LIMIT, "10kB, limit 9007199254740988kB, failcnt 0")

    found = names(explain(oom(lines)))

    assert "memory.max" in found
    assert not found & {"memory.oom.group", "memory.swap.max", "memory.high"}


def test_cgroup_whose_memory_no_kill_gives_back_is_not_offered_another_kill() -> None:
    found = names(explain(oom(cgroup_holding(anon=5, file=90, shmem=88))))

    assert "memory.max" in found
    assert not found & {"oom-score", "memory.oom.group"}


def test_new_cgroup_without_swap_is_offered_both() -> None:
    assert {"memory.max", "memory.swap.max", "memory.oom.group"} <= names(
        explain(oom(made.oom_report(cgroup="/rig/job")))
    )


@pytest.mark.parametrize("lines", [made.oom_report(), made.oom_report(cgroup="/rig/job")], ids=["machine", "cgroup"])
def test_cause_is_looked_for_once_in_an_explanation(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    event, first = oom(lines), causes._RULES[0]
    looked: list[OomEvent] = []

    def counted(event: OomEvent) -> Cause | None:
        looked.append(event)
        return first(event)

    monkeypatch.setattr(causes, "_RULES", (counted, *causes._RULES[1:]))

    explain(event)

    assert looked == [event]


def test_page_tables_are_the_cause_where_many_map_the_same_pages() -> None:
    """Resident sets of 700 MB in a machine of 512 MB, of which 30 MB are mapped; page tables take 150 MB."""
    servers = tuple(made.MadeTask(200 + at, "postgres", 9000) for at in range(20))
    lines = changed(
        (r"pagetables:\d+", "pagetables:38000"), (r"mapped:\d+", "mapped:7600"), (r"active_anon:\d+", "active_anon:400"),
        (r"inactive_anon:\d+", "inactive_anon:400"), tasks=servers,
    )  # fmt: skip

    explanation = explain(oom(lines))

    assert explanation.cause == "page-tables"
    assert "huge-pages-for-shared" in names(explanation)


def test_huge_pages_are_no_remedy_for_page_tables_of_pages_that_nobody_shares() -> None:
    assert "huge-pages-for-shared" not in names(explain(oom(CASES["page-tables"][0])))
