# SPDX-License-Identifier: MIT
"""`rig explain --recursive`: the logs of a directory, counted by cause, victim and host; broken ones stop nothing."""

from __future__ import annotations

import gzip
import json
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
