# SPDX-License-Identifier: MIT
"""The agent's plan, run on this machine: records, output, exits, and every kind of wait."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import HOG, shell, spawn_cow_writer, step


def test_records_are_numbered_without_gaps_and_ordered_in_time(run_plan):
    run = run_plan(step("sample", "label=a"), step("sleep", "seconds=0.05"), step("sample", "label=b"))

    assert [record["n"] for record in run.records] == list(range(len(run.records)))
    assert [record["t"] for record in run.records] == sorted(record["t"] for record in run.records)
    assert [record["label"] for record in run.of("sample")] == ["a", "b"]
    assert run.records[-1]["ev"] == "end"
    assert run.records[-1]["reason"] == "plan"
    assert run.records[-1]["dropped"] == 0


def test_end_stops_the_plan_with_its_reason(run_plan):
    run = run_plan(step("end", "reason=enough"), step("sleep", "seconds=100"))

    assert run.records[-1]["reason"] == "enough"
    assert len(run.of("step")) == 1


def test_failed_step_ends_the_plan(run_plan):
    run = run_plan(step("spawn", "program=x", "arg=/no/such"), step("sleep", "seconds=100"))

    assert run.status == 1
    assert run.step(0)["errno"] == "ENOENT"
    assert run.step(0)["error"] == "execve of /no/such failed"
    assert run.records[-1]["reason"] == "step-failed"


def test_failed_step_may_be_a_result(run_plan):
    run = run_plan(step("spawn", "program=x", "arg=/etc/passwd", "on_error=go"), step("sleep", "seconds=0"))

    assert run.status == 0
    assert (run.step(0)["ok"], run.step(0)["errno"]) == (False, "EACCES")
    assert run.step(1)["ok"]


def test_output_is_reported_line_by_line_with_its_stream(run_plan):
    run = run_plan(shell("echo one; echo two >&2; printf three"), step("wait_exit", "program=sh", "timeout=30"))

    assert run.lines() == ["one", "three"]
    assert run.lines("stderr") == ["two"]


def test_output_that_is_not_utf8_and_control_codes_stay_valid_json(run_plan):
    run = run_plan(
        shell(r"printf 'a\\377b\\303\\251 \\033[31m \"quoted\" \\\\ \\001\\n'"),
        step("wait_exit", "program=sh", "timeout=30"),
    )

    assert run.lines() == ['a\ufffdbé \x1b[31m "quoted" \\ \x01']


def test_overlong_line_is_cut_and_the_next_one_is_whole(run_plan):
    run = run_plan(
        shell("head -c 10000 /dev/zero | tr '\\\\0' x; echo; echo after"),
        step("wait_exit", "program=sh", "timeout=30"),
    )

    assert run.lines() == ["x" * 4096, "after"]


def test_exit_tells_code_or_signal(run_plan):
    run = run_plan(
        shell("exit 7", "a"),
        step("wait_exit", "program=a", "timeout=30"),
        shell("kill -SEGV $$", "b"),
        step("wait_exit", "program=b", "timeout=30"),
    )

    assert run.of("exit")[0]["code"] == 7
    assert run.of("exit")[1]["signal"] == "SEGV"
    assert run.step(1)["saw"] == "exit a code 7"
    assert run.step(3)["saw"] == "exit b signal SEGV"


def test_orphans_are_reaped_and_belong_to_their_program(run_plan, tmp_path):
    orphan = tmp_path / "orphan"
    shutil.copy(Path("/bin/sh").resolve(), orphan)

    run = run_plan(
        shell(f"{orphan} -c 'echo up; kill -STOP $$; exit 3' & kill -STOP $$; exit 0"),
        step("wait_line", "program=sh", "text=up", "timeout=30"),
        step("signal", "program=sh", "comm=sh", "signal=CONT"),
        step("wait_exit", "program=sh", "timeout=30"),
        step("signal", "program=sh", "comm=orphan", "signal=CONT"),
        step("wait_exit", "program=sh", "comm=orphan", "timeout=30"),
    )

    assert run.step(5)["ok"]
    codes = {record["comm"]: record["code"] for record in run.of("exit") if record["code"] is not None}
    assert codes.items() >= {("sh", 0), ("orphan", 3)}
    assert {record["program"] for record in run.of("exit")} == {"sh"}


def test_wait_line_counts_from_the_spawn_not_from_the_step(run_plan):
    run = run_plan(
        shell("echo step 1; echo step 2; exec sleep 1000"),
        step("wait_line", "program=sh", "text=step 2", "timeout=30"),
        step("wait_line", "program=sh", "text=step", "count=2", "timeout=0.5"),
    )

    assert run.step(2)["ok"]


def test_wait_line_times_out_with_what_was_seen_instead(run_plan):
    run = run_plan(
        shell("echo almost; exec sleep 1000"),
        step("wait_line", "program=sh", "text=almost", "timeout=30"),
        step("wait_line", "program=sh", "text=ready", "timeout=0.3"),
    )

    assert run.step(2)["errno"] == "ETIMEDOUT"
    assert "the last line was 'almost'" in run.step(2)["saw"]


def test_wait_line_of_a_program_that_ended_fails_at_once(run_plan):
    run = run_plan(shell("echo bye"), step("wait_line", "program=sh", "text=ready", "timeout=30"))

    assert run.step(1)["errno"] == "ESRCH"


def test_wait_exit_of_a_member_that_its_parent_reaps(run_plan):
    run = run_plan(
        spawn_cow_writer("--size", "1M", "--step", "1M", "--every", "100ms"),
        step("wait_line", "program=w", "text=filled", "timeout=30"),
        step("signal", "program=w", "signal=CONT"),
        step("wait_line", "program=w", "text=child ready", "timeout=30"),
        step("signal", "program=w", "comm=child", "signal=CONT"),
        step("wait_exit", "program=w", "comm=child", "timeout=30"),
        step("wait_exit", "program=w", "timeout=30"),
    )

    child, parent = run.of("exit")
    assert (child["comm"], parent["comm"]) == ("child", "parent")
    assert run.step(5)["ok"]
    assert parent["code"] == 0


def test_continue_waits_for_the_stop(run_plan):
    run = run_plan(
        shell("echo now; sleep 0.3; kill -STOP $$; echo going on"),
        step("wait_line", "program=sh", "text=now", "timeout=30"),
        step("signal", "program=sh", "signal=CONT"),
        step("wait_line", "program=sh", "text=going on", "timeout=30"),
    )

    # A SIGCONT that comes before the stop is lost, and the shell would say no more.
    assert run.step(3)["ok"]


def test_continue_of_what_never_stops_fails_with_its_state(run_plan):
    run = run_plan(
        shell("exec sleep 1000"),
        step("wait_state", "program=sh", "comm=sleep", "state=S", "timeout=30"),
        step("signal", "program=sh", "signal=CONT", "timeout=0.2"),
    )

    assert run.step(2)["errno"] == "ETIMEDOUT"
    assert run.step(2)["saw"].endswith(" S")


def test_wait_any_takes_the_first_and_settles(run_plan):
    run = run_plan(
        step("sample", "every=0.1", "label=each"),
        shell("exec sleep 1000", "long"),
        shell("exit 2", "short"),
        step("wait_any", "exit=long", "exit=short", "settle=0.3", "timeout=30"),
        step("signal", "program=long", "signal=KILL"),
    )

    assert run.step(3)["saw"].split("/")[0] == "exit short"
    # It was not over with what it waited for: a sample came due while it settled.
    seen, over = run.of("exit")[0]["n"], run.step(3)["n"]
    assert any(seen < sample["n"] < over for sample in run.of("sample"))


def test_wait_any_names_the_line(run_plan):
    run = run_plan(
        shell("sleep 0.1; echo step 3; exec sleep 1000"),
        step("wait_any", "line=sh:step 3", "line=sh:step 4", "timeout=30"),
    )

    assert run.step(1)["saw"] == "line sh:step 3"


def test_status_and_read_give_the_kernels_words(run_plan):
    run = run_plan(
        shell("exec sleep 1000"),
        step("wait_state", "program=sh", "comm=sleep", "state=S", "timeout=30"),
        step("status", "program=sh", "field=Name", "field=Threads"),
        step("read", "program=sh", "path=/proc/{pid}/comm", "label=x"),
        step("read", "path=/no/such", "on_error=go"),
        step("signal", "program=sh", "signal=KILL"),
    )

    assert run.of("status")[0]["fields"] == {"Name": "sleep", "Threads": "1"}
    assert (run.of("read")[0]["text"], run.of("read")[0]["label"]) == ("sleep\n", "x")
    assert run.step(4)["errno"] == "ENOENT"


@pytest.mark.parametrize(
    "words",
    [
        ("check_rss", "program=sh", "comm=sleep"),
        ("fds", "program=sh", "comm=sleep"),
        ("status", "program=sh", "comm=sleep"),
        ("kcmp", "a=sh", "b=sh/sleep", "type=vm"),
        ("pagemap", "program=sh", "comm=sleep", "start=0", "length=1000"),
        ("read", "path=/proc/{pid}/status", "program=sh", "comm=sleep"),
    ],
    ids=lambda words: words[0],
)
def test_step_about_one_process_names_both_of_two_that_are_meant(run_plan, words):
    done = run_plan(
        shell("sleep 60 & first=$!; sleep 60 & echo $first $! ready; wait"),
        step("wait_line", "program=sh", "text=ready", "timeout=30"),
        step("wait_state", "program=sh", "comm=sleep", "state=S", "count=2", "timeout=30"),
        step(*words),
    )

    failed = done.step(3)
    assert failed["errno"] == "ENOTUNIQ"
    assert failed["error"].startswith("sh has more than one process named sleep: ")
    assert set(done.lines()[0].split()[:2]) == set(re.findall(r"(\d+) \(sleep\)", failed["error"]))


def test_step_without_a_comm_looks_at_the_spawned_process_among_others(run_plan):
    done = run_plan(
        shell("sleep 60 & sleep 60 & echo ready; wait"),
        step("wait_line", "program=sh", "text=ready", "timeout=30"),
        step("status", "program=sh", "field=Name"),
    )

    assert done.of("status")[0]["pid"] == done.of("spawn")[0]["pid"]


def test_what_a_full_port_does_not_take_is_dropped_whole_and_counted(build, tmp_path):
    port, plan = tmp_path / "port", tmp_path / "plan"
    os.mkfifo(port)
    sampled, read = tmp_path / "sampled", tmp_path / "read"
    plan.write_text(
        step("sample") * 300
        + shell(f"touch {sampled}; while [ ! -e {read} ]; do sleep 0.01; done")
        + step("wait_exit", "program=sh", "timeout=60")
        + step("mark", "name=late", "on_error=go")
    )
    reader = os.open(port, os.O_RDONLY | os.O_NONBLOCK)

    process = subprocess.Popen([build / "rig-agent", "--run", plan, build, port])
    while not sampled.exists():
        assert process.poll() is None
        time.sleep(0.01)
    read.touch()
    os.set_blocking(reader, True)
    with os.fdopen(reader) as file:
        records = [json.loads(line) for line in file]

    assert process.wait(60) == 0
    missing = records[-1]["n"] + 1 - len(records)
    assert missing > 0
    assert records[-1]["dropped"] == missing
    dropped = [record["dropped"] for record in records if "dropped" in record]
    assert dropped == sorted(dropped)


def test_wait_for_a_port_ends_when_something_listens(run_plan):
    with socket.create_server(("127.0.0.1", 0)) as server:
        run = run_plan(step("wait_port", f"port={server.getsockname()[1]}", "timeout=5"))

    assert run.step(0)["ok"]


def test_wait_for_a_port_of_a_program_that_ended_fails_at_once(run_plan):
    run = run_plan(shell("exit 0"), step("wait_port", "program=sh", "port=1", "timeout=50"))

    assert (run.step(1)["ok"], run.step(1)["error"]) == (False, "sh has ended")


def test_wait_for_a_port_is_bounded(run_plan):
    run = run_plan(step("wait_port", "port=1", "timeout=0.05"))

    assert run.step(0)["errno"] == "ETIMEDOUT"
    assert run.step(0)["saw"] == "nobody listens on port 1"


def test_wait_for_memory_that_a_program_holds(run_plan):
    run = run_plan(
        step("spawn", "program=hog", f"arg={HOG}", "arg=8M"),
        step("wait_rss", "program=hog", "min=8M", "timeout=30"),
        step("wait_rss", "program=hog", "min=8G", "timeout=0.05", "on_error=go"),
    )

    assert run.step(1)["ok"]
    assert run.step(2)["errno"] == "ETIMEDOUT"


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ("meminfo.MemTotal > 1000", True),
        ("meminfo.MemTotal <= 1000", False),
        ("vmstat.pgfault >= 0", True),
        ("vmstat.pgfault == -1", False),
        ("meminfo.Active(anon) != -1", True),
    ],
)
def test_wait_for_a_condition(run_plan, condition, held):
    assert run_plan(step("wait_until", f"condition={condition}", "timeout=0.05")).step(0)["ok"] == held


def test_condition_over_a_field_that_the_kernel_lacks_fails(run_plan):
    run = run_plan(step("wait_until", "condition=meminfo.NoSuchField > 1", "timeout=5"))

    assert run.step(0)["error"] == "/proc/meminfo has no NoSuchField"


@pytest.mark.parametrize(
    "condition", ["", "MemTotal > 1", "meminfo.MemTotal", "meminfo.MemTotal =< 1", "x.y > 1", "meminfo.A > b"]
)
def test_what_is_no_condition_is_found_before_the_plan_runs(build, tmp_path, condition):
    (tmp_path / "plan").write_text(step("wait_until", f"condition={condition}", "timeout=5"))

    done = subprocess.run(
        [build / "rig-agent", "--check", tmp_path / "plan"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "is not a condition" in done.stderr
