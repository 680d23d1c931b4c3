# SPDX-License-Identifier: MIT
"""cow-writer and hog, in C and in Python: the lines, phases and refusals that scenarios rest on."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def resident_kb(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


@pytest.fixture(params=["c", "python"])
def cow_writer(request, build):
    if request.param == "c":
        return [build / "programs" / "cow-writer"]
    return [sys.executable, build / "python" / "cow_writer.py"]


@pytest.fixture(params=["c", "python"])
def hog(request, build):
    if request.param == "c":
        return [build / "programs" / "hog"]
    return [sys.executable, build / "python" / "hog.py"]


def run(*argv, **options):
    return subprocess.run([*argv], capture_output=True, text=True, timeout=60, check=False, **options)


def test_lines_of_a_whole_run(cow_writer):
    done = run(*cow_writer, "--size", "3M", "--step", "1M", "--every", "0", "--no-stop")

    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert re.fullmatch(r"region array [0-9a-f]+000 300000", lines[0])
    assert lines[1] == "filled 3145728"
    assert "child ready" in lines
    assert [line for line in lines if line.startswith("step")] == [
        "step 1 1048576", "step 2 2097152", "step 3 3145728",
    ]  # fmt: skip
    # The parent says that it forked when it gets to run, which may be after the child was done.
    assert "done" in lines
    assert lines[-1] == "child exited 0"


def test_steps_bound_what_is_written(cow_writer):
    done = run(*cow_writer, "--size", "3M", "--step", "1M", "--every", "0", "--steps", "2", "--no-stop")

    assert "step 2 2097152" in done.stdout
    assert "step 3" not in done.stdout


@pytest.mark.parametrize("touch", ["read", "write"])
def test_touch_prefaults_before_ready(cow_writer, touch):
    done = run(*cow_writer, "--size", "1M", "--step", "1M", "--every", "0", "--no-stop", "--touch", touch)

    lines = done.stdout.splitlines()
    assert lines.index("prefaulted 1048576") < lines.index("child ready")


def test_map_populate_stops_with_its_pages_there_and_none_written(build):
    command = [build / "programs" / "cow-writer", "--size", "16M", "--touch", "map-populate"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        try:
            _, status = os.waitpid(parent.pid, os.WUNTRACED)
            resident = resident_kb(parent.pid)
        finally:
            parent.kill()
        said = parent.stdout.read()

    assert os.WIFSTOPPED(status)
    assert os.WSTOPSIG(status) == signal.SIGSTOP
    assert said.startswith("region array")
    assert "filled" not in said
    # Before Linux 6.2 a task's resident pages are counted in batches of 64.
    assert resident >= 16 * 1024 - 4 * 64


@pytest.mark.parametrize(
    "wrong",
    [["--size", "big"], ["--size", "-1M"],
     ["--every", "often"], ["--size", "1"], ["--step", "5000"], ["--touch", "me"],
     ["--steps", "-1"], ["--nonsense"], ["stray"]],
)  # fmt: skip
def test_usage_error_is_64_and_says_why(cow_writer, wrong):
    done = run(*cow_writer, *wrong)

    assert done.returncode == 64
    assert done.stdout == ""
    assert "--help says more" in done.stderr


def test_help_teaches(cow_writer, hog):
    for program in (cow_writer, hog):
        done = run(*program, "--help")

        assert done.returncode == 0
        assert "SIGCONT" in done.stdout
        assert "mmap: ENOMEM" in done.stdout


def limit_address_space(size):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


def test_refused_memory_is_a_line_and_71(build):
    for argv in (
        [build / "programs" / "cow-writer", "--size", "1G"],
        [build / "programs" / "hog", "1G"],
        [sys.executable, build / "python" / "hog.py", "1G"],
        [sys.executable, build / "python" / "cow_writer.py", "--size", "1G"],
    ):
        done = run(*argv, preexec_fn=limit_address_space(512 << 20))

        assert (done.returncode, done.stdout.splitlines()[-1]) == (71, "mmap: ENOMEM")


def test_dontfork_leaves_the_child_without_the_array(build):
    done = run(
        build / "programs" / "cow-writer", "--size", "1M", "--step", "1M", "--every", "0", "--no-stop",
        "--advise", "dontfork",
    )  # fmt: skip

    assert done.stdout.splitlines()[-1] == "child killed SEGV"


@pytest.mark.parametrize("method", ["fork", "clone-vm", "vfork", "posix_spawn"])
def test_each_way_to_make_a_child_writes_all_steps(build, method):
    done = run(
        build / "programs" / "cow-writer", "--size", "2M", "--step", "1M", "--every", "0", "--no-stop",
        "--method", method,
    )  # fmt: skip

    assert "step 2 2097152" in done.stdout
    assert done.stdout.splitlines()[-1] == "child exited 0"
    assert ("region own" in done.stdout) == (method in ("vfork", "posix_spawn"))


def test_hog_says_what_it_holds_and_stays(hog):
    process = subprocess.Popen([*hog, "--no-stop", "4M"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert re.fullmatch(r"region hog [0-9a-f]+000 400000\n", process.stdout.readline())
        assert process.stdout.readline() == "hogging 4194304\n"
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_hog_takes_blocks_as_a_service_does(hog):
    process = subprocess.Popen([*hog, "--no-stop", "--blocks", "64K", "4M"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "hogging 4194304\n"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("wrong", [[], ["lots"], ["1"], ["--blocks", "1", "1M"], ["1M", "2M"], ["--nonsense", "1M"]])
def test_wrong_hog_is_64(hog, wrong):
    done = run(*hog, *wrong)

    assert done.returncode == 64
