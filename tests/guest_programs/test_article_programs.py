# SPDX-License-Identifier: MIT
"""The programs of the article's scenarios: what each prints, and what it prints when its premise does not hold."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ\n"


@pytest.fixture
def call(build):
    def run(name, *args, **options):
        return subprocess.run(
            [build / "programs" / name, *args],
            capture_output=True, text=True, timeout=60, check=False, **options,
        )  # fmt: skip

    return run


@pytest.fixture(params=["c", "python"])
def shared_offset(request, build):
    if request.param == "c":
        return [build / "programs" / "fd-shared-offset"]
    return [sys.executable, build / "python" / "fd_shared_offset.py"]


@pytest.fixture(params=["c", "python"])
def respawn_program(request, build):
    if request.param == "c":
        return [build / "programs" / "respawn"]
    return [sys.executable, build / "python" / "respawn.py"]


def run(*argv):
    return subprocess.run([*argv], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text"
    path.write_text(ALPHABET)
    return path


def test_fork_returns_the_childs_pid_and_zero(call):
    done = call("fork-returns-twice", "--no-stop")

    lines = done.stdout.splitlines()
    assert lines.count("bye") == 2
    assert "child returned 0" in lines
    assert re.search(r"^parent returned [1-9]\d*$", done.stdout, re.MULTILINE)
    assert "counter 0" in lines


def test_clone_with_shared_memory_counts_in_one_variable(call):
    done = call("fork-returns-twice", "--no-stop", "--method", "clone-vm")

    assert "counter 1" in done.stdout.splitlines()


def test_stdio_buffer_is_copied_too(call):
    assert call("fork-returns-twice", "--no-stop", "--buffered").stdout.count("buffered") == 2


def test_thread_has_the_pid_of_its_process_and_counts_in_its_memory(call):
    done = call("fork-returns-twice", "--no-stop", "--method", "clone-thread")

    pid, tid = re.search(r"^child is (\d+) (\d+)$", done.stdout, re.MULTILINE).groups()
    assert done.returncode == 0
    assert f"parent returned {tid}\n" in done.stdout
    assert pid != tid
    assert "counter 1\n" in done.stdout


def test_method_of_making_a_child_that_there_is_not_is_refused(call):
    done = call("fork-returns-twice", "--method", "clone")

    assert done.returncode == 64
    assert "none of the choices" in done.stderr


def test_last_sharer_of_pages_takes_a_fault_for_each(call):
    assert "parent alone 3\n" in call("memory-is-copied", "--no-stop").stdout


@pytest.mark.parametrize("how", ["word", "page"])
def test_cost_of_a_write_is_measured_on_a_named_machine(call, how):
    done = call("cow-cost", "--no-stop", "--pages", "8", "--write", how)

    assert done.returncode == 0
    assert re.match(r"hypervisor \S+\n", done.stdout)
    assert "minflt first 8\n" in done.stdout


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_every_word_is_computed_once(call, jobs):
    done = call("fork-join", "--no-stop", "--size", "1M", "--jobs", str(jobs))

    assert done.stdout.splitlines()[-3:] == ["once 131072", "never 0", "more 0"]
    assert sorted(re.findall(r"exited (\d+)", done.stdout)) == [str(job) for job in range(1, jobs)]


def test_killed_job_is_told_by_its_signal_and_missing_half(call):
    done = call("fork-join", "--no-stop", "--size", "1M", "--kill", "1")

    assert re.search(r"child \d+ killed KILL", done.stdout)
    assert "never 32768" in done.stdout


def test_private_memory_loses_the_childrens_work(call):
    done = call("fork-join", "--no-stop", "--size", "1M", "--private")

    assert "never 65536" in done.stdout


@pytest.mark.parametrize(
    ("options", "child", "parent"),
    [([], 2, 1), (["--writer", "parent"], 1, 2), (["--shared"], 2, 2)],
)
def test_write_after_fork_is_seen_by_its_writer_alone(call, options, child, parent):
    done = call("memory-is-copied", "--no-stop", *options)

    if options != ["--writer", "parent"]:
        assert f"child sees {child}" in done.stdout
    assert f"parent sees {parent}" in done.stdout


def test_first_write_faults_once_a_page_and_the_second_does_not(call):
    done = call("cow-cost", "--no-stop", "--pages", "100")

    faults = dict(re.findall(r"minflt (\w+) (\d+)", done.stdout))
    assert faults == {"before": "0", "first": "100", "second": "0"}
    for name in faults:
        values = re.findall(rf"^cycles {name} \d+ (.*)$", done.stdout, re.MULTILINE)
        assert sum(len(line.split()) for line in values) == 100


def test_enough_children_is_no_refusal(call):
    done = call("fork-fails", "--no-stop", "--count", "3")

    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "forked 3")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_process_limit_refuses_with_eagain(build):

    def limited():
        os.setgid(64123)
        os.setuid(64123)
        resource.setrlimit(resource.RLIMIT_NPROC, (3, 3))

    with (build / "programs" / "fork-fails").open("rb") as file:
        done = subprocess.run(
            [f"/proc/self/fd/{file.fileno()}", "--no-stop", "--count", "10"],
            capture_output=True, text=True, check=False, preexec_fn=limited, pass_fds=[file.fileno()],
        )  # fmt: skip

    assert (done.returncode, done.stdout.splitlines()[-2:]) == (71, ["forked 2", "fork: EAGAIN"])


def test_child_reads_on_where_the_parent_stopped(shared_offset, text_file):
    done = run(*shared_offset, "--no-stop", text_file)

    assert f"parent read {ALPHABET[:29]}" in done.stdout
    assert f"child read {ALPHABET[29:58]}" in done.stdout
    assert "child write: EBADF" in done.stdout
    assert "parent flags NONBLOCK" in done.stdout


def test_file_opened_after_the_fork_is_not_shared(shared_offset, text_file):
    done = run(*shared_offset, "--no-stop", "--reopen", text_file)

    assert f"child read {ALPHABET[:29]}" in done.stdout
    assert "parent flags none" in done.stdout


def test_passed_descriptor_shares_the_offset(call, text_file):
    done = call("fd-passing", "--no-stop", text_file)

    assert "child read b" in done.stdout
    assert "parent read c" in done.stdout


def test_passed_number_means_nothing(call, text_file):
    done = call("fd-passing", "--no-stop", "--number", text_file)

    assert "child read: EBADF" in done.stdout
    assert "parent read b" in done.stdout


@pytest.mark.parametrize("program", ["fd-passing", "fd-shared-offset"])
def test_missing_file_is_a_line_and_71(call, program):
    done = call(program, "--no-stop", "/no/such/file")

    assert done.returncode == 71
    assert "open: ENOENT" in done.stdout.splitlines()


@pytest.mark.parametrize(("transport", "kind"), [("pipe", "pipe"), ("socketpair", "socket"), ("unix", "socket")])
def test_same_two_programs_over_each_transport(call, transport, kind):
    done = call("pipe-launcher", "--transport", transport, "--", "--changes", "50", "--every", "0")

    lines = done.stdout.splitlines()
    assert f"reading {kind}" in lines
    assert lines[-3:] == ["child exited 0", "changes 50", "signals 50"]


def test_signals_that_are_not_queued_may_be_lost_but_changes_are_not(call):
    done = call("pipe-launcher", "--", "--changes", "200", "--every", "0", "--signal", "usr1")

    assert "changes 200" in done.stdout
    assert 1 <= int(re.search(r"signals (\d+)", done.stdout)[1]) <= 200


class Respawn:
    """The program, its lines read as they come."""

    def __init__(self, program, *args):
        self.process = subprocess.Popen([*program, *args], stdout=subprocess.PIPE, text=True)

    def until(self, *patterns):
        """Read until each pattern has matched a line, in whatever order; return the last pattern's match."""
        matches = [None] * len(patterns)
        assert self.process.stdout is not None
        while not all(matches):
            line = self.process.stdout.readline()
            assert line, f"the program ended without {patterns}"
            for i, pattern in enumerate(patterns):
                matches[i] = matches[i] or re.fullmatch(pattern, line.rstrip())
        return matches[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()  # it takes its tasks along; SIGKILL would leave them behind
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.mark.parametrize(
    ("sent", "reported"),
    [(signal.SIGKILL, "killed KILL"), (signal.SIGSEGV, "killed SEGV"), (signal.SIGUSR1, "exited 3")],
)
def test_task_is_born_again_in_its_slot(respawn_program, sent, reported):
    with Respawn(respawn_program, "--tasks", "2") as respawn:
        first = int(respawn.until("task 2 ready", r"born 2 (\d+)")[1])

        os.kill(first, sent)

        assert respawn.until(r"died (\d) (\d+) (.*)").groups() == ("2", str(first), reported)
        assert int(respawn.until(r"born 2 (\d+)")[1]) != first


def test_term_stops_all_tasks(respawn_program):
    with Respawn(respawn_program, "--tasks", "3") as respawn:
        pids = [int(respawn.until(rf"born {slot} (\d+)")[1]) for slot in (1, 2, 3)]

        respawn.process.terminate()

        respawn.until("stopped")
        assert respawn.process.wait(10) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_task_grows_when_asked(respawn_program):
    with Respawn(respawn_program, "--tasks", "1", "--grow", "1M") as respawn:
        pid = int(respawn.until("task 1 ready", r"born 1 (\d+)")[1])

        os.kill(pid, signal.SIGUSR2)

        respawn.until("grown 1")


@pytest.mark.parametrize(
    "program",
    ["fork-returns-twice", "fork-join", "memory-is-copied", "cow-cost", "fork-fails", "fd-shared-offset",
     "fd-passing", "respawn", "pipe-launcher", "child-app", "parent-app"],
)  # fmt: skip
def test_help_teaches_and_usage_errors_are_64(call, program):
    taught, wrong = call(program, "--help"), call(program, "--nonsense")

    assert taught.returncode == 0
    assert "Exit status" in taught.stdout
    assert (wrong.returncode, wrong.stdout) == (64, "")
    assert "--help says more" in wrong.stderr


@pytest.mark.parametrize(
    "argv",
    [["fork-join", "--jobs", "0"], ["fork-join", "--size", "1", "--jobs", "2"], ["fork-join", "--kill", "5"],
     ["memory-is-copied", "--page", "4"], ["memory-is-copied", "--writer", "me"], ["cow-cost", "--pages", "9999"],
     ["fork-fails", "--method", "magic"], ["fd-passing"], ["respawn", "--tasks", "10"],
     ["pipe-launcher", "--transport", "pigeon"], ["child-app", "--signal", "smoke"]],
)  # fmt: skip
def test_wrong_values_are_64(call, argv):
    done = call(*argv)

    assert done.returncode == 64
    assert done.stderr


def anonymous_kb(pid):
    """Private dirty memory of a process: what fork no longer shares."""
    return int(re.search(r"Private_Dirty:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())[1])


@contextmanager
def snapshot_server(build, *options):
    """The server, and a list of its children: who hears of one puts it there, and it ends with the server."""
    process = subprocess.Popen(
        [sys.executable, build / "python" / "snapshot_server.py", "--size", "32M", *options],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    children = []
    try:
        yield process, children
    finally:
        for pid in (*children, process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def snapshot_cost(build, *options):
    """kB that the child of snapshot_server.py holds alone after its snapshot."""
    with snapshot_server(build, *options) as (process, children):
        for line in process.stdout:
            if line.startswith("forked"):
                children.append(int(line.split()[1]))
            if line.startswith("snapshot"):
                wait_stopped(children[0])
                return anonymous_kb(children[0])
            if line.startswith("filled"):
                wait_stopped(process.pid)
                os.kill(process.pid, signal.SIGCONT)
            if line.startswith("child ready"):
                if not children:
                    children.append(int(process.stdout.readline().split()[1]))
                wait_stopped(children[0])
                os.kill(children[0], signal.SIGCONT)
    raise AssertionError("the program ended without its snapshot")


def wait_stopped(pid):
    for _ in range(1000):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} did not stop")


def test_walking_python_objects_copies_them_and_walking_bytes_does_not(build):
    walked, nothing = snapshot_cost(build), snapshot_cost(build, "--how", "nothing")
    as_bytes = snapshot_cost(build, "--bytes")

    assert walked > nothing + 8 * 1024
    assert as_bytes < nothing + 4 * 1024


def test_freeze_keeps_the_collector_away_from_the_table(build):
    collected = snapshot_cost(build, "--how", "collect")
    frozen = snapshot_cost(build, "--how", "collect", "--freeze")

    assert collected > frozen + 8 * 1024


def minor_faults(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def parents_faults(build, *options):
    """Pages that the parent of snapshot_server.py faulted on between its fork and `wrote`; it changes nothing."""
    with snapshot_server(build, *options) as (process, children):
        assert process.stdout.readline().startswith("region table")
        assert process.stdout.readline().startswith("filled")
        wait_stopped(process.pid)
        before = minor_faults(process.pid)
        os.kill(process.pid, signal.SIGCONT)
        for line in process.stdout:
            if line.startswith("forked"):
                children.append(int(line.split()[1]))
            if line.startswith("wrote"):
                return minor_faults(process.pid) - before
    raise AssertionError("the program ended without `wrote`")


def test_parents_own_collector_copies_what_it_holds_after_the_fork_unless_frozen(build):
    copied, frozen = parents_faults(build), parents_faults(build, "--freeze")

    assert copied * resource.getpagesize() > 8 << 20
    assert frozen * resource.getpagesize() < 2 << 20
