# SPDX-License-Identifier: MIT
"""The agent's verbs, run on this machine against this machine's kernel."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import step

COW_WRITER = "{payload}/programs/cow-writer"
HOG = "{payload}/programs/hog"


def shell(script: str, program: str = "sh") -> str:
    return step("spawn", f"program={program}", "arg=/bin/sh", "arg=-c", f"arg={script}")


def spawn_cow_writer(*args: str) -> str:
    return step("spawn", "program=w", f"arg={COW_WRITER}", *(f"arg={arg}" for arg in args))


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


def test_samples_come_once_a_period_and_missed_ones_are_not_made_up_for(run_plan):
    """Stop the agent for many periods. A sample that comes late may be followed soon, and the next not within a period."""
    period = 0.05
    run = run_plan(
        step("sample", f"every={period}"),
        shell("kill -STOP $PPID; sleep 0.5; kill -CONT $PPID"),
        step("wait_exit", "program=sh", "timeout=30"),
        step("sleep", "seconds=0.5"),
    )

    times = [sample["t"] for sample in run.of("sample")]
    assert len(times) > 2
    # A record's time has six digits after the point.
    assert min(after - before for before, after in zip(times, times[2:], strict=False)) > period - 1e-5


def test_sample_shows_the_program_as_the_kernel_has_it(run_plan):
    run = run_plan(
        step("spawn", "program=hog", f"arg={HOG}", "arg=16M", "oom_score_adj=500"),
        step("wait_state", "program=hog", "comm=hog", "state=T", "timeout=30"),
        step("sample", "label=full", "pss=1"),
        step("check_rss", "program=hog", "min=16M", "max=32M"),
        step("check_rss", "program=hog", "min=1G"),
        step("signal", "program=hog", "signal=KILL"),
        step("wait_exit", "program=hog", "timeout=30"),
    )

    sample = run.of("sample")[0]
    process = sample["procs"][0]
    assert sample["label"] == "full"
    assert (process["comm"], process["state"], process["oom_score_adj"]) == ("hog", "T", 500)
    assert 16 * 1024 <= process["pss_kb"] <= process["rss_kb"] + 512
    assert sample["meminfo"]["MemTotal"] > sample["meminfo"]["MemAvailable"] > 0
    assert "oom_kill" in sample["vmstat"]
    assert [check["ok"] for check in run.of("check")] == [True, False]


def test_pagemap_shows_what_the_fork_shares_and_what_a_write_copies(run_plan):
    run = run_plan(
        spawn_cow_writer("--size", "8M", "--step", "1M", "--every", "0", "--advise", "nothuge"),
        step("wait_line", "program=w", "text=filled", "timeout=30"),
        step("signal", "program=w", "signal=CONT"),
        step("wait_line", "program=w", "text=child ready", "timeout=30"),
        step("pagemap", "program=w", "comm=child", "region=array", "label=before"),
        step("signal", "program=w", "comm=child", "signal=CONT"),
        step("wait_line", "program=w", "text=done", "timeout=30"),
        step("pagemap", "program=w", "comm=parent", "region=array", "label=after", "on_error=go"),
    )

    before, *_ = run.of("pagemap")
    assert before["runs"] == [[2048, "shared"]]
    assert before["last"] is True


def test_pagemap_every_shows_the_copying_go_on_until_the_process_is_gone(run_plan):
    """The child is stopped, then writes, then is killed: each state lasts longer than a period."""
    run = run_plan(
        spawn_cow_writer("--size", "64M", "--step", "1M", "--every", "300ms", "--advise", "nothuge"),
        step("wait_line", "program=w", "text=filled", "timeout=30"),
        step("signal", "program=w", "signal=CONT"),
        step("wait_line", "program=w", "text=child ready", "timeout=30"),
        step("pagemap", "program=w", "comm=child", "region=array", "label=each", "every=0.05"),
        step("sleep", "seconds=0.1"),
        step("signal", "program=w", "comm=child", "signal=CONT"),
        step("wait_line", "program=w", "text=step 1", "timeout=30"),
        step("sleep", "seconds=0.1"),
        step("signal", "program=w", "comm=child", "signal=KILL"),
        step("wait_exit", "program=w", "timeout=30"),
        step("sleep", "seconds=0.1"),
    )

    maps = run.of("pagemap")
    private = [sum(count for count, state in each["runs"] if state == "private") for each in maps]
    assert run.of("end")[0]["reason"] == "plan"
    assert {each["label"] for each in maps} == {"each"}
    assert private[0] == 0
    assert private == sorted(private)
    assert private[-1] >= 256
    assert maps[-1]["n"] < run.of("exit")[0]["n"]
    assert all(each["took"] >= 0 for each in maps)


def test_pagemap_every_0_stops_it(run_plan):
    run = run_plan(
        step("spawn", "program=hog", f"arg={HOG}", "arg=1M"),
        step("wait_state", "program=hog", "comm=hog", "state=T", "timeout=30"),
        step("pagemap", "program=hog", "region=hog", "every=0.1"),
        step("sleep", "seconds=0.25"),
        step("pagemap", "program=hog", "region=hog", "every=0"),
        step("sleep", "seconds=0.5"),
        step("signal", "program=hog", "signal=KILL"),
    )

    maps = [record["n"] for record in run.of("pagemap")]
    assert maps
    assert max(maps) < run.step(4)["n"]


def test_pagemap_of_an_unknown_region_says_so(run_plan):
    run = run_plan(
        step("spawn", "program=hog", f"arg={HOG}", "arg=1M"),
        step("wait_state", "program=hog", "comm=hog", "state=T", "timeout=30"),
        step("pagemap", "program=hog", "region=lake", "on_error=go"),
        step("pagemap", "program=hog", "region=hog", "pfns=1"),
        step("signal", "program=hog", "signal=KILL"),
    )

    assert run.step(2)["error"] == "hog printed no region named lake"
    assert len(run.of("pagemap")[0]["pfns"]) == 256
    if os.geteuid() == 0:
        assert all(run.of("pagemap")[0]["pfns"])


def test_kcmp_tells_one_open_file_from_two(run_plan):
    run = run_plan(
        shell("exec 3</etc/passwd; (kill -STOP $(sh -c 'echo $PPID')) & exec 4</etc/passwd; echo open; wait"),
        step("wait_line", "program=sh", "text=open", "timeout=30"),
        step("wait_state", "program=sh", "comm=sh", "state=T", "timeout=30"),
        step("tree"),
        step("kcmp", "a=sh/sh", "b=sh/sh", "a_fd=3", "b_fd=3", "label=same"),
        step("kcmp", "a=sh/sh", "b=sh/sh", "a_fd=3", "b_fd=4", "label=other"),
        step("fds", "program=sh", "fd=3", "fd=4"),
        step("signal", "program=sh", "signal=KILL"),
    )

    assert [record["same"] for record in run.of("kcmp")] == [True, False]
    assert len(run.of("tree")[0]["procs"]) == 2
    assert [fd["path"] for fd in run.of("fds")[0]["fds"]] == ["/etc/passwd"] * 2


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


def test_spawn_takes_environment_directory_and_limits(run_plan):
    run = run_plan(
        shell('echo "$WORD"; pwd; ulimit -n').rstrip() + "\tenv=WORD=a\\tb\tcwd=/usr\trlimit=NOFILE:77\n",
        step("wait_exit", "program=sh", "timeout=30"),
    )

    assert run.lines() == ["a\tb", "/usr", "77"]


def test_spawn_with_an_unknown_limit_says_what_is_taken(run_plan):
    run = run_plan(step("spawn", "program=sh", "arg=/bin/sh", "rlimit=PATIENCE:1", "on_error=go"))

    assert run.step(0)["error"] == "rlimit is NAME:NUMBER, as NPROC:10, at most 8 of them"


def test_programs_get_no_descriptor_of_the_agents(run_plan):
    run = run_plan(shell("ls -l /proc/self/fd | wc -l"), step("wait_exit", "program=sh", "timeout=30"))

    assert run.lines() == ["5"]  # "total", 0, 1, 2 and the directory itself


def test_sysctl_that_does_not_exist_is_named(run_plan):
    run = run_plan(step("sysctl", "name=vm.no_such", "value=1"))

    assert run.step(0)["errno"] == "ENOENT"
    assert "there is no sysctl vm.no_such in this kernel" in run.step(0)["error"]


def test_sysctl_name_cannot_leave_its_directory(run_plan):
    run = run_plan(step("sysctl", "name=../../etc/motd", "value=1"))

    assert run.step(0)["errno"] == "EINVAL"


def test_write_reads_back(run_plan, tmp_path):
    target = tmp_path / "deep" / "file"
    (tmp_path / "deep").mkdir()
    target.write_text("old")

    run = run_plan(step("write", f"path={target}", "value=new"))

    assert (run.of("write")[0]["asked"], run.of("write")[0]["got"]) == ("new", "new")
    assert target.read_text() == "new"


def test_programs_do_not_outlive_a_plan_that_runs_here(run_plan):
    run = run_plan(
        shell("sleep 1000 & sleep 1000 & echo both; wait"),
        step("wait_line", "program=sh", "text=both", "timeout=30"),
        step("tree"),
    )

    pids = [process["pid"] for process in run.of("tree")[0]["procs"]]
    assert len(pids) == 3
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()


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


def test_streamed_output_comes_whole(run_plan):
    run = run_plan(
        step("spawn", "program=sh", "arg=/bin/sh", "arg=-c", "stream=1",
             r"arg=printf 'a\\377\n'; head -c 300000 /dev/zero | tr '\\0' x; printf '\\nend'"),
        step("wait_exit", "program=sh", "timeout=30"),
    )  # fmt: skip
    lines = run.of("line")
    rest = "".join(line["text"] + ("" if line.get("open") else "\n") for line in lines[1:])

    assert base64.b64decode(lines[0]["bytes"]) == b"a\xff"
    assert "open" not in lines[0]
    assert rest == "x" * 300000 + "\nend"
    assert run.records[-1]["dropped"] == 0


def test_standard_input_is_a_file(run_plan, tmp_path):
    (tmp_path / "input").write_text("from a file\n")

    run = run_plan(
        step("spawn", "program=cat", "arg=/bin/cat", f"stdin={tmp_path}/input"),
        step("wait_exit", "program=cat", "timeout=30"),
    )

    assert run.lines() == ["from a file"]


def test_name_without_a_slash_is_looked_for_in_path(run_plan, tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\necho found\n")
    (tmp_path / "tool").chmod(0o755)

    run = run_plan(
        step("spawn", "program=tool", "arg=tool", f"env=PATH=/no/such:{tmp_path}"),
        step("wait_exit", "program=tool", "timeout=30"),
        step("spawn", "program=none", "arg=no-such-tool", "on_error=go"),
    )

    assert run.lines() == ["found"]
    assert (run.step(2)["errno"], run.step(2)["error"]) == ("ENOENT", "execve of no-such-tool failed")


def test_file_without_permission_in_path_is_told_from_no_file(run_plan, tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\n")

    run = run_plan(step("spawn", "program=tool", "arg=tool", f"env=PATH={tmp_path}:/no/such"))

    assert run.step(0)["errno"] == "EACCES"


def test_missing_interpreter_is_told_from_a_missing_file(run_plan, tmp_path):
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)

    run = run_plan(step("spawn", "program=script", f"arg={tmp_path}/script"))

    assert run.step(0)["errno"] == "ENOENT"
    assert "interpreter or loader" in run.step(0)["error"]


def test_spawn_in_a_root_that_was_not_made_fails(run_plan):
    run = run_plan(step("spawn", "program=x", "arg=/bin/true", "root=nowhere"))

    assert "no root of that name" in run.step(0)["error"]


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


def forked(directory: Path, count: int, ending: int = 0) -> tuple[str, ...]:
    """Return the steps that fork `count` children of one program and take the sample `all`.

    ending: of these children, that end once the program is continued; it prints `ended` then.
    """
    source = directory / "many.py"
    source.write_text(
        "import os, signal, time\n"
        "agent, (first, go), (end, held) = os.getppid(), os.pipe(), os.pipe()\n"
        f"for number in range({count}):\n"
        "    if os.fork() == 0:\n"
        "        os.close(held), os.close(go)\n"
        f"        os.read(first if number < {ending} else end, 1)\n"  # until the parent has closed its end, or is gone
        "        os._exit(0)\n"
        "print('forked', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
        "os.close(go)\n"
        f"for _ in range({ending}):\n"
        "    os.wait()\n"
        "print('ended', flush=True)\n"
        "while os.getppid() == agent:\n"
        "    time.sleep(0.05)\n"
    )
    return (
        step("spawn", "program=p", "arg=/usr/bin/env", "arg=python3", "arg=-S", f"arg={source}"),
        step("wait_line", "program=p", "text=forked", "timeout=60"),
        step("sample", "label=all"),
    )


def test_processes_beyond_those_watched_are_counted_however_many_there_are(run_plan, tmp_path):
    # The kernel gives the list of a task's children a page at a time, some 700 of them.
    run = run_plan(*forked(tmp_path, 1500))

    sample = run.of("sample")[0]
    assert len(sample["procs"]) + sample["procs_left_out"] == 1501


def test_processes_are_watched_once_others_have_ended(run_plan, tmp_path):
    run = run_plan(
        *forked(tmp_path, 200, ending=150),
        step("signal", "program=p", "comm=python3", "signal=CONT"),
        step("wait_line", "program=p", "text=ended", "timeout=60"),
        step("sample", "label=rest"),
    )

    before, after = run.of("sample")
    assert before["procs_left_out"] == 201 - len(before["procs"])
    assert len(after["procs"]) == 51
    assert "procs_left_out" not in after


def test_heartbeat_adds_up_how_late_its_beats_were(run_plan):
    run = run_plan(step("heartbeat", "every=0.02"), step("sleep", "seconds=0.2"), step("sample", "label=a"))

    heartbeat = run.of("sample")[0]["heartbeat"]
    assert heartbeat["beats"] > 1
    assert {"timer", "pages", "file", "longest"} < heartbeat.keys()


def test_heartbeat_that_was_killed_is_missing_and_not_late(run_plan):
    run = run_plan(
        step("heartbeat", "every=0.02"),
        shell(
            "beat=$(cut -d ' ' -f 1 /proc/$PPID/task/$PPID/children); kill -9 $beat;"
            "while kill -0 $beat 2>/dev/null; do sleep 0.01; done"
        ),
        step("wait_exit", "program=sh", "timeout=10"),
        step("sample", "label=a"),
    )

    assert "heartbeat" not in run.of("sample")[0]


def test_only_one_heartbeat_runs(run_plan):
    run = run_plan(step("heartbeat"), step("heartbeat", "on_error=go"), step("heartbeat", "label=x", "on_error=go"))

    assert run.step(1)["errno"] == "EEXIST"
