# SPDX-License-Identifier: MIT
"""The outcome of a program, derived from the agent's records, and the verdict of its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rig.image.layer.config import ImageConfig
from rig.klog import read
from rig.program.expectation import Expectation, parse_expectation
from rig.program.hints import hint_for
from rig.program.outcome import describe_unmet, judge_program, outcome_of
from rig.program.plan import ENDED, STARTED, program_command, program_plan
from rig.program.request import ProgramRequest
from rig.report.program import output_bytes
from rig.scenario.evidence import Evidence
from rig.scenario.settings import guest_settings
from rig.telemetry.records import read_records

OOM = (Path(__file__).parents[1] / "klog/data/amd64-bookworm-oom.log").read_bytes()
# mm/page_alloc.c, warn_alloc(): a request that failed; nobody was killed.
FAILED_REQUEST = (
    b"[    8.100000] true: page allocation failure: order:10, mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null)\n"
)
PID = 82


def made(
    tmp_path: Path, *records: dict[str, Any], log: bytes = b"", end: str | None = "plan", kills: int | None = None
) -> Evidence:
    """Return what was collected of a run of `true`: these records between the agent's first and last.

    kills: what the kernel counted between them; None where the agent read neither that nor the log.
    """
    request, settings = ProgramRequest(("true",)), guest_settings()
    command = program_command(request, ImageConfig(), request.command)
    plan = program_plan(request, settings, command, layers=("/",), ids=None, stdin=None)
    index = {step.id: number for number, step in enumerate(plan.steps)}
    before, after = ({}, {}) if kills is None else ({"kmsg": True, "oom_kill": 3}, {"oom_kill": 3 + kills})
    items: list[dict[str, Any]] = [{"ev": "ready", "kernel": "6.1.0"}, {"ev": "go", **before}]
    for record in records:
        items.append({**record, "i": index[record["i"]]} if record["ev"] == "step" else record)
    items += [{"ev": "end", "reason": end, "dropped": 0, "step": 6, **after}] if end else []
    text = "".join(json.dumps({"n": n, "t": float(n), **item}) + "\n" for n, item in enumerate(items))
    (tmp_path / "events.jsonl").write_text(text)
    return Evidence(settings, plan, read_records(tmp_path / "events.jsonl"), read([log]))


SPAWN = {"ev": "spawn", "program": "true", "pid": PID}
STARTED_OK = {"ev": "step", "verb": "spawn", "i": STARTED, "ok": True}
ENDED_OK = {"ev": "step", "verb": "wait_exit", "i": ENDED, "ok": True}


def ended(**how: Any) -> tuple[dict[str, Any], ...]:
    return SPAWN, STARTED_OK, {"ev": "exit", "program": "true", "comm": "true", "pid": PID, **how}, ENDED_OK


def failed(step: str, error: str, errno: str) -> dict[str, Any]:
    return {"ev": "step", "verb": "spawn", "i": step, "ok": False, "error": error, "errno": errno, "took": 5.0}


@pytest.mark.parametrize(
    ("records", "status"),
    [
        (ended(code=0), 0),
        (ended(code=7), 7),
        (ended(signal="KILL"), 137),
        (ended(signal="SEGV"), 139),
        ((failed(STARTED, "execve of true failed", "ENOENT"),), 127),
        ((failed(STARTED, "execve of true failed", "EACCES"),), 126),
        (
            (failed(STARTED, "execve (the interpreter or loader that it names is missing) of true failed", "ENOENT"),),
            126,
        ),
        ((failed(STARTED, "chdir of true failed", "ENOENT"),), 125),
        ((SPAWN, STARTED_OK, failed(ENDED, "nothing of what was waited for came in time", "ETIMEDOUT")), 124),
        ((), 125),
        ((SPAWN, STARTED_OK), 125),
    ],
)
def test_exit_statuses(tmp_path: Path, records: tuple[dict[str, Any], ...], status: int) -> None:
    assert outcome_of(made(tmp_path, *records)).status == status


def test_end_of_a_child_with_the_same_name_is_not_the_programs(tmp_path: Path) -> None:
    child = {"ev": "exit", "program": "true", "comm": "true", "pid": PID + 1, "code": 9}

    assert outcome_of(made(tmp_path, SPAWN, STARTED_OK, child, *ended(code=0)[2:])).status == 0


@pytest.mark.parametrize(
    ("expected", "log", "how", "verdict"),
    [
        (Expectation("oom"), OOM, {"signal": "KILL"}, "reproduced"),
        (Expectation("oom"), b"", {"signal": "KILL"}, "not-reproduced"),
        (Expectation("no-oom"), b"", {"code": 1}, "reproduced"),
        (Expectation("no-oom"), OOM, {"code": 0}, "not-reproduced"),
        (Expectation("exit", "3"), b"", {"code": 3}, "reproduced"),
        (Expectation("exit", "3"), b"", {"code": 0}, "not-reproduced"),
        (Expectation("exit", "137"), b"", {"signal": "KILL"}, "not-reproduced"),
        (Expectation("signal", "KILL"), b"", {"signal": "KILL"}, "reproduced"),
        (Expectation("signal", "KILL"), b"", {"code": 0}, "not-reproduced"),
        (None, OOM, {"code": 5}, "reproduced"),
        (Expectation("oom"), FAILED_REQUEST, {"code": 0}, "not-reproduced"),
        (Expectation("no-oom"), FAILED_REQUEST, {"code": 0}, "reproduced"),
    ],
)
def test_expectation_is_the_verdict(
    tmp_path: Path, expected: Expectation | None, log: bytes, how: dict[str, Any], verdict: str
) -> None:
    assert judge_program(made(tmp_path, *ended(**how), log=log), expected).verdict == verdict


@pytest.mark.parametrize(("expected", "log", "counted"), [("oom", OOM, 0), ("no-oom", b"", 1)])
def test_log_that_disagrees_with_the_kernels_count_is_no_evidence(
    tmp_path: Path, expected: str, log: bytes, counted: int
) -> None:
    judgement = judge_program(made(tmp_path, *ended(code=0), log=log, kills=counted), Expectation(expected))

    assert judgement.verdict == "invalid"
    assert judgement.reason.startswith("kernel-said-it: ")


def test_program_that_does_not_end_is_not_reproduced(tmp_path: Path) -> None:
    records = (SPAWN, STARTED_OK, failed(ENDED, "nothing of what was waited for came in time", "ETIMEDOUT"))

    judgement = judge_program(made(tmp_path, *records), None)

    assert judgement.verdict == "not-reproduced"
    assert "did not end within 5.0 s" in judgement.claims[-1].reason


def test_guest_that_breaks_is_an_error_whatever_is_expected(tmp_path: Path) -> None:
    evidence = made(tmp_path, SPAWN, STARTED_OK, end=None)

    assert judge_program(evidence, Expectation("no-oom")).verdict == "error"


@pytest.mark.parametrize(
    ("record", "printed"),
    [
        ({"text": "a"}, b"a\n"),
        ({"text": "a", "open": True}, b"a"),
        ({"text": "\ufffd", "bytes": "/w=="}, b"\xff\n"),
        ({"text": "kept", "bytes": "not base64"}, b"kept\n"),
        ({}, b"\n"),
    ],
)
def test_output_is_what_was_printed(record: dict[str, Any], printed: bytes) -> None:
    assert output_bytes(record) == printed


@pytest.mark.parametrize(
    ("kind", "records", "words"),
    [
        ("oom", ended(code=0), "(--expect oom): the program ended with status 0, and the kernel reported no OOM"),
        ("no-oom", ended(signal="KILL"), "SIGKILL ended the program, and the kernel reported 1 OOM"),
        ("stall", ended(code=0), "no stall was seen"),
        ("exit=3", ended(code=0), "(--expect exit=3): the program ended with status 0"),
        ("signal=TERM", (SPAWN, STARTED_OK), "(--expect signal=TERM): the program did not end by itself"),
    ],
)
def test_unmet_expectation_says_what_happened(
    tmp_path: Path, kind: str, records: tuple[dict[str, Any], ...], words: str
) -> None:
    outcome = outcome_of(made(tmp_path, *records, log=OOM if kind == "no-oom" else b""))

    assert words in describe_unmet(parse_expectation(kind), outcome)


def test_time_limit_is_told_in_tenths_of_a_second(tmp_path: Path) -> None:
    late = {**failed(ENDED, "nothing of what was waited for came in time", "ETIMEDOUT"), "took": 3.000484}

    assert outcome_of(made(tmp_path, SPAWN, STARTED_OK, late)).problem.startswith("it did not end within 3.0 s of")


def test_directory_that_the_guest_lacks_has_a_hint(tmp_path: Path) -> None:
    evidence = made(tmp_path, failed(STARTED, "chdir of true failed", "ENOENT"))
    request = ProgramRequest(("true",), cwd="/none")

    assert "--cwd" in hint_for(request, ("true",), outcome_of(evidence), evidence)


def line(text: str) -> dict[str, Any]:
    return {"ev": "line", "program": "true", "pid": PID, "stream": "stderr", "text": text}


@pytest.mark.parametrize(
    ("argv", "records", "words"),
    [
        (("sh",), (failed(STARTED, "execve of sh failed", "ENOENT"),), "rig exec --deb dash -- sh"),
        (
            ("./x",),
            (failed(STARTED, "execve (the interpreter or loader that it names is missing) of ./x failed", "ENOENT"),),
            "the Debian package that has its interpreter",
        ),
        (
            ("no-such-tool",),
            (failed(STARTED, "execve of no-such-tool failed", "ENOENT"),),
            "--deb PACKAGE -- no-such-tool",
        ),
        (("./x",), (failed(STARTED, "execve of ./x failed", "ENOENT"),), "neither the guest nor this host"),
        (("./x",), (failed(STARTED, "execve of ./x failed", "EACCES"),), "name its interpreter"),
        (("python3",), (line("ModuleNotFoundError: No module named 'json'"), *ended(code=1)), "--deb python3"),
        (
            ("x",),
            (
                line(
                    "x: error while loading shared libraries: libnone.so.1: cannot open shared object file: No such file or directory"
                ),
                *ended(code=127),
            ),
            "--copy DIR/libnone.so.1:/usr/lib/x86_64-linux-gnu/",
        ),
        (
            ("x",),
            (line("x: libc.so.6: cannot open shared object file: No such file or directory"), *ended(code=1)),
            "/libc.so.6:/usr/lib/x86_64-linux-gnu/",
        ),
        (
            ("x",),
            (line("./plug/in.so: cannot open shared object file: No such file or directory"), *ended(code=3)),
            "--copy ./plug/in.so",
        ),
        (("python3",), (line("ModuleNotFoundError: No module named 'json'"), *ended(code=0)), ""),
        (("x",), ended(code=1), ""),
    ],
)
def test_hints(tmp_path: Path, argv: tuple[str, ...], records: tuple[dict[str, Any], ...], words: str) -> None:
    evidence = made(tmp_path, *records)

    hint = hint_for(ProgramRequest(argv), argv, outcome_of(evidence), evidence)

    assert words in hint
    assert bool(words) == bool(hint)


def test_python_of_a_package_is_not_told_to_take_that_package(tmp_path: Path) -> None:
    evidence = made(tmp_path, line("ModuleNotFoundError: No module named 'numpy'"), *ended(code=1))

    assert hint_for(ProgramRequest(("x",), packages=("python3",)), ("x",), outcome_of(evidence), evidence) == ""
