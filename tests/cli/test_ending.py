# SPDX-License-Identifier: MIT
"""How rig ends: the promised status and a line that says why, whatever happens to its output or to itself."""

from __future__ import annotations

import asyncio
import gc
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

import rig
from rig.cli import main
from rig.cli.ending import watch_signals
from tests.report.made_directory import write_directory

RIG = [sys.executable, "-m", "rig"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    runs = tmp_path / "runs"
    for number in range(3):
        write_directory(runs / f"20250131-1200{number:02}-abcd")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "RIG_RUNS": str(runs), "RIG_CACHE": str(tmp_path / "cache")}


def _closed_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


CALLS = [["runs"], ["list"], ["--help"], ["explain", "console.log"]]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_reader_that_has_gone_gives_141(call: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    cwd = tmp_path / "runs/20250131-120000-abcd"

    done = subprocess.run(
        [*RIG, *call], stdout=_closed_pipe(), stderr=subprocess.PIPE, env=environment, cwd=cwd, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_full_disk_under_standard_output_gives_3(call: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    cwd = tmp_path / "runs/20250131-120000-abcd"

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*RIG, *call], stdout=full, stderr=subprocess.PIPE, env=environment, cwd=cwd, text=True, check=False
        )

    assert done.returncode == 3
    assert done.stderr == "rig: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_error_keeps_its_status_where_nobody_reads_it(stream: str, environment: dict[str, str]) -> None:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: _closed_pipe()}

    done = subprocess.run([*RIG, "report", "nothing"], env=environment, check=False, **streams)  # type: ignore[call-overload] # both are descriptors

    assert done.returncode == 64


def _begun(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, "it did not begin"
        time.sleep(0.01)


SIGNALS = [
    (signal.SIGINT, 130, "rig: interrupted\n"),
    (signal.SIGTERM, 143, "rig: interrupted by SIGTERM\n"),
    (signal.SIGHUP, 129, "rig: interrupted by SIGHUP\n"),
]


@pytest.mark.parametrize(("number", "status", "line"), SIGNALS)
def test_signal_within_a_string_of_code_gives_the_same_status(
    number: signal.Signals, status: int, line: str, tmp_path: Path
) -> None:
    """dataclasses and namedtuples run strings of code while rig's modules are imported."""
    (tmp_path / "held.py").write_text(
        "import rig.cli.app as app\nfrom rig.cli import main\n"
        f"app.run_command = lambda: exec('import os; os.kill(os.getpid(), {int(number)})')\nmain()\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(rig.__file__).parents[1])])

    done = subprocess.run(
        [sys.executable, "-m", "held"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (status, line)


def _compiler(tmp_path: Path) -> None:
    """A make that tells that it has begun, and does not end."""
    make = tmp_path / "bin/make"
    make.parent.mkdir()
    make.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\ntouch {tmp_path}/begun\nwait\n")
    make.chmod(0o755)


@pytest.mark.parametrize(("number", "status", "line"), SIGNALS)
def test_signal_ends_rig_and_what_it_started_with_a_line_and_leaves_nothing(
    number: signal.Signals, status: int, line: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """Rig waits for a thread that waits for a compiler: the way it hangs when only the main thread is interrupted."""
    _compiler(tmp_path)
    environment["PATH"] = f"{tmp_path}/bin:{environment['PATH']}"
    environment["RIG_KERNEL"] = "/nonexistent"
    code = (
        "from rig.image.guestcode import build_guest_code; from rig.image.store import Store; build_guest_code(Store())"
    )
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, concurrent.futures as c\n"
        "import rig.cli.app as app\n"
        f"def work():\n  {code}\n"
        "def held():\n"
        "  with c.ThreadPoolExecutor() as pool: pool.submit(work).result()\n"
        "app.app.command('held')(held)\n"
        "app.COMMANDS = {}\n"
        "app._OnDemand.get_command = lambda self, ctx, name: app.typer.main.get_command_from_info("
        "app.app.registered_commands[0], pretty_exceptions_short=False, rich_markup_mode=None)\n"
        "import rig.cli\n"
        "sys.argv = ['rig', 'held']\n"
        "rig.cli.main()\n"
    )

    with subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _begun(tmp_path / "begun")
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()

    assert (process.returncode, out, err) == (status, "", line)
    assert not list((tmp_path / "cache/tmp").iterdir())
    child = Path("/proc") / (tmp_path / "child").read_text().strip()
    assert not child.exists() or "Z" in (child / "stat").read_text()


def test_interrupt_while_rig_is_imported_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        def find_spec(self, name: str, *rest: object) -> None:
            if name == "rig.cli.app":
                raise KeyboardInterrupt

    monkeypatch.setattr("rig.cli.ending.watch_signals", lambda: None)
    monkeypatch.delitem(sys.modules, "rig.cli.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])

    with pytest.raises(SystemExit) as caught:
        main()

    assert caught.value.code == 130
    assert capfd.readouterr().err == "rig: interrupted\n"


@pytest.mark.parametrize("module", ["rig.cli", "rig.cli.ending"])
def test_interrupt_before_anything_else_is_said(
    module: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = sys.modules[module]

    class Interrupting:
        def __getattr__(self, name: str) -> None:
            if not name.startswith("__"):
                sys.modules[module] = whole
                raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, module, Interrupting())
    monkeypatch.setattr(sys, "argv", ["rig", "list"])

    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(Path(rig.__file__).with_name("__main__.py")))

    assert caught.value.code == 130
    assert capfd.readouterr().err == "rig: interrupted\n"


def test_interrupt_while_the_command_line_is_parsed_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rig.cli.ending.watch_signals", lambda: None)
    monkeypatch.setattr("rig.cli.app._OnDemand.parse_args", interrupt)
    monkeypatch.setattr(sys, "argv", ["rig", "list"])

    with pytest.raises(SystemExit) as caught:
        main()

    assert caught.value.code == 130
    assert capfd.readouterr().err == "rig: interrupted\n"


def test_task_that_an_interrupt_ended_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def ended() -> None:
        raise KeyboardInterrupt

    async def work() -> None:
        kept = asyncio.ensure_future(asyncio.to_thread(ended))
        await asyncio.sleep(60)
        await kept

    monkeypatch.setattr("rig.cli.ending.signal", Mock())
    monkeypatch.setattr("rig.cli.ending.threading", Mock())
    monkeypatch.setattr("rig.cli.ending._received", [signal.SIGTERM])
    watch_signals()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(work())
    gc.collect()

    assert caplog.messages == []


def test_connection_that_ends_after_an_interrupt_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def closed() -> None:
        raise EOFError

    async def work() -> None:
        # As qemu.qmp gathers its reader and its writer (AsyncProtocol._establish_session()).
        both = asyncio.gather(closed(), asyncio.sleep(60))
        while not both.done():
            await asyncio.sleep(0)

    monkeypatch.setattr("rig.cli.ending.signal", Mock())
    monkeypatch.setattr("rig.cli.ending.threading", Mock())
    received: list[int] = []
    monkeypatch.setattr("rig.cli.ending._received", received)
    watch_signals()

    asyncio.run(work())
    gc.collect()
    undisturbed = [*caplog.messages]
    caplog.clear()
    received.append(signal.SIGTERM)
    asyncio.run(work())
    gc.collect()

    assert "exception was never retrieved" in "".join(undisturbed)
    assert caplog.messages == []


def test_fault_of_rig_after_an_interrupt_shows_its_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def faulty() -> None:
        raise ValueError

    async def work() -> None:
        both = asyncio.gather(faulty(), asyncio.sleep(60))
        while not both.done():
            await asyncio.sleep(0)

    monkeypatch.setattr("rig.cli.ending.signal", Mock())
    monkeypatch.setattr("rig.cli.ending.threading", Mock())
    monkeypatch.setattr("rig.cli.ending._received", [signal.SIGTERM])
    watch_signals()

    asyncio.run(work())
    gc.collect()

    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError]


def test_hangup_is_ignored_under_nohup(environment: dict[str, str]) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    code = "import os, signal, rig.cli, sys; from rig.cli import ending; ending.watch_signals(); os.kill(os.getpid(), signal.SIGHUP)"

    done = subprocess.run(
        [sys.executable, "-c", code + "; print('on')"], preexec_fn=ignore, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "on\n")
