# SPDX-License-Identifier: MIT
"""A scenario from an OOM report: who holds what, who asks for the last page how, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.klog import OomEvent, read
from rig.reproduce.fingerprint import fingerprint_of
from rig.reproduce.replica import KERNEL, OTHERS, Actor, Replica
from rig.reproduce.reproduce import choose_report
from rig.reproduce.scaling import replica_of
from rig.reproduce.scenario_text import probe_files, scenario_files
from rig.scenario.load import Scenario, load_scenario
from rig.scenario.new import write_directory
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings
from tests.klog import made

MIB = 1 << 20


def event_of(lines: list[str]) -> OomEvent:
    return choose_report(read(BytesIO(made.serial(lines))).events, None, "dmesg.txt")[0]


def replica(*tasks: made.MadeTask, cgroup: str | None = None, swap: str = "", **changes: str) -> Replica:
    lines = made.oom_report(tasks or made.TASKS, cgroup=cgroup)
    for old, new in changes.items():
        lines = [line.replace(CHANGES[old][0], new) for line in lines]
    return replica_of(fingerprint_of(event_of(lines)))


CHANGES = {
    "ram": ("130942 pages RAM",),
    "path": (" do_anonymous_page+0x13a/0x640 [made]",),
    "order": ("order=0",),
    "total_swap": ("Total swap = 0kB",),
    "free_swap": ("Free swap  = 0kB",),
    "slab": ("slab_unreclaimable:2900",),
    "shmem": ("shmem:4",),
    "huge": ("hugepages_total=0",),
    "tables": ("pagetables:310",),
}


def actor(found: Replica, comm: str) -> Actor:
    return next(each for each in found.actors if each.comm == comm)


def loaded(found: Replica, tmp_path: Path, name: str = "prod") -> Scenario:
    scenario = load_scenario(str(write_directory(tmp_path / name, scenario_files(name, found, "dmesg.txt"))))
    render_plan(scenario, parse_settings(scenario))
    return scenario


def test_tasks_hold_their_share_under_their_own_names() -> None:
    found = replica()

    assert found.scale == pytest.approx(1.09, abs=0.02)
    assert actor(found, "parent").sizes["anon"] == pytest.approx(51200 * 4096 / found.scale, abs=4096)
    assert actor(found, "hog").uid == 1000


def test_invoker_is_last_and_takes_the_reports_path() -> None:
    last = replica().actors[-1]

    assert (last.comm, last.trigger) == ("child", "anonymous")


@pytest.mark.parametrize(
    ("function", "trigger"),
    [
        ("wp_page_copy", "copy-on-write"),
        ("filemap_fault", "file-read"),
        ("copy_process", "fork"),
        ("shmem_fault", "shared"),
        ("anon_pipe_write", "pipe"),
        ("__alloc_skb", "network"),
        ("__pte_alloc", "page-table"),
    ],
)
def test_trigger_is_that_of_the_trace(function: str, trigger: str) -> None:
    lines = [line.replace("do_anonymous_page", function) for line in made.oom_report()]
    lines = [line.replace("|__GFP_ZERO", "") for line in lines]

    assert replica_of(fingerprint_of(event_of(lines))).actors[-1].trigger == trigger


def test_order_above_zero_is_a_kernel_allocation_of_that_order() -> None:
    last = replica(order="order=3").actors[-1]

    assert (last.trigger, last.order) == ("slab", 3)


def test_swap_is_as_full_as_it_was() -> None:
    found = replica(
        made.MadeTask(120, "parent", 51200, swapents=25600), made.MadeTask(121, "child", 20480), made.MadeTask(122, "hog", 40960),
        total_swap="Total swap = 102400kB",
    )  # fmt: skip

    assert actor(found, "parent").sizes["swapped"] == pytest.approx(25600 * 4096 / found.scale, abs=4096)
    assert found.swap == pytest.approx(102400 * 1024 / found.scale, abs=MIB)


def test_what_no_task_holds_is_held_by_an_actor_that_is_never_chosen() -> None:
    found = replica(slab="slab_unreclaimable:12900", shmem="shmem:9000")
    kernel = actor(found, KERNEL)

    assert kernel.adj == -1000
    assert kernel.sizes["slab"] == pytest.approx(12900 * 4096 / found.scale, abs=4096)
    assert kernel.sizes["shmem"] == pytest.approx(9000 * 4096 / found.scale, abs=4096)


def test_huge_pages_are_set_aside_and_take_the_place_of_memory(tmp_path: Path) -> None:
    found = replica(huge="hugepages_total=64")

    assert found.huge_pages == round(64 / found.scale)
    assert loaded(found, tmp_path).file.sysctls["vm.nr_hugepages"] == found.huge_pages


def test_watermarks_are_those_of_the_report_scaled(tmp_path: Path) -> None:
    found = replica()

    assert found.min_free_kb == int((92 + 2708) / found.scale) // 4 * 4
    assert loaded(found, tmp_path).file.sysctls["vm.min_free_kbytes"] == found.min_free_kb


def test_second_in_badness_is_played_however_small_it_is() -> None:
    found = replica(
        made.MadeTask(120, "parent", 100000), made.MadeTask(121, "child", 10), made.MadeTask(122, "tiny", 10, oom_score_adj=900),
        ram="13094200 pages RAM",
    )  # fmt: skip

    assert actor(found, "tiny").adj == 900


def test_small_tasks_are_one_actor_and_said() -> None:
    tasks = [made.MadeTask(200 + number, f"small{number}", 20) for number in range(40)]
    found = replica(*made.TASKS, *tasks)

    assert actor(found, OTHERS).adj == -1000
    assert any("small ones are one" in each.why for each in found.left_out)


def test_forks_share_what_the_table_counts_twice() -> None:
    lines = made.oom_report(
        (made.MadeTask(120, "parent", 50000), made.MadeTask(121, "child", 50000), made.MadeTask(122, "hog", 40000))
    )
    lines = [line.replace("inactive_anon:140000", "inactive_anon:100000") for line in lines]
    parent = actor(replica_of(fingerprint_of(event_of(lines))), "parent")

    assert (parent.forks, parent.child) == (1, "child")
    assert parent.sizes["shared"] > 3 * parent.sizes["own"]


def test_guest_keeps_its_lists_of_free_pages_short(tmp_path: Path) -> None:
    steps = loaded(replica(), tmp_path).file.plan.steps

    assert next(step.keys["arg"] for step in steps if "arg" in step.keys)[0] == "--short-free-lists"


def test_small_mappings_of_files_are_those_of_the_actors_program() -> None:
    found = replica(made.MadeTask(120, "small", 50000, file=200), made.MadeTask(121, "large", 50000, file=8000))

    assert "file" not in actor(found, "small").sizes
    assert actor(found, "large").sizes["file"] == pytest.approx(8000 * 4096 / found.scale, abs=4096)
    assert replica(made.MadeTask(120, "small", 50000, file=200)).disk == 0


def test_mapped_files_of_a_fork_are_no_memory_of_its_own() -> None:
    def own(file: int) -> int:
        family = (made.MadeTask(120, "parent", 50000, file=file), made.MadeTask(121, "child", 50000, file=file))
        lines = made.oom_report((*family, made.MadeTask(122, "hog", 40000)))
        lines = [line.replace("inactive_anon:140000", "inactive_anon:100000") for line in lines]
        return actor(replica_of(fingerprint_of(event_of(lines))), "parent").sizes["own"]

    assert own(500) == own(0)


def test_cgroup_keeps_its_path_and_its_limit(tmp_path: Path) -> None:
    found = replica(cgroup="/kubepods/pod1/app")
    scenario = loaded(found, tmp_path)

    assert (found.limit_owner, found.limit) == ("kubepods/pod1/app", 102400 << 10)
    assert found.memory > found.limit
    assert scenario.parameters["limit"].default == "100M"


def test_limit_of_cgroup_v1_is_translated_and_said() -> None:
    lines = [
        line.replace("swap: usage 0kB, limit 0kB", "memory+swap: usage 102400kB, limit 204800kB")
        for line in made.oom_report(cgroup="/job")
    ]
    found = replica_of(fingerprint_of(event_of(lines)))

    assert found.swap_limit == 102400 << 10


def test_sysrq_keeps_memory_free_and_is_written_by_the_plan(tmp_path: Path) -> None:
    lines = [line.replace("order=0", "order=-1") for line in made.oom_report()]
    found = replica_of(fingerprint_of(event_of(lines)))
    scenario = loaded(found, tmp_path)

    assert found.by_hand
    assert not any(each.trigger for each in found.actors)
    assert any(step.keys.get("path") == "/proc/sysrq-trigger" for step in scenario.file.plan.steps)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE", "gfp_mask=0x140dc4(GFP_KERNEL|GFP_DMA32", "zone"),
        ("CONSTRAINT_NONE", "CONSTRAINT_MEMORY_POLICY", "scope"),
        (" do_anonymous_page", " vmalloc_area", "path"),
    ],
)  # fmt: skip
def test_what_cannot_be_played_is_said_with_the_reason(old: str, new: str, field: str) -> None:
    lines = [line.replace(old, new) for line in made.oom_report()]

    left_out = replica_of(fingerprint_of(event_of(lines))).left_out

    assert any(each.field == field and each.why for each in left_out)


def test_report_without_figures_is_refused() -> None:
    lines = [
        "child invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "CPU: 0 PID: 121 Comm: child Not tainted 6.1.0 #1",
        "Call Trace:",
        " out_of_memory+0x10f/0x5a0",
    ]

    with pytest.raises(UsageError, match="names no task and no use of memory"):
        replica_of(fingerprint_of(event_of(lines)))


def test_scenario_of_a_report_loads_and_has_a_parameter_for_each_large_size(tmp_path: Path) -> None:
    scenario = loaded(replica(), tmp_path)

    assert {"parent_anon", "child_anon", "hog_anon", "parent_adj"} <= set(scenario.parameters)
    assert "divided by" in scenario.story()
    assert {"all-hold", "oom-came", "same-victim", "same-path"} <= {claim.claim.id for claim in scenario.claims}


def test_two_tasks_of_one_name_get_two_names(tmp_path: Path) -> None:
    tasks = (
        made.MadeTask(120, "php-fpm", 30000),
        made.MadeTask(121, "child", 9000),
        made.MadeTask(122, "php-fpm", 30000),
    )

    scenario = loaded(replica(*tasks), tmp_path)

    assert {"php_fpm_anon", "php_fpm_2_anon"} <= set(scenario.parameters)


def test_name_from_a_log_cannot_break_out_of_the_files(tmp_path: Path) -> None:
    tasks = (made.MadeTask(120, 'a"\\{{x}}|`', 30000), made.MadeTask(121, "child", 9000))
    found = replica(*tasks)

    loaded(found, tmp_path)

    assert "{{x}}" not in "".join(scenario_files("prod", found, "dmesg.txt").values())


def test_probe_is_a_scenario(tmp_path: Path) -> None:
    scenario = load_scenario(str(write_directory(tmp_path / "probe", probe_files(replica()))))

    render_plan(scenario, parse_settings(scenario))


def test_room_goes_to_the_limit_of_a_cgroup_and_else_to_the_guest() -> None:
    machine, group = replica(), replica(cgroup="/job")

    assert machine.with_room(8 * MIB).memory == machine.memory + 8 * MIB
    assert group.with_room(8 * MIB).limit == (group.limit or 0) + 8 * MIB


def test_first_of_several_reports_is_taken_and_another_by_its_number() -> None:
    twice = made.serial([*made.oom_report(), *made.oom_report((made.MadeTask(121, "child", 90000),))])
    events = read(BytesIO(twice)).events

    first, count = choose_report(events, None, "dmesg.txt")
    second, _ = choose_report(events, events[-1].number, "dmesg.txt")

    assert (count, first.victim and first.victim.comm, second.victim and second.victim.comm) == (2, "parent", "child")
    with pytest.raises(UsageError, match="event 99 is not an OOM report"):
        choose_report(events, 99, "dmesg.txt")
    with pytest.raises(UsageError, match="no OOM report"):
        choose_report((), None, "dmesg.txt")


def test_actors_stay_out_of_swap_that_was_free_in_the_report(tmp_path: Path) -> None:
    found = replica(total_swap="Total swap = 262144kB", free_swap="Free swap  = 200000kB")
    plan = render_plan(loaded(found, tmp_path), parse_settings(loaded(found, tmp_path, "again")))

    [bound] = [dict(step.words) for step in plan.steps if step.verb == "cgroup"]
    assert bound["memory.swap.max"] == str(sum(each.sizes.get("swapped", 0) for each in found.actors))
    assert {each.cgroup for each in found.actors} == {bound["name"]}
    assert found.limit is None


def test_actors_may_swap_where_the_reports_swap_was_full() -> None:
    found = replica(total_swap="Total swap = 262144kB")

    assert (found.swap_limit, found.cgroup) == (None, "")


def test_small_invoker_of_an_unknown_path_takes_memory_that_is_not_its_own() -> None:
    small = made.MadeTask(77, "sshd", 100)
    report = fingerprint_of(event_of(made.oom_report([*made.TASKS, small])))
    report = replace(report, path="", invoker="sshd", invoker_pid=77)

    last = replica_of(report).actors[-1]

    assert (last.comm, last.trigger) == ("sshd", "pipe")
