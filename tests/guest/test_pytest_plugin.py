# SPDX-License-Identifier: MIT
"""The pytest plugin in guests, used as the tests of another project would use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.image.store import Store

pytestmark = pytest.mark.guest
pytest_plugins = ["pytester"]
# pytester sets HOME to an empty directory, so rig's default cache there holds no image.
CACHE = Store().root


@pytest.fixture(autouse=True)
def shared_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RIG_CACHE", str(CACHE))
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))


FEW = "memory='208M', parent='40M', hog='70M', every='1ms'"


def test_run_and_its_log_are_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        def test_oom(rig_run, rig_klog, rig_console):
            run = rig_run("overcommit-oops", {FEW})

            assert run.verdict == "reproduced"
            assert rig_klog().of_kind("oom")
            assert "invoked oom-killer" in rig_console()
        """
    )

    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_guest_is_fresh_for_each_test_and_of_the_marked_size(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        pytestmark = [pytest.mark.rig_memory("160M"), pytest.mark.rig_kernel("debian:bookworm")]

        @pytest.mark.parametrize("number", [1, 2])
        def test_guest(rig_guest, number):
            records = rig_guest("read path=/tmp/left on_error=go\\nwrite path=/tmp/left value=x on_error=go\\nend")

            read = next(each for each in records if each["ev"] == "step" and each["verb"] == "read")
            assert not read["ok"]
            assert next(each for each in records if each["ev"] == "go")["mem_total_kb"] < 160 * 1024
        """
    )

    result = pytester.runpytest_subprocess("-n", "2")

    result.assert_outcomes(passed=2)


def test_failing_test_shows_console_and_events(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        def test_oom(rig_run):
            assert rig_run("overcommit-oops", {FEW}).verdict == "invalid"
        """
    )

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*rig: kernel log*", "oom: *", "*rig: console*", "*invoked oom-killer*"])


PANIC = """
import pytest
{mark}
def test_panic(rig_guest):
    rig_guest("write path=/proc/sys/kernel/panic value=-1\\nwrite path=/proc/sysrq-trigger value=c on_error=go\\nend")
"""


def test_oops_that_is_not_expected_fails_a_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PANIC.format(mark=""))

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the kernel reported what the test does not expect*"])


def test_oops_that_is_expected_does_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PANIC.format(mark="@pytest.mark.rig_expects_oops"))

    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_wrong_plan_is_an_error_that_names_the_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_guest(rig_guest):
            rig_guest("nonsense")
        """
    )

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*line 1: there is no verb 'nonsense'*"])
