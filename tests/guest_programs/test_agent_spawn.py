# SPDX-License-Identifier: MIT
"""How the agent starts programs, and what it sets, on this machine."""

from __future__ import annotations

import base64
from pathlib import Path

from .conftest import shell, step


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
