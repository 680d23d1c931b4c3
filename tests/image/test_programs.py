# SPDX-License-Identifier: MIT
"""Programs that rig starts on the host: their failure does not end rig, and they end with rig."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rig.deadline_scale import set_deadline_scale
from rig.errors import RigError, UsageError
from rig.image.hosttools import run_tool
from rig.image.programs import run_program, started_program


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _pid_in(path: Path) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().endswith("\n"):
            return int(path.read_text())
        time.sleep(0.01)
    raise AssertionError("the program did not start")


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not _alive(pid)


def test_program_that_ends_its_process_group_does_not_end_rig(tmp_path: Path) -> None:
    """mmdebstrap does so when the disk is full: rig and the script that called it were gone without a word."""
    script = tmp_path / "mmdebstrap"
    script.write_text("#!/bin/sh\necho 'No space left on the moon' >&2\ntrap '' HUP\nkill -HUP 0\nexit 25\n")
    script.chmod(0o755)
    call = "from rig.image.hosttools import run_tool; run_tool(['mmdebstrap'], what='fetching')"

    done = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -c "{call}"; echo "the caller lives on"'],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )

    assert done.stdout == "the caller lives on\n"
    assert "fetching failed: mmdebstrap ended with status 25" in done.stderr


def test_what_a_program_says_when_it_fails_is_shown(tmp_path: Path) -> None:
    with pytest.raises(RigError) as caught:
        run_tool(["sh", "-c", "echo the reason >&2; exit 3"], what="the work")

    assert caught.value.detail == "the reason"
    assert "the work failed: sh ended with status 3" in str(caught.value)


def test_end_of_the_block_ends_the_program_and_what_it_started(tmp_path: Path) -> None:
    children = f"sleep 100 & echo $! > {tmp_path}/pid; wait"

    with pytest.raises(ZeroDivisionError), started_program(["sh", "-c", children]):  # noqa: PT012 # it must run
        pid = _pid_in(tmp_path / "pid")
        raise ZeroDivisionError

    assert _gone(pid)


def test_program_is_ended_where_no_thread_can_watch_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def refuse(self: threading.Timer) -> None:
        started.append(_pid_in(tmp_path / "pid"))
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", refuse)

    with pytest.raises(RuntimeError, match="new thread"):
        run_program(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 100 & wait"])

    assert _gone(started[0])


def test_input_is_given_and_output_comes_back() -> None:
    done = run_program(["cat"], input=b"a text")

    assert (done.returncode, done.stdout) == (0, b"a text")


def test_program_that_does_not_end_is_ended_at_its_scaled_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_deadline_scale(None)
    monkeypatch.setenv("RIG_TIMEOUT_SCALE", "0.1")

    with pytest.raises(RigError, match=r"sh was ended: it was not done within 0.05 s .*RIG_TIMEOUT_SCALE=3") as caught:
        run_tool(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 100 & wait"], what="the work", deadline=0.5)

    assert caught.value.where.startswith("/")
    assert not (tmp_path / "pid").exists() or _gone(_pid_in(tmp_path / "pid"))


def test_program_that_hangs_while_it_is_read_is_the_error_and_not_its_cut_output() -> None:
    with (  # noqa: PT012 # the block meets the end of the output
        pytest.raises(RigError, match="sh was ended"),
        started_program(["sh", "-c", "echo half; exec sleep 100"], deadline=0.1) as program,
    ):
        assert program.stdout is not None
        program.stdout.read()
        raise ValueError("it is cut short")


def test_program_whose_output_is_not_read_to_its_end_is_not_waited_for() -> None:
    with started_program(["yes"]) as program:
        assert program.stdout is not None
        program.stdout.read(10)


@pytest.mark.parametrize("factor", ["often", "0", "nan", "1000"])
def test_factor_of_deadlines_that_is_none_is_a_usage_error(factor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_deadline_scale(None)
    monkeypatch.setenv("RIG_TIMEOUT_SCALE", factor)

    with pytest.raises(UsageError, match=f"RIG_TIMEOUT_SCALE: '{factor}' is not a factor"):
        run_program(["true"])


def test_programs_in_threads_end_when_rig_is_ended(tmp_path: Path) -> None:
    code = f"""
import threading, time
from pathlib import Path
from rig.image.programs import end_programs, run_program
def work():
    try:
        run_program(["sh", "-c", "echo $$ > {tmp_path}/pid; sleep 100; echo $$ > {tmp_path}/after"])
    except KeyboardInterrupt:
        print("interrupted")
thread = threading.Thread(target=work)
thread.start()
while not Path("{tmp_path}/pid").exists():
    time.sleep(0.01)
end_programs()
thread.join()
try:
    run_program(["true"])
except KeyboardInterrupt:
    print("none is started")
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout == "interrupted\nnone is started\n", done.stderr
    assert _gone(_pid_in(tmp_path / "pid"))
    assert not (tmp_path / "after").exists()
