# SPDX-License-Identifier: MIT
"""`rig explain --recursive`: the logs of a directory, counted by cause, victim and host; broken ones stop nothing."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.cli.app import _run
from rig.cli.explain_directory import summarize
from tests.klog import made


def syslog(host: str, lines: list[str]) -> bytes:
    return "".join(f"Nov 25 12:00:00 {host} kernel: [   12.345678] {line}\n" for line in lines).encode()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    directory = tmp_path / "logs"
    (directory / "web").mkdir(parents=True)
    report = made.oom_report()
    (directory / "web/kern.log").write_bytes(syslog("web1", report) + syslog("web2", [*report, *made.oops()]))
    (directory / "kern.log.1.gz").write_bytes(gzip.compress(syslog("db1", made.oom_report(cgroup="/pod"))))
    (directory / "broken.gz").write_bytes(gzip.compress(syslog("db2", report) * 50)[:200])
    (directory / "archive.bin").write_bytes(bytes(range(256)) * 100)
    (directory / "quiet.log").write_text("[    1.000000] eth0: link is up\n")
    return directory


def test_totals_are_by_cause_victim_and_host(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["explain", "--recursive", str(logs), "--json"]) == 0

    value = json.loads(capsys.readouterr().out)
    assert value["schema"] == 1
    assert value["files"] == 5
    assert value["events_by_kind"] == {"oom": 3, "oops": 1}
    assert value["oom_by_cause"] == {"processes": 2, "cgroup-memory": 1}
    assert value["oom_by_killed"] == {"parent": 3}
    assert value["oom_by_host"] == {"web1": 1, "web2": 1, "db1": 1}
    assert [Path(each["file"]).name for each in value["broken"]] == ["archive.bin", "broken.gz"]


def test_table_counts_broken_files(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["explain", "--recursive", str(logs)]) == 0

    out = capsys.readouterr().out
    assert "5 files" in out
    assert "2 files could not be read to the end" in out
    assert "cgroup-memory" in out


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a program that reads many logs, the leader of a process group as a terminal's is."""
    for each in range(64):
        (tmp_path / f"{each}.log").write_bytes(syslog("web1", made.oom_report()) * 60)
    words = [sys.executable, "-m", "rig", "explain", "--recursive", str(tmp_path)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("after", [0.35, 0.5, 0.65, 0.8])
def test_what_a_terminal_sends_to_all_ends_it_quietly(
    reading: subprocess.Popen[str], number: signal.Signals, after: float
) -> None:
    # Its workers are started, import rig, or read.
    time.sleep(after)

    os.killpg(reading.pid, number)

    _, err = reading.communicate(timeout=60)
    assert reading.returncode == 128 + number
    assert err.splitlines() == ["rig: interrupted" if number == signal.SIGINT else "rig: interrupted by SIGHUP"]


def test_worker_that_is_killed_is_an_error(reading: subprocess.Popen[str]) -> None:
    started = Path(f"/proc/{reading.pid}/task/{reading.pid}/children")
    while not (workers := [pid for pid in started.read_text().split() if b"spawn_main" in command(pid)]):
        time.sleep(0.01)

    os.kill(int(workers[0]), signal.SIGKILL)

    _, err = reading.communicate(timeout=60)
    assert reading.returncode == 3
    assert (
        err.splitlines()[0] == "rig: --recursive: a process that read logs was killed: perhaps there was no memory left"
    )
    assert "Traceback" not in err


def command(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_event_of_many_logs_names_its_file(logs: Path) -> None:
    summary, lines = summarize(((str(logs / "web/kern.log"), str(logs / "broken.gz")), True))

    assert [Path(json.loads(line)["file"]).name for line in lines] == ["kern.log"] * 3
    assert summary.files == 2
    assert len(summary.broken) == 1


def test_directory_without_an_event_has_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["explain", "--recursive", str(tmp_path)]) == 1

    assert "0 files" in capsys.readouterr().out


def test_file_is_a_usage_error(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["explain", "--recursive", str(logs / "quiet.log")]) == 64

    assert "not a directory" in capsys.readouterr().err
