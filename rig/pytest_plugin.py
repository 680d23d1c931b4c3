# SPDX-License-Identifier: MIT
"""The pytest plugin: guests and runs as fixtures; console and kernel log in the report of a failed test.

Markers: `rig_kernel("debian:trixie")`, `rig_memory("384M")`, `rig_cpus(2)` choose the guest of a test;
`rig_expects_oops` lets the kernel report an oops, a warning or a panic, which fails a test otherwise.

Fixtures: `rig_run` runs a scenario and returns its run; `rig_guest` runs a plan in a guest, restored for this test from
the snapshot that all tests with these settings share; `rig_console` and `rig_klog` return the output of this test's
guests. rig is imported only when a test uses a fixture, so that the plugin costs other test suites nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from rig.run.verdict import VERDICTS

if TYPE_CHECKING:
    from rig.experiment.pytest_guests import Guest, Guests
    from rig.experiment.pytest_run import TestedRun
    from rig.klog import Log

__all__ = ["rig_console", "rig_guest", "rig_klog", "rig_run"]

GUESTS = pytest.StashKey["Guests"]()
RUNNING = pytest.StashKey["Guests | None"]()
"""In the configuration's stash: the guests of the test that is running, for pytest_assertrepr_compare."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, so that --strict-markers knows them."""
    for line in (
        "rig_kernel(spec): the guest's kernel, as in debian:trixie",
        "rig_memory(size): the guest's memory, as in 384M",
        "rig_cpus(count): the guest's CPUs",
        "rig_expects_oops: the kernel may report an oops, a warning or a panic",
    ):
        config.addinivalue_line("markers", line)


@pytest.fixture
def rig_guests(request: pytest.FixtureRequest) -> Iterator[Guests]:
    """Provide the guests of this test, with the settings of its markers, and clean up after them."""
    from rig.experiment.pytest_guests import Guests

    sets = [
        f"{name}={marker.args[0]}"
        for name in ("kernel", "memory", "cpus")
        if (marker := request.node.get_closest_marker(f"rig_{name}")) is not None
    ]
    guests = Guests(tuple(sets))
    request.node.stash[GUESTS] = guests
    request.config.stash[RUNNING] = guests
    yield guests
    request.config.stash[RUNNING] = None
    guests.close()


@pytest.fixture
def rig_guest(rig_guests: Guests) -> Guest:
    """Provide a guest: `rig_guest(plan)` runs a plan to its end and returns the agent's records."""
    return rig_guests.guest()


@pytest.fixture
def rig_run(rig_guests: Guests, request: pytest.FixtureRequest) -> Callable[..., TestedRun]:
    """Run a scenario: `rig_run("overcommit-oops", every="5s").assert_reproduced()` returns its run."""

    def run(scenario: str, **settings: object) -> TestedRun:
        from rig.experiment.pytest_run import run_properties

        done = rig_guests.run(scenario, **settings)
        request.node.user_properties.extend(run_properties(done))
        return done

    return run


@pytest.fixture
def rig_console(rig_guests: Guests) -> Callable[[], str]:
    """Provide what the consoles of this test's guests have printed so far."""
    return rig_guests.console


@pytest.fixture
def rig_klog(rig_guests: Guests) -> Callable[[], Log]:
    """Provide the kernel's log of this test's guests, read into events."""
    return rig_guests.klog


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    """Explain `assert run.verdict == "reproduced"`: the claims that do not hold, with their values."""
    guests = config.stash.get(RUNNING, None)
    if guests is None or op != "==" or left not in VERDICTS or right not in VERDICTS:
        return None
    from rig.experiment.pytest_run import describe_run

    told = [run for run in guests.runs if run.verdict in (left, right)][-1:]
    return [f"{left!r} == {right!r}", *(line for run in told for line in describe_run(run))] if told else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Fail a test in whose guest the kernel broke, and show console and events where a test failed."""
    report = yield
    guests = item.stash.get(GUESTS, None)
    if guests is None or call.when != "call":
        return report
    broke = guests.oopses()
    if report.passed and broke and item.get_closest_marker("rig_expects_oops") is None:
        report.outcome = "failed"
        report.longrepr = "\n".join(
            ["the kernel reported what the test does not expect; mark it rig_expects_oops if it should:", *broke]
        )
    if report.failed:
        _shorten(item, call, report)
        if guests.runs:
            from rig.experiment.pytest_run import describe_run

            report.sections.append(("rig: runs", "\n".join(line for run in guests.runs for line in describe_run(run))))
        report.sections.append(("rig: kernel log", "\n".join(guests.events()) or "no event"))
        report.sections.append(("rig: console", guests.console()[-8000:]))
    return report


def _shorten(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Replace the traceback of a usage error, as of a misspelt scenario, by one line that names the test's line."""
    from rig.errors import UsageError

    if call.excinfo is None or not isinstance(call.excinfo.value, UsageError):
        return
    lines = [entry.lineno + 1 for entry in call.excinfo.traceback if str(entry.path) == str(item.path)]
    report.longrepr = f"{item.path.name}:{lines[-1] if lines else '?'}: {call.excinfo.value}"
