# SPDX-License-Identifier: MIT
"""The agent's samples, page maps and heartbeat, against this machine's kernel."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .conftest import HOG, shell, spawn_cow_writer, step


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


def test_sample_is_not_lost_with_a_setting_that_became_large(run_plan, tmp_path):
    names = ("small", "large", "larger")
    paths = [f"/proc/self/root{tmp_path}/{name}" for name in names]
    for name in names:
        (tmp_path / name).touch()
    # In a record each of these bytes takes six.
    (tmp_path / "values").write_bytes(b"\1" * 8000 + b"x")

    run = run_plan(
        *(step("write", f"path={path}", "value=1") for path in paths),
        shell(f"cd {tmp_path} && cp values large && cp values larger && echo made; exec sleep 60"),
        step("wait_line", "program=sh", "text=made", "timeout=30"),
        step("sample", "label=then"),
    )

    sample = run.of("sample")[0]
    assert sample["files"][paths[0]] == "1"
    assert None in [sample["files"][path] for path in paths[1:]]
    assert sample["procs"]


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


def python(script: str) -> str:
    command = ("arg=/usr/bin/env", "arg=python3", "arg=-S", "arg=-c")
    return step("spawn", "program=p", *command, "arg=" + script.replace("\n", "\\n"))


def test_memory_written_to_a_file_in_memory_is_taken(run_plan):
    """A memfd is no memory of the process's own: its RSS is that of an empty interpreter."""
    run = run_plan(
        python(
            "import os, signal; file = os.memfd_create('f'); data = b'x' * 65536\n"
            "for _ in range(512): os.write(file, data)\n"
            "print('written', flush=True), signal.pause()"
        ),
        step("wait_line", "program=p", "text=written", "timeout=30"),
        step("wait_rss", "program=p", "min=32M", "timeout=30"),
        step("check_rss", "program=p", "min=32M"),
        step("signal", "program=p", "signal=KILL"),
    )

    check = run.of("check")[0]
    assert run.step(2)["ok"]
    assert check["ok"]
    assert check["files_kb"] == 32 * 1024 > check["rss_kb"] - 16 * 1024


def test_file_in_memory_is_taken_beside_other_shared_memory(run_plan):
    """Of a file that is mapped too the larger number counts, and of others the sum: 16 MB mapped and written, 8 and 8."""
    run = run_plan(
        python(
            "import mmap, os, signal; data = b'x' * 65536\n"
            "one = os.memfd_create('one'); other = os.memfd_create('other'); shared = mmap.mmap(-1, 8 << 20)\n"
            "for _ in range(256): os.write(one, data)\n"
            "for _ in range(128): os.write(other, data); shared.write(data)\n"
            "both = mmap.mmap(one, 16 << 20); total = sum(both[i] for i in range(0, 16 << 20, 4096))\n"
            "print('written', flush=True), signal.pause()"
        ),
        step("wait_line", "program=p", "text=written", "timeout=30"),
        step("check_rss", "program=p", "min=32M"),
        step("signal", "program=p", "signal=KILL"),
    )

    check = run.of("check")[0]
    assert check["files_kb"] == 24 * 1024
    assert check["pss_shmem_kb"] >= 24 * 1024
    assert 32 * 1024 <= check["taken_kb"] < 40 * 1024


def test_processes_that_share_their_memory_have_not_taken_it_twice(run_plan):
    run = run_plan(
        spawn_cow_writer("--size", "32M", "--step", "1M", "--every", "0", "--method", "clone-vm"),
        step("wait_line", "program=w", "text=filled", "timeout=30"),
        step("signal", "program=w", "signal=CONT"),
        step("wait_line", "program=w", "text=child ready", "timeout=30"),
        step("wait_rss", "program=w", "min=32M", "timeout=30"),
        step("wait_rss", "program=w", "min=48M", "timeout=0.1", "on_error=go"),
        step("check_rss", "program=w", "comm=parent", "min=32M"),
        step("check_rss", "program=w", "comm=child", "min=32M"),
        step("signal", "program=w", "signal=KILL"),
    )

    parent, child = run.of("check")
    assert (run.step(4)["ok"], run.step(5)["ok"]) == (True, False)
    assert parent["pid"] != child["pid"]
    assert parent["vm"] == child["vm"]


GROWING = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
static int grow(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "second");
	for (int i = 0; ; i++)
		if (mmap(NULL, 4096 << i % 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			return 1;
}
int main(void)
{
	static char stack[65536];
	prctl(PR_SET_NAME, "first");
	if (clone(grow, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0)
		return 1;
	puts("shared");
	fflush(stdout);
	pause();
}
"""


def test_processes_that_share_their_memory_are_known_while_it_grows(run_plan, tmp_path):
    (tmp_path / "growing.c").write_text(GROWING)
    subprocess.run(["gcc", "-O2", tmp_path / "growing.c", "-o", tmp_path / "growing"], check=True)
    look = [step("check_rss", "program=p", f"comm={comm}", "min=1") for comm in ("first", "second")]
    look.append(step("sleep", "seconds=0.02"))

    run = run_plan(
        step("spawn", "program=p", f"arg={tmp_path}/growing"),
        step("wait_line", "program=p", "text=shared", "timeout=30"),
        step("wait_state", "program=p", "comm=second", "state=R", "timeout=30"),
        *look * 50,
        step("signal", "program=p", "signal=KILL"),
    )

    assert len({check["pid"] for check in run.of("check")}) == 2
    assert len({check["vm"] for check in run.of("check")}) == 1


def test_processes_that_share_pages_since_a_fork_have_not_taken_them_twice(run_plan):
    run = run_plan(
        spawn_cow_writer("--size", "32M", "--step", "1M", "--every", "0"),
        step("wait_line", "program=w", "text=filled", "timeout=30"),
        step("signal", "program=w", "signal=CONT"),
        step("wait_line", "program=w", "text=child ready", "timeout=30"),
        step("wait_rss", "program=w", "min=48M", "timeout=0.1", "on_error=go"),
        step("check_rss", "program=w", "comm=child", "min=32M"),
        step("signal", "program=w", "signal=KILL"),
    )

    assert run.step(4)["ok"] is False
    assert run.of("check")[0]["ok"] is False
    assert run.of("check")[0]["rss_kb"] >= 32 * 1024


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


def test_array_without_room_for_its_marks_has_no_count_of_new_pages(run_plan):
    def mapped(index: int) -> str:
        return step("pagemap", "program=hog", f"start={0x10000 * index:x}", "length=1000")

    run = run_plan(
        step("spawn", "program=hog", f"arg={HOG}", "arg=1M"),
        step("wait_state", "program=hog", "comm=hog", "state=T", "timeout=30"),
        *(mapped(index) for index in range(1, 18)), mapped(1), mapped(17),
        step("signal", "program=hog", "signal=KILL"),
    )  # fmt: skip

    first, *_, seventeenth, again, seventeenth_again = run.of("pagemap")
    assert "fresh_faults" not in first
    assert "fresh_faults" in again
    for each in (seventeenth, seventeenth_again):
        assert each["fresh_faults"] is None
        assert each["migrated"] is None


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
        step("kcmp", "a=sh", "b=sh", "a_fd=3", "b_fd=3", "label=same"),
        step("kcmp", "a=sh", "b=sh", "a_fd=3", "b_fd=4", "label=other"),
        step("fds", "program=sh", "fd=3", "fd=4"),
        step("signal", "program=sh", "signal=KILL"),
    )

    assert [record["same"] for record in run.of("kcmp")] == [True, False]
    assert len(run.of("tree")[0]["procs"]) == 2
    assert [fd["path"] for fd in run.of("fds")[0]["fds"]] == ["/etc/passwd"] * 2


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
        step("signal", "program=p", "signal=CONT"),
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
