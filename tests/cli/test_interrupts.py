# SPDX-License-Identifier: MIT
"""An interrupt waits for the modules that are being imported, and is not lost where no exception can be raised."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import rig
from rig.cli.ending import was_interrupted

KILL = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


def _run(tmp_path: Path, command: str, *, ignored: bool = False) -> subprocess.CompletedProcess[str]:
    """Run rig with a function `run_command` in place of its own."""
    (tmp_path / "held.py").write_text(f"import rig.cli.app as app\nfrom rig.cli import main\n{command}\n"
                                      "app.run_command = run_command\nmain()\n")  # fmt: skip
    path = os.pathsep.join([str(tmp_path), str(Path(rig.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, "-m", "held"], env=os.environ | {"PYTHONPATH": path}, cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL),
    )  # fmt: skip


def test_module_is_imported_whole_before_the_interrupt(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(f"{KILL}import time\ntime.sleep(0.05)\nopen('whole', 'w').close()\n")

    done = _run(tmp_path, "def run_command():\n import slow, time\n time.sleep(50)")

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "rig: interrupted\n")
    assert (tmp_path / "whole").exists()


def test_module_that_catches_all_errors_catches_no_interrupt(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text("try:\n import slow\nexcept BaseException:\n pass\n")
    (tmp_path / "slow.py").write_text(KILL)

    done = _run(tmp_path, "def run_command():\n import greedy, time\n time.sleep(50)")

    assert (done.returncode, done.stderr) == (130, "rig: interrupted\n")


def test_interrupt_within_a_destructor_is_not_lost(tmp_path: Path) -> None:
    within = "class Held:\n def __del__(self):\n  os.kill(os.getpid(), signal.SIGINT)\n  sum(range(1000))\n"

    done = _run(tmp_path, f"import os, signal, time\n{within}\ndef run_command():\n Held()\n time.sleep(50)")

    assert (done.returncode, done.stderr) == (130, "rig: interrupted\n")


def test_other_exception_within_a_destructor_is_printed(tmp_path: Path) -> None:
    within = "class Held:\n def __del__(self):\n  raise ValueError('mine')\n"

    done = _run(tmp_path, f"{within}\ndef run_command():\n Held()\n return 0")

    assert done.returncode == 0
    assert "Exception ignored" in done.stderr
    assert "ValueError: mine" in done.stderr


@pytest.mark.parametrize("where", ["def run_command():\n raise", "raise"])
def test_error_that_an_interrupt_caused_is_an_interrupt(where: str, tmp_path: Path) -> None:
    """Python 3.11 raises RuntimeError in place of an interrupt within __set_name__()."""
    (tmp_path / "module.py").write_text(f"{where} RuntimeError('of __set_name__') from KeyboardInterrupt()\n")
    command = "def run_command():\n import module\n module.run_command()"

    done = _run(tmp_path, command)

    assert (done.returncode, done.stderr) == (130, "rig: interrupted\n")


def test_asyncio_cancels_its_task_on_an_interrupt_as_before(tmp_path: Path) -> None:
    work = (
        "async def work():\n"
        " os.kill(os.getpid(), signal.SIGINT)\n"
        " try:\n  await asyncio.sleep(50)\n"
        " except asyncio.CancelledError:\n  print('cancelled')\n  raise\n"
    )

    done = _run(tmp_path, f"import asyncio, os, signal\n{work}\ndef run_command():\n asyncio.run(work())")

    assert (done.returncode, done.stdout, done.stderr) == (130, "cancelled\n", "rig: interrupted\n")


def test_interrupt_is_still_held_after_asyncio_has_run(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(f"{KILL}open('whole', 'w').close()\n")
    work = "async def work():\n pass\n"

    done = _run(
        tmp_path,
        f"import asyncio, time\n{work}\ndef run_command():\n asyncio.run(work())\n import slow\n time.sleep(50)",
    )

    assert (done.returncode, done.stderr) == (130, "rig: interrupted\n")
    assert (tmp_path / "whole").exists()


def test_interrupt_that_is_ignored_from_the_start_stays_ignored(tmp_path: Path) -> None:
    done = _run(tmp_path, f"def run_command():\n {KILL.replace(chr(10), chr(10) + ' ')}\n return 0", ignored=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_error_that_is_its_own_cause_is_no_interrupt() -> None:
    error = ValueError("once")
    error.__cause__ = OSError("twice")
    error.__cause__.__cause__ = error

    assert not was_interrupted(error)
