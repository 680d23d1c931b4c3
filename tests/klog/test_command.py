# SPDX-License-Identifier: MIT
"""`rig explain`, run as a program."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from rig.cli.app import _run
from rig.klog import read
from rig.klog.document import document
from rig.klog.redact import Redactor
from rig.klog.schema import Document, json_schema
from tests.klog import made
from tests.zstd import zstd

Rig = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rig(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        status = _run(["explain", *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "dmesg.txt"
    path.write_bytes(made.serial([*made.oom_report(), *made.oops()]))
    return path


def test_gravest_event_is_explained_and_the_others_are_listed(rig: Rig, log: Path) -> None:
    status, out, err = rig(str(log))

    assert (status, err) == (0, "")
    assert "Event 1: out of memory: killed parent" in out
    assert "BUG: unable to handle kernel NULL pointer dereference in made_release" in out
    assert "Event 2:" not in out
    assert "1 more: --event N explains one" in out


def test_one_event_can_be_asked_for(rig: Rig, log: Path) -> None:
    status, out, _err = rig(str(log), "--event", "2")

    assert status == 0
    assert "Event 2: BUG: unable to handle kernel NULL pointer dereference in made_release" in out
    assert "Event 1:" not in out


def test_all_explains_all(rig: Rig, log: Path) -> None:
    _status, out, _err = rig(str(log), "--all")

    assert "Event 1:" in out
    assert "Event 2:" in out


@pytest.mark.parametrize("squeeze", [gzip.compress, lzma.compress, bz2.compress, zstd])
def test_compressed_logs_are_opened_whatever_their_name(rig: Rig, log: Path, squeeze: Callable[[bytes], bytes]) -> None:
    squeezed = log.with_name("kern.log.1")
    squeezed.write_bytes(squeeze(log.read_bytes()))

    status, out, _err = rig(str(squeezed))

    assert status == 0
    assert "killed parent" in out


def test_zstd_log_of_several_frames_is_read_to_its_end(rig: Rig, log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(zstd(b"".join(lines[:20])) + zstd(b"".join(lines[20:])))

    _status, out, _err = rig(str(log), "--all")

    assert "Event 2:" in out


def test_standard_input_is_read(rig: Rig, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(log.read_bytes()))))  # type: ignore[arg-type] # BytesIO is raw enough

    status, out, _err = rig()

    assert status == 0
    assert "killed parent" in out


def test_terminal_is_told_that_standard_input_is_read(rig: Rig, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(log.read_bytes())))  # type: ignore[arg-type] # BytesIO is raw enough
    monkeypatch.setattr(stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", stdin)

    _status, out, err = rig()

    assert err == "rig: reading a kernel log from standard input; Ctrl-D ends it\n"
    assert "killed parent" in out


def test_pipe_gets_whole_sentences_and_no_padding(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    _run(["explain", str(log)])

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert "1 more: --event N explains one, --all explains them all." in lines


def test_directory_of_a_run_is_read_by_its_console(rig: Rig, log: Path, tmp_path: Path) -> None:
    log.rename(tmp_path / "console.log")

    status, out, _err = rig(str(tmp_path))

    assert status == 0
    assert "killed parent" in out


def test_log_without_an_event_is_told_what_kills_silently(rig: Rig, log: Path) -> None:
    log.write_text("[    1.000000] eth0: link is up\n")

    status, out, _err = rig(str(log))

    assert status == 1
    assert "No event in 1 lines" in out
    assert "systemd-oomd" in out
    assert "137" in out


def test_file_that_is_no_log_is_said_to_be_none(rig: Rig, log: Path) -> None:
    log.write_bytes(bytes(range(256)) * 100)

    status, out, _err = rig(str(log))

    assert status == 1
    assert "does not look like a kernel log" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-file"], "no such file, and no such run"),
        (["{log}", "--event", "9"], "the log has 2 events, not 9"),
        (["{log}", "--event", "1", "--all"], "exclude each other"),
        (["{log}", "--vmlinux", "/no/such/vmlinux"], "there is no such vmlinux"),
        (["{directory}"], "this directory has no console.log"),
    ],
)
def test_usage_errors_name_the_place_and_the_remedy(rig: Rig, log: Path, arguments: list[str], words: str) -> None:
    status, out, err = rig(*(word.format(log=log, directory=log.parent) for word in arguments))

    assert status == 64
    assert out == ""
    assert words in err
    assert "try: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize("squeeze", [gzip.compress, lzma.compress, bz2.compress, zstd])
@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_compressed_log_that_is_cut_is_an_error_with_its_place(
    rig: Rig, log: Path, squeeze: Callable[[bytes], bytes], kept: float
) -> None:
    squeezed = squeeze(log.read_bytes())
    log.write_bytes(squeezed[: int(len(squeezed) * kept)])

    status, _out, err = rig(str(log))

    assert status == 3
    assert str(log) in err
    assert "Traceback" not in err


def test_file_that_is_no_elf_is_no_vmlinux(rig: Rig, log: Path) -> None:
    status, _out, err = rig(str(log), "--vmlinux", str(log))

    assert status == 64
    assert "not an ELF file" in err


def test_json_is_valid_by_its_own_schema_and_holds_every_event(rig: Rig, log: Path) -> None:
    status, out, _err = rig(str(log), "--json")

    value = json.loads(out)
    assert status == 0
    assert value["schema"] == 1
    assert [event["kind"] for event in value["events"]] == ["oom", "oops"]
    assert [explanation["number"] for explanation in value["explanations"]] == [1, 2]
    assert value["events"][0]["tasks"][1]["rss_anon"] == 51200
    Document.model_validate(value)


def test_published_schema_is_that_of_the_models(rig: Rig) -> None:
    _status, out, _err = rig("--schema")

    assert out == json_schema()
    assert issubclass(Document, BaseModel)


def test_html_is_one_file_without_network_and_escapes_the_log(rig: Rig, log: Path, tmp_path: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b"(parent)", b"(<b>x</b>)").replace(b" parent\r", b" <b>x</b>\r"))
    page = tmp_path / "report.html"

    status, _out, _err = rig(str(log), "--all", "--html", str(page))

    text = page.read_text()
    assert status == 0
    assert "killed &lt;b&gt;x&lt;/b&gt;" in text
    assert "<b>x" not in text
    assert not re.search(r"https?://|src=|href=\"(?!#L)| style=", text)
    assert "Free by zone" in text


def test_html_that_cannot_be_written_is_an_error(rig: Rig, log: Path) -> None:
    status, _out, err = rig(str(log), "--html", "/no/such/directory/report.html")

    assert status == 3
    assert "cannot be written" in err


def test_redacted_report_names_nobody(rig: Rig, log: Path) -> None:
    secret = [
        line.replace("parent", "secretd").replace("Standard PC", "Secret PC")
        for line in made.oom_report(cgroup="/customer/secretd")
    ]
    log.write_bytes(made.serial([*secret, *made.oops()]))

    for form in ([], ["--json"], ["--all"]):
        _status, out, _err = rig(str(log), "--redact", *form)

        assert not re.search(r"secret|customer", out, re.IGNORECASE), form
        assert "task-" in out


def test_redaction_keeps_figures_and_what_belongs_together() -> None:
    (event,) = read([made.serial(made.oom_report())]).events

    hidden = Redactor()(event)

    assert hidden.title == event.title.replace("parent", next(row.name for row in hidden.tasks if row.pid == 120))  # type: ignore[attr-defined] # an OomEvent
    assert [row.rss for row in hidden.tasks] == [row.rss for row in event.tasks]  # type: ignore[attr-defined] # an OomEvent
    assert hidden.victim.comm == next(row.name for row in hidden.tasks if row.pid == 120)  # type: ignore[attr-defined] # an OomEvent


def test_terminal_never_sees_what_the_log_smuggles(rig: Rig, log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b"hog", b"h\x1b[2Jg").replace(b"eth0", b"\x9b31m"))

    _status, out, _err = rig(str(log), "--all")

    assert "\x1b" not in out
    assert "\x9b" not in out


def test_document_is_stable_json() -> None:
    log = read([made.serial(made.oom_report())])

    assert document(log.lines, log.events) == document(log.lines, log.events)
