# SPDX-License-Identifier: MIT
"""Sweeps, threshold searches and checks in guests, on this machine and on Dask's workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.guest.conftest import Rig, qemus, qemus_that_stay

pytestmark = pytest.mark.guest

# Small and quick, with a child that does not wait. Beside a hog of 70 MB it copies 25 MB on Debian 12, and 18 MB on
# Debian 13, whose kernel and QEMU leave less of a guest's memory. Both are well within the 40 MB that it shares.
SMALL = ("--set", "parent=40M", "--set", "every=1ms", "--set", "memory=208M")
POINTS = ("--over", "hog=1M,70M", *SMALL)


def table(out: str) -> list[dict[str, Any]]:
    """Return the rows of a sweep without the columns that differ between two runs of one point."""
    kept = ("point", "repeat", "settings", "verdict", "oom_invoker", "oom_victim", "oom_scope", "kernel_hash")
    return [{key: row[key] for key in kept} for row in json.loads(out)]


def test_verdicts_follow_the_axis(rig: Rig) -> None:
    called = rig("sweep", "overcommit-oops", *POINTS, "--json")

    assert [row["verdict"] for row in table(called.out)] == ["not-reproduced", "reproduced"], called.err
    assert called.status == 1


def test_point_that_cannot_be_run_does_not_stop_the_others(rig: Rig) -> None:
    called = rig("sweep", "overcommit-oops", "--over", "hog=1M,4G", *SMALL, "--json")

    rows = json.loads(called.out)
    assert [row["verdict"] for row in rows] == ["not-reproduced", "error"]
    assert "larger than" in rows[1]["reason"]
    assert called.status == 3


def test_killed_sweep_is_resumed_without_running_a_point_again(rig: Rig, environment: dict[str, str]) -> None:
    words = [sys.executable, "-m", "rig", "sweep", "overcommit-oops", *POINTS, "--repeat", "3", "--jobs", "1"]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = journal(environment)

    called = rig("sweep", "--resume", "last", "--json")

    assert first.startswith("[1/6]")
    rows = json.loads(called.out)
    assert len(rows) == 6
    assert [row["run"] for row in rows][: len(before)] == [row["run"] for row in before]
    assert not qemus_that_stay(environment)


def journal(environment: dict[str, str]) -> list[dict[str, Any]]:
    (path,) = Path(environment["RIG_RUNS"]).glob("sweeps/*/rows.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def test_results_are_asked_in_sql(rig: Rig) -> None:
    rig("sweep", "overcommit-oops", *POINTS, "-q")

    called = rig("results", "last", "--sql", "select hog, verdict from results order by hog", "--csv")

    assert called.out.splitlines() == ["hog,verdict", "1048576,not-reproduced", "73400320,reproduced"], called.err


def test_local_cluster_gives_the_table_of_this_machine(rig: Rig, environment: dict[str, str]) -> None:
    here = rig("sweep", "overcommit-oops", *POINTS, "--json")

    there = rig("sweep", "overcommit-oops", *POINTS, "--json", "--executor", "dask", "--jobs", "2")

    assert table(there.out) == table(here.out), there.err
    rows = json.loads(there.out)
    assert all(row["worker"].startswith("tcp://127.0.0.1:") for row in rows)
    assert all((Path(environment["RIG_RUNS"]) / row["run"] / "console.log").is_file() for row in rows)


def test_points_that_share_a_past_share_it_on_workers_too(rig: Rig) -> None:
    sweep = ("sweep", "overcommit-oops", "--over", "step=1M,2M,4M,8M", "--set", "hog=70M", *SMALL, "--json")
    here = rig(*sweep)

    there = rig(*sweep, "--executor", "dask", "--jobs", "2")

    assert table(there.out) == table(here.out), there.err
    assert [row["shared"] for row in json.loads(there.out)] == ["writing-starts"] * 4
    assert "Traceback" not in there.err
    assert "Scheduler" not in there.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("running", [False, True], ids=["starting", "running"])
def test_what_a_terminal_sends_to_all_ends_a_sweep_on_dask_quietly(
    environment: dict[str, str], number: signal.Signals, running: bool
) -> None:
    words = [sys.executable, "-m", "rig", "sweep", "overcommit-oops", *POINTS, "--repeat", "9", "--executor", "dask"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([*words, "--jobs", "2"], env=environment, text=True, start_new_session=True, **pipes)
    assert process.stdout is not None
    if running:
        process.stdout.readline()
    else:
        time.sleep(1.0)  # Dask is being imported, or its workers are

    os.killpg(process.pid, number)

    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert {line.partition(":")[0] for line in err.splitlines()} - {"rig"} <= {"finished runs are kept"}
    assert "rig: interrupted" in err.splitlines()[-1]


class Cluster:
    """A scheduler and workers started by hand, on loopback."""

    def __init__(self, environment: dict[str, str], directory: Path) -> None:
        self._environment = environment | {"DASK_LOGGING__DISTRIBUTED": "error"}
        self._directory = directory
        self.processes: list[subprocess.Popen[Any]] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0")

    def start(self, *words: str, **variables: str) -> subprocess.Popen[bytes]:
        with (self._directory / f"dask-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words],
                env=self._environment | variables,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def sweep(self, *words: str, **pipes: int) -> subprocess.Popen[str]:
        """Start a sweep on the cluster."""
        command = [sys.executable, "-m", "rig", *words, "--executor", "dask", "--scheduler", self.address]
        process = subprocess.Popen(
            command, env=os.environ | self._environment, stdout=subprocess.PIPE, text=True, **pipes
        )
        self.processes.append(process)
        return process

    def worker(self, host: str = "127.0.0.1", **variables: str) -> subprocess.Popen[bytes]:
        words = ("--nthreads", "1", "--host", host, "--dashboard-address", f"{host}:0", "--no-nanny")
        return self.start("worker", self.address, *words, "--death-timeout", "30", **variables)


@pytest.fixture
def cluster(environment: dict[str, str], tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(environment, tmp_path)
    yield made
    for process in reversed(made.processes):
        process.kill()
        process.wait()


def test_worker_that_is_killed_loses_no_point_and_doubles_none(rig: Rig, cluster: Cluster) -> None:
    first = cluster.worker()
    sweep = ("sweep", "overcommit-oops", "--over", "hog=1M,2M,3M,70M", *SMALL, "--json")
    here = rig(*sweep)
    process = cluster.sweep(*sweep)
    deadline = time.monotonic() + 60
    while not qemus(cluster._environment) and time.monotonic() < deadline:
        time.sleep(0.05)

    first.kill()
    cluster.worker()
    out, _ = process.communicate(timeout=200)

    assert table(out) == table(here.out)


def test_last_run_of_a_slow_host_is_begun_on_another_too_and_counts_once(
    rig: Rig, cluster: Cluster, tmp_path: Path
) -> None:
    sweep = ("sweep", "overcommit-oops", "--over", "hog=1M,2M,3M,70M", *SMALL, "--json", "--whole")
    here = rig(*sweep)
    theirs = {"RIG_RUNS": str(tmp_path / "theirs")}
    slow = cluster.worker("127.0.0.2", **theirs)
    process = cluster.sweep(*sweep)
    try:
        began = _until(lambda: qemus(theirs))
        # A host that is as slow as can be, with one guest of the sweep on it.
        for pid in (slow.pid, *began):
            os.kill(pid, signal.SIGSTOP)
        cluster.worker()
        out, _ = process.communicate(timeout=200)
    finally:
        for pid in (slow.pid, *began):
            os.kill(pid, signal.SIGCONT)

    assert table(out) == table(here.out)
    assert {row["worker"].split(":")[1] for row in json.loads(out)} == {"//127.0.0.1"}
    # Nobody wants what the slow host still does.
    assert qemus_that_stay(theirs) == set()
    assert _until(lambda: not list((tmp_path / "theirs").glob("*")))


def test_interrupted_sweep_ends_what_its_workers_run(cluster: Cluster, tmp_path: Path) -> None:
    theirs = {"RIG_RUNS": str(tmp_path / "theirs")}
    cluster.worker("127.0.0.2", **theirs)
    # A page at a time: unless it is ended, the run goes on for some seconds and leaves its directory.
    sweep = ("sweep", "overcommit-oops", "--over", "hog=1M,2M", *SMALL, "--set", "step=4k", "--json", "--whole")
    process = cluster.sweep(*sweep)
    assert _until(lambda: qemus(theirs))

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=60) == 130
    assert qemus_that_stay(theirs) == set()
    assert _until(lambda: not list((tmp_path / "theirs").glob("*")))


def _until(true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_worker_with_another_rig_is_refused(rig: Rig, cluster: Cluster, tmp_path: Path) -> None:
    import shutil

    import rig as package

    other = tmp_path / "other"
    shutil.copytree(Path(package.__file__).parent, other / "rig", ignore=shutil.ignore_patterns("__pycache__"))
    (other / "rig" / "units.py").open("a").write("# changed\n")
    cluster.worker(PYTHONPATH=str(other))

    called = rig("sweep", "overcommit-oops", *POINTS, "--executor", "dask", "--scheduler", cluster.address)

    assert called.status == 3
    assert "a worker has rig" in called.err
    assert "install the same rig" in called.err


def test_scheduler_without_a_worker_is_an_error(rig: Rig, cluster: Cluster) -> None:
    called = rig("sweep", "overcommit-oops", *POINTS, "--executor", "dask", "--scheduler", cluster.address)

    assert called.status == 3
    assert "the scheduler has no worker" in called.err


def test_workers_read_a_directory_of_logs_as_this_machine_does(rig: Rig, cluster: Cluster, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(40):
        task = f"CPU: 0 PID: {number} Comm: cat Not tainted 6.1.0"
        text = (
            f"[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000\n[    1.000001] {task}\n"
        )
        (logs / f"{number}.txt").write_text(text)
    cluster.worker()

    there = rig("explain", "--recursive", str(logs), "--scheduler", cluster.address)

    assert there.status == 0, there.err
    assert "40 files, 80 lines, 40 events" in there.out
    assert there.out == rig("explain", "--recursive", str(logs)).out


def test_scheduler_that_dies_amid_a_sweep_is_an_error(cluster: Cluster) -> None:
    cluster.worker()
    process = cluster.sweep("sweep", "overcommit-oops", *POINTS, "--repeat", "99", stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()

    cluster.processes[0].kill()

    _, err = process.communicate(timeout=60)
    kept, error, remedy = err.splitlines()
    assert process.returncode == 3
    assert kept.startswith("finished runs are kept: rig sweep --resume")
    assert error == f"rig: --scheduler {cluster.address}: the connection to the scheduler is lost"
    assert "start the command again" in remedy


def test_scheduler_that_is_not_there_is_an_error(rig: Rig) -> None:
    called = rig("sweep", "overcommit-oops", *POINTS, "--executor", "dask", "--scheduler", "tcp://127.0.0.1:9")

    assert called.status == 3
    assert "no scheduler answers" in called.err
    assert "Traceback" not in called.err


def test_frontier_is_bisected_and_predicted(rig: Rig) -> None:
    called = rig(
        "frontier", "overcommit-oops", "--over", "hog=0M..80M", *SMALL, "--find", "reproduced", "--repeat", "1",
        "--resolution", "2M", "--scan", "5", "--json",
    )  # fmt: skip

    edges = json.loads(called.out)
    assert called.status == 0, called.err
    assert ("not-reproduced", "reproduced") in [(edge["from"], edge["to"]) for edge in edges]
    assert [edge for edge in edges if not edge["predicted"]] == []


def test_frontier_over_a_second_axis_is_a_curve_with_its_predicted_line(rig: Rig, environment: dict[str, str]) -> None:
    called = rig(
        "frontier", "overcommit-oops", "--over", "hog=25M..65M", "--over", "vm.min_free_kbytes=2048,10240", *SMALL,
        "--repeat", "1", "--resolution", "2M", "--scan", "3", "--json",
    )  # fmt: skip

    edges = [edge for edge in json.loads(called.out) if edge["to"] == "reproduced"]
    assert [edge["vm.min_free_kbytes"] for edge in edges] == ["2048", "10240"], called.err
    (path,) = Path(environment["RIG_RUNS"]).glob("sweeps/*/frontier.json")
    curves = json.loads(path.read_text())["curves"]
    lines = [next(each["value"] for each in curve["foreseen"] if each["to"] == "reproduced") for curve in curves]
    # The guest cannot use what vm.min_free_kbytes reserves, so the threshold moves by the difference of 8 MiB.
    assert lines[0] - lines[1] == pytest.approx(8 << 20, abs=2 << 20)


def test_strict_overcommit_is_foreseen_by_the_commit_limit(rig: Rig) -> None:
    called = rig(
        "frontier", "overcommit-oops", "--over", "vm.overcommit_ratio=40..100", "--set", "vm.overcommit_memory=2",
        "--set", "hog=60M", *SMALL, "--repeat", "1", "--resolution", "2", "--scan", "4", "--json",
    )  # fmt: skip

    edges = json.loads(called.out)
    assert [edges[0]["from"], edges[0]["to"]] == ["not-reproduced", "invalid"], called.err
    assert [edge for edge in edges if not edge["predicted"]] == []


def test_frontier_without_a_change_says_what_it_saw(rig: Rig) -> None:
    called = rig("frontier", "overcommit-oops", "--over", "hog=0M..2M", *SMALL, "--scan", "2", "--repeat", "1", "-q")

    assert called.status == 1
    assert "no change of verdict in the range" in called.out
