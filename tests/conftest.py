# SPDX-License-Identifier: MIT
"""For all tests: skips are counted, one whose reason is not in skips.txt fails the suite; and what several rooms share."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from rig.deadline_scale import set_deadline_scale

# No test asserts a time: on a busy machine any example may take long.
settings.register_profile("rig", deadline=None)
settings.load_profile("rig")

# Children inherit that a signal is ignored: SIGINT in a background job, SIGHUP under nohup. Tests send both to theirs.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

GUEST = Path(__file__).parents[1] / "guest"
ALLOWED = Path(__file__).with_name("skips.txt")
_unexpected: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def nothing_is_synced() -> Iterator[None]:
    """Leave out fsync() in the process of the tests: it takes most of their time on a busy disk, and none loses power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_digest_is_taken_ahead() -> Iterator[None]:
    """Start no process that reads the cache ahead of a guest: a bad call that is made here starts no guest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rig.image.prefetch.prefetch_digests", lambda store: None)
        yield


@pytest.fixture(autouse=True)
def deadline_scale_is_not_kept() -> Iterator[None]:
    """Forget the --timeout-scale of a command that a test called in its own process."""
    yield
    set_deadline_scale(None)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of what runs in the guest, built once for all workers of pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    directory = shared / "guest-build"
    with FileLock(shared / "guest-build.lock"):
        subprocess.run(["make", "-s", "-C", GUEST, f"O={directory}", "WERROR=-Werror"], check=True)
    return directory


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory below which rig keeps its runs, in `runs`, and its cache, in `cache`. Neither exists yet."""
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("RIG_CACHE", str(tmp_path / "cache"))
    return tmp_path


def _allowed() -> list[str]:
    lines = (line.strip() for line in ALLOWED.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not any(reason.startswith(allowed) for allowed in _allowed()):
            _unexpected.append(f"{report.nodeid}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _unexpected:
        terminalreporter.section("skips that tests/skips.txt does not allow", red=True)
        for line in _unexpected:
            terminalreporter.line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _unexpected and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
