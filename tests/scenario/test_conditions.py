# SPDX-License-Identifier: MIT
"""The conditions that rig adds to every scenario, on runs of real guests that were changed to break them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from rig.scenario.settings_made import taken
from tests.scenario.recorded import Change, Recorded, every_run, recorded
from tests.scenario.test_catalogue import setting


def ended(**fields: Any) -> Change:
    """A change of an `exit` record: the process ended otherwise."""

    def change(record: dict[str, Any]) -> None:
        record.pop("code", None)
        record.update(fields)

    return change


@pytest.mark.parametrize(
    ("how", "why"),
    [({"signal": "ABRT"}, "was ended by SIGABRT"), ({"code": 3}, "ended with status 3")],
    ids=["signal", "status"],
)
def test_child_that_fails_unexpectedly_makes_the_run_invalid(how: dict[str, Any], why: str) -> None:
    run = recorded("snapshot-by-fork").changed("exit", ended(**how), comm="child")

    judgement = run.judged()

    assert judgement.verdict == "invalid"
    assert f"child (83), a child of server, {why}" in judgement.reason


def test_many_children_that_fail_are_counted() -> None:
    run = recorded("snapshot-by-fork").changed("exit", ended(code=3), comm="child")
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "exit")
    exits = [{**run.records[at], "pid": 200 + n} for n in range(9)]

    claim = run.with_records([*run.records[:at], *exits, *run.records[at:]]).claim("programs-lived")

    assert claim.reason.count("a child of server") == 5
    assert claim.reason.endswith("; and 5 more")


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("fork-join", "default"),  # may_fail names the comm
        ("respawn", "default"),  # the plan signals task1 and task2, and the OOM killer ends task4 and by that others
        ("overcommit-in-cgroup", "group"),  # the OOM killer ends the program and its child
    ],
)
def test_child_whose_end_is_explained_is_no_fault(name: str, variant: str) -> None:
    assert recorded(name, variant).claim("programs-lived").verdict == "held"


@pytest.mark.parametrize("signal", ["SEGV", "KILL"])
def test_signal_that_the_plan_sent_to_another_process_explains_no_end(signal: str) -> None:
    # The plan sends SIGKILL to task1, SIGSEGV to task2 and SIGUSR1 to task3, which exits by that.
    run = recorded("respawn").changed("exit", ended(signal=signal), comm="task3", pid=85)

    assert f"task3 (85), a child of respawn, was ended by SIG{signal}" in run.claim("programs-lived").reason


def with_agent_of_today(run: Recorded, **end: Any) -> Recorded:
    """The run as of an agent that follows the kernel's events of ends."""
    return run.changed("go", setting(ends=True)).changed("end", setting(**end))


def sent(run: Recorded, pid: int, signal: str, **fields: Any) -> Recorded:
    """The run with a record of a signal of the plan's to that process, after its first step."""
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "step") + 1
    record = {"ev": "signal", "t": run.records[at]["t"], "program": "server", "comm": "x", "pid": pid, "signal": signal}
    return run.with_records([*run.records[:at], {**record, **fields}, *run.records[at:]])


@pytest.mark.parametrize(
    ("pid", "signal", "verdict"),
    [(83, "SEGV", "held"), (83, "TERM", "failed"), (84, "SEGV", "failed"), (82, "SEGV", "failed")],
    ids=["to-it", "another-signal", "to-another", "to-its-parent"],
)
def test_end_by_signal_is_explained_by_that_signal_to_that_pid_alone(pid: int, signal: str, verdict: str) -> None:
    run = with_agent_of_today(recorded("snapshot-by-fork")).changed("exit", ended(signal="SEGV"), comm="child")

    assert sent(run, pid, signal).claim("programs-lived").verdict == verdict


@pytest.mark.parametrize(("signal", "verdict"), [("TERM", "held"), ("USR1", "failed")])
def test_program_that_is_told_to_end_may_kill_its_children(signal: str, verdict: str) -> None:
    run = with_agent_of_today(recorded("snapshot-by-fork")).changed("exit", ended(signal="KILL"), comm="child")
    server = next(each["pid"] for each in run.records if each["ev"] == "spawn")

    assert sent(run, server, signal).claim("programs-lived").verdict == verdict


def test_step_that_waits_for_a_program_does_not_explain_that_it_crashed() -> None:
    run = recorded("snapshot-by-fork")
    server = next(each["pid"] for each in run.records if each["ev"] == "spawn")

    assert run.changed("exit", ended(code=1), pid=server).claim("programs-lived").verdict == "held"
    crashed = run.changed("exit", ended(signal="SEGV"), pid=server).claim("programs-lived")
    assert crashed.reason.startswith(f"server ({server}) was ended by SIGSEGV")


def test_oom_kill_explains_the_end_of_the_processes_that_its_report_names_alone() -> None:
    run = recorded("overcommit-oops")
    hog = next(each for each in run.records if each["ev"] == "exit" and each.get("signal") == "KILL")
    other = run.with_records([*run.records[:-1], {**hog, "comm": "kid", "pid": 999}, run.records[-1]])

    assert run.claim("programs-lived").verdict == "held"
    assert "kid (999), a child of hog, was ended by SIGKILL" in other.claim("programs-lived").reason


@pytest.mark.parametrize(("group", "verdict"), [("service", "held"), ("other", "failed"), ("serv", "failed")])
def test_cgroup_that_the_plan_kills_explains_the_ends_of_its_programs(group: str, verdict: str) -> None:
    run = with_agent_of_today(recorded("overcommit-in-cgroup"))
    spawn = next(n for n, each in enumerate(run.records) if each.get("program") == "cow-writer")
    started = run.records[spawn]
    kill = {"ev": "cgroup", "t": started["t"], "name": group, "path": f"/sys/fs/cgroup/{group}/cgroup.kill"}
    end = {"ev": "exit", "t": started["t"], "program": started["program"], "comm": "x", "pid": 999, "signal": "KILL"}
    own = {**end, "pid": started["pid"]}
    run = run.with_records([*run.records[: spawn + 1], kill, own, end, *run.records[spawn + 1 :]])

    assert run.claim("programs-lived").verdict == verdict


def test_failed_process_of_a_program_that_is_not_known_is_said() -> None:
    run = with_agent_of_today(recorded("snapshot-by-fork"))
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "exit")
    unknown = {**run.records[at], "program": "", "comm": "", "pid": 999, "signal": "SEGV"}
    claim = run.with_records([*run.records[:at], unknown, *run.records[at:]]).claim("programs-lived")

    assert claim.reason == "a process (999), of a program that is not known, was ended by SIGSEGV"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ({"ends_meddled": True}, "a program changed whether the kernel tells of the ends of processes"),
        ({"ends_silent": True}, "the kernel told of no fork or end any more when the plan ended"),
        ({"ends_lost": 3}, "3 of the kernel's events of forks and ends were lost"),
        ({"ends_lost": 3, "forks_lost": 1}, "3 of the kernel's events of forks and ends were lost"),
        (
            {"ends_lost": 3, "forks_lost": 0, "lives_left_out": 9},
            "3 of the kernel's events of ends were lost, and 9 processes were forked while more lived than the agent follows",
        ),
        ({"ends_left_out": 7}, "7 more processes failed than the agent records"),
        ({"ends_left_out": 7, "left_out_of": [["server", "", 6]]}, "7 more processes failed than the agent records"),
    ],
)
def test_ends_that_are_not_known_make_the_run_invalid(end: dict[str, Any], reason: str) -> None:
    run = with_agent_of_today(recorded("snapshot-by-fork"), **end)

    assert run.claim("programs-lived").reason == reason
    assert run.judged().verdict == "invalid"


def with_exit(run: Recorded, **fields: Any) -> Recorded:
    """Return the run with one more end, after the others."""
    at = max(n for n, each in enumerate(run.records) if each["ev"] == "exit")
    end = {"ev": "exit", "t": run.records[at]["t"], "program": "x", "comm": "x", "pid": 999, **fields}
    return run.with_records([*run.records[: at + 1], end, *run.records[at + 1 :]])


@pytest.mark.parametrize(("comm", "verdict"), [("job1", "held"), ("fork-join", "invalid")])
def test_failing_ends_beyond_the_bound_may_be_allowed(comm: str, verdict: str) -> None:
    program = next(each["program"] for each in recorded("fork-join").records if each["ev"] == "spawn")
    run = with_agent_of_today(recorded("fork-join"), ends_left_out=7, left_out_of=[[program, comm, 7]])

    assert run.claim("programs-lived").verdict == verdict


def test_lost_events_hide_nothing_where_each_end_is_known() -> None:
    run = with_agent_of_today(recorded("snapshot-by-fork"), ends_lost=3, forks_lost=0)
    unknown = with_exit(run, code=None)

    assert run.claim("programs-lived").verdict == "held"
    assert unknown.claim("programs-lived").verdict == "invalid"
    assert unknown.claim("programs-lived").reason == "the kernel's event of the end of x (999), a child of x was lost"


def test_process_that_shares_the_memory_of_one_that_was_killed_ends_with_it() -> None:
    run = with_agent_of_today(recorded("overcommit-oops"))
    victim = run.evidence().ooms()[0].kills[0].pid
    marked = run.changed("exit", setting(vm=1), pid=victim)

    assert with_exit(marked, signal="KILL", vm=1).claim("programs-lived").verdict == "held"
    assert with_exit(marked, signal="KILL", vm=2).claim("programs-lived").verdict == "failed"
    assert with_exit(marked, signal="SEGV", vm=1).claim("programs-lived").verdict == "failed"
    assert with_exit(run, signal="KILL", vm=1).claim("programs-lived").verdict == "failed"


@pytest.mark.parametrize(
    ("keys", "signal", "verdict"),
    [("e", "TERM", "held"), ("i", "KILL", "held"), ("_si", "KILL", "held"), ("s", "KILL", "failed"),
     ("si", "KILL", "failed"), ("e", "KILL", "held"), ("e", "SEGV", "failed")],
)  # fmt: skip
def test_sysrq_that_the_plan_wrote_explains_ends(keys: str, signal: str, verdict: str) -> None:
    run = with_agent_of_today(recorded("snapshot-by-fork"))
    wrote = {"ev": "write", "t": run.records[-1]["t"], "path": "/proc/sysrq-trigger", "asked": keys, "got": None}
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "spawn")
    run = run.with_records([*run.records[: at + 1], wrote, *run.records[at + 1 :]])
    program = run.records[at]["program"]

    assert with_exit(run, program=program, signal=signal).claim("programs-lived").verdict == verdict


def test_kernel_without_process_events_is_said() -> None:
    run = recorded("snapshot-by-fork").changed("go", setting(ends=False))

    assert run.claim("programs-lived").verdict == "not-applicable"
    assert "CONFIG_PROC_EVENTS" in run.claim("programs-lived").reason
    assert run.judged().verdict == "reproduced"


def test_setting_of_a_run_that_panicked_is_judged_by_the_words_of_the_panic() -> None:
    run = recorded("overcommit-oops", "panic")
    other = run.printed("system-wide panic_on_oom", "compulsory panic_on_oom")

    held, changed = run.claim("settings-held"), other.claim("settings-held")

    assert held.verdict == "held"
    assert [value.name for value in held.values] == ["vm.panic_on_oom"]
    assert other.judged().verdict == "invalid"
    assert "vm.panic_on_oom was set to 1, and was 2 by the words of the panic" in changed.reason


def with_swappiness(sampled: str | None) -> Recorded:
    """A run that set vm.swappiness and panicked; its samples say what it was then."""
    run = recorded("overcommit-oops", "panic")
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "sysctl")
    asked = {**run.records[at], "name": "vm.swappiness", "asked": "10", "got": "10"}
    run = run.with_records([*run.records[:at], asked, *run.records[at:]])
    if sampled is None:
        return run
    return run.changed("sample", setting(sysctls={"vm.swappiness": sampled}), label="writing-starts")


@pytest.mark.parametrize(
    ("sampled", "verdict", "reason"),
    [
        ("10", "held", ""),
        ("60", "failed", "vm.swappiness was set to 10, and was 60 at "),
        (None, "not-applicable", "vm.swappiness was last read at "),
    ],
)
def test_other_settings_are_judged_by_the_last_sample_before_a_panic(
    sampled: str | None, verdict: str, reason: str
) -> None:
    claim = with_swappiness(sampled).claim("settings-held")

    assert claim.verdict == verdict
    assert claim.reason.startswith(reason)


def test_sysctl_that_was_changed_and_set_back_was_not_in_force() -> None:
    run = recorded("overcommit-oops", "refused")
    claim = run.changed("sample", setting(sysctls={"vm.overcommit_memory": "0"})).claim("settings-held")

    assert claim.verdict == "failed"
    assert re.fullmatch(r"vm\.overcommit_memory was set to 2, and was 0 at \d+\.\d s, in a sample", claim.reason)


def test_sysctl_that_was_changed_and_set_back_before_a_panic_was_not_in_force() -> None:
    run = with_swappiness("10")
    last = next(n for n, each in enumerate(run.records) if each.get("label") == "writing-starts")
    before = {**run.records[last], "label": "before", "sysctls": {"vm.swappiness": "60"}}
    claim = run.with_records([*run.records[:last], before, *run.records[last:]]).claim("settings-held")

    assert claim.verdict == "failed"
    assert claim.reason.startswith("vm.swappiness was set to 10, and was 60 at ")


OOPS = b"""\
[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    1.000001] #PF: supervisor write access in kernel mode
[    1.000002] Oops: 0002 [#1] PREEMPT SMP NOPTI
[    1.000003] CPU: 0 PID: 80 Comm: insmod Not tainted 6.1.0-50-cloud-amd64 #1
[    1.000004] RIP: 0010:crash_init+0x5/0x1000 [crash]
[    1.000005] ---[ end trace 0000000000000000 ]---
"""


@pytest.mark.parametrize(
    ("name", "now", "log", "verdict"),
    [
        ("kernel.printk", "15\t4\t1\t7", OOPS, "held"),
        ("kernel.printk", "15\t4\t1\t7", b"", "failed"),
        ("kernel.printk", "15\t4\t1\t8", OOPS, "failed"),
        ("kernel.printk", "8\t4\t1\t7", OOPS, "failed"),
        ("vm.user", "15\t4\t1\t7", OOPS, "failed"),
    ],
)
def test_console_level_that_the_kernel_raised_in_a_crash_is_no_departure(
    name: str, now: str, log: bytes, verdict: str
) -> None:
    run = recorded("overcommit-oops", "refused")
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "sysctl")
    asked = {**run.records[at], "name": name, "asked": "7 4 1 7", "got": "7\t4\t1\t7"}
    at_end = {"ev": "sysctl_at_end", "t": run.records[-1]["t"], "name": name, "asked": "7 4 1 7", "got": now}
    run = run.with_records([*run.records[:at], asked, *run.records[at:-1], at_end, run.records[-1]])
    run = run.changed("sample", setting(sysctls={name: now}))

    assert replace(run, console=run.console + log).claim("settings-held").verdict == verdict


@pytest.mark.parametrize("seen", [None, "2"])
def test_sample_that_could_not_read_a_sysctl_tells_nothing(seen: str | None) -> None:
    run = recorded("overcommit-oops", "refused")

    assert (
        run.changed("sample", setting(sysctls={"vm.overcommit_memory": seen})).claim("settings-held").verdict == "held"
    )


@pytest.mark.parametrize(
    "again",
    [
        {"ev": "sysctl", "name": "vm.overcommit_memory", "asked": "0", "got": "0"},
        {"ev": "write", "path": "/proc/sys/vm/overcommit_memory", "asked": "0", "got": "0"},
    ],
    ids=["sysctl", "write"],
)
def test_sysctl_that_the_plan_itself_changes_is_judged_by_what_it_asked_last(again: dict[str, str]) -> None:
    run = recorded("overcommit-oops", "refused").changed("sample", setting(sysctls={"vm.overcommit_memory": "0"}))
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "sample")
    added = {**again, "t": run.records[at]["t"]}
    run = run.with_records([*run.records[:at], added, *run.records[at:]])

    assert run.claim("settings-held").verdict == "held"


def test_file_of_a_sysctl_that_the_plan_reads_tells_its_value() -> None:
    run = recorded("overcommit-oops", "refused")
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "sample")
    read = {"ev": "read", "t": run.records[at]["t"], "path": "/proc/sys/vm/overcommit_memory", "text": "0\n"}
    claim = run.with_records([*run.records[:at], read, *run.records[at:]]).claim("settings-held")

    assert claim.verdict == "failed"
    assert claim.reason.endswith("in a file that the plan read")


THP = "/sys/kernel/mm/transparent_hugepage/enabled"
LIMIT = "/sys/fs/cgroup/small/memory.max"


def with_file(path: str, asked: str, got: str | None, later: str | None, *, sampled: str | None = None) -> Recorded:
    """A run that set a file of the kernel, which read so right after that, and so at the end."""
    run = recorded("snapshot-by-fork")
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "step")
    end = next(n for n, each in enumerate(run.records) if each["ev"] == "end")
    time = run.records[at]["t"]
    made = {"ev": "write", "t": time, "path": path, "asked": asked, "got": got}
    read = {"ev": "file_at_end", "t": run.records[end]["t"], "path": path, "asked": asked, "got": later}
    run = run.with_records([*run.records[:at], made, *run.records[at:end], read, *run.records[end:]])
    return run.changed("sample", setting(files={path: sampled}), label="forked") if sampled else run


@pytest.mark.parametrize(
    ("path", "asked", "got"),
    [
        (THP, "never", "always madvise [never]"),
        (LIMIT, "50000001", "49999872"),
        (LIMIT, "max", "max"),
        ("/proc/sysrq-trigger", "f", None),
    ],
)
def test_file_that_still_reads_as_it_did_is_in_force(path: str, asked: str, got: str | None) -> None:
    assert with_file(path, asked, got, got).claim("settings-held").verdict == "held"


def test_file_that_cannot_be_read_is_said() -> None:
    claim = with_file("/proc/sysrq-trigger", "f", None, None).claim("settings-held")

    assert claim.values[0].shown == "f (written; the file cannot be read)"


def test_file_that_a_program_changed_was_not_in_force() -> None:
    run = with_file(THP, "never", "always madvise [never]", "[always] madvise never")

    assert run.judged().verdict == "invalid"
    assert run.claim("settings-held").reason == (
        f"{THP} was set to never (it read always madvise [never]), and was [always] madvise never at the end"
    )


def test_file_that_was_changed_and_set_back_was_not_in_force() -> None:
    claim = with_file(LIMIT, "48M", "50331648", "50331648", sampled="max").claim("settings-held")

    assert claim.verdict == "failed"
    assert re.search(r"and was max at \d+\.\d s, in a sample", claim.reason)


def test_write_that_did_not_take_is_said() -> None:
    claim = with_file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "1000", "37", "37").claim(
        "settings-held"
    )

    assert claim.verdict == "failed"
    assert claim.reason.endswith("was set to 1000, and read 37 right after that")


def test_file_that_could_be_read_and_cannot_at_the_end_makes_the_run_invalid() -> None:
    run = with_file(LIMIT, "48M", "50331648", None)

    assert run.claim("settings-held").verdict == "invalid"
    assert run.judged().verdict == "invalid"


@pytest.mark.parametrize(
    ("path", "later"),
    [
        ("/proc/83/oom_score_adj", None),
        ("/sys/fs/cgroup/small/cgroup.procs", "7"),
        ("/proc/sys/kernel/hung_task_warnings", "82"),
        ("/sys/kernel/debug/fail_page_alloc/times", "0"),
        ("/sys/kernel/debug/failslab/space", "0"),
    ],
)
def test_file_that_goes_or_changes_by_itself_is_no_fault(path: str, later: str | None) -> None:
    assert with_file(path, "83", "83", later).claim("settings-held").verdict == "held"


@pytest.mark.parametrize(("name", "later"), [("kernel.hung_task_warnings", "4"), ("kernel.ns_last_pid", "812")])
def test_sysctl_that_the_kernel_itself_changes_is_no_fault(name: str, later: str) -> None:
    run = recorded("snapshot-by-fork")
    at = next(n for n, each in enumerate(run.records) if each["ev"] == "step")
    end = next(n for n, each in enumerate(run.records) if each["ev"] == "end")
    made = {"ev": "sysctl", "t": run.records[at]["t"], "name": name, "asked": "5", "got": "5"}
    read = {"ev": "sysctl_at_end", "t": run.records[end]["t"], "name": name, "asked": "5", "got": later}
    run = run.with_records([*run.records[:at], made, *run.records[at:end], read, *run.records[end:]])

    assert (
        run.changed("sample", setting(sysctls={name: later}), label="forked").claim("settings-held").verdict == "held"
    )


@pytest.mark.parametrize(
    ("asked", "got", "right"),
    [
        ("4 4  1 7", "4\t4\t1\t7", True),
        ("madvise", "always [madvise] never", True),
        ("always", "always [madvise] never", False),
        ("alwyas", "always [madvise] never", None),
        ("48M", "50331648", True),
        ("50000001", "49999872", True),
        ("48M", "max", False),
        ("max", "max", True),
        ("-1", "9223372036854771712", True),
        ("-1000", "-1000", True),
        ("1000", "37", False),
        ("3", "2", False),
        ("+memory +pids", "cpuset cpu memory pids", True),
        ("+memory -pids", "cpuset cpu memory pids", False),
        ("50000", "50000 100000", True),
        ("8:0 riops=100", "8:0 rbps=max wbps=max riops=100 wiops=max", True),
        ("1", "Y", True),
        ("83", "82\n83", True),
        ("anything", "something else", None),
        ("", "", True),
    ],
)
def test_what_a_file_reads_is_compared_with_what_was_written(asked: str, got: str, right: bool | None) -> None:
    assert taken(asked, got) is right


def fork_refused(name: str) -> Recorded:
    """The run as it would have been had the first fork been refused: cut at the first line that tells of a child."""
    run = recorded(name)
    at = next(n for n, each in enumerate(run.records) if re.match(r"forked|child|born", str(each.get("text"))))
    line = run.records[at]
    spawned = {each["pid"] for each in run.records if each["ev"] == "spawn"}
    before = [each for each in run.records[:at] if each.get("pid") in spawned | {None} and "saw" not in each]
    step = max(each["i"] for each in before if each["ev"] == "step") + 1
    wait = {"i": step, "verb": "wait_state", "ok": False, "errno": None, "error": "it has ended"}
    end = {"reason": "step-failed", "step": step, "dropped": 0}
    return replace(
        run.with_records(
            [
                *before,
                {**line, "text": "fork: EAGAIN"},
                {**line, "ev": "exit", "comm": "parent", "code": 71},
                {"t": line["t"], "ev": "step", **wait},
                {"t": line["t"], "ev": "end", **end},
            ]
        ),
        console=b"",
    )


FORKING = sorted({name for name, _ in every_run()} - {"fork-fails", "pipe-exec"})


@pytest.mark.parametrize("name", FORKING)
def test_refused_fork_has_one_verdict_in_every_scenario(name: str) -> None:
    judgement = fork_refused(name).judged()

    assert judgement.verdict == "not-reproduced", judgement.reason
    failed = {claim.id for claim in judgement.claims if claim.verdict == "failed"}
    assert failed & {"no-fork-refused", "fork-succeeded"}
