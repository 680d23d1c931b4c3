# SPDX-License-Identifier: MIT
"""Settings: one name space, and an error with its remedy for each wrong one."""

from __future__ import annotations

import pytest

from rig.errors import EXIT_USAGE, UsageError
from rig.scenario.load import load_scenario
from rig.scenario.settings import Settings, parse_settings
from rig.scenario.templates import render


def settings(*sets: str) -> Settings:
    return parse_settings(load_scenario("overcommit-oops"), sets)


def test_defaults_are_the_scenarios() -> None:
    chosen = settings()

    assert chosen.parameters == {
        "parent": 200 << 20,
        "hog": 200 << 20,
        "step": 4 << 20,
        "every": 30.0,
        "language": "c",
        "thp": "as-is",
        "maps": "few",
    }
    assert (chosen.memory, chosen.cpus, chosen.swap, chosen.clock) == (512 << 20, 1, 0, "warp")


def test_bare_names_are_parameters_dotted_ones_sysctls_reserved_ones_the_guests() -> None:
    chosen = settings("every=5s", "vm.panic_on_oom=1", "memory=600M", "kernel=debian:trixie", "clock=live")

    assert chosen.parameters["every"] == 5.0
    assert chosen.sysctls == {"vm.panic_on_oom": "1"}
    assert (chosen.memory, chosen.kernel, chosen.clock) == (600 << 20, "debian:trixie", "live")


def test_later_setting_wins() -> None:
    assert settings("every=5s", "every=7s").parameters["every"] == 7.0


@pytest.mark.parametrize(
    ("wrong", "what", "remedy"),
    [
        ("evry=5s", "no parameter 'evry'", "did you mean 'every'"),
        ("every=5x", "'5x' is not a duration", "rig show overcommit-oops"),
        ("parent=200Q", "'200Q' is not a size", "rig show overcommit-oops"),
        ("every", "'every' is not a setting", "NAME=VALUE"),
        ("language=rust", "'rust' is not one of c, python", "rig show"),
        ("step=1", "1 is out of bounds: the smallest value is 4K", "rig show"),
        ("parent=700M", "parent (700M) is larger than the guest's memory (512M)", "rig show"),
        ("hog=400M", "parent (200M) and hog (400M) together", "rig show"),
        ("step=300M", "step (300M) is larger than what there is to write", "rig show"),
        ("step=5000", "whole pages of 4K", "rig show"),
        ("memory=64M", "64M is not a guest's memory, which is 96M to 64G", "384M"),
        ("memory=512", "512 bytes is not a guest's memory", "did you mean 512M?"),
        ("memory=much", "'much' is not a size", "write a size"),
        ("cpus=0", "'0' is not a number of CPUs", "1 to 64"),
        ("clock=fast", "'fast' is not one of warp, live", None),
        ("accel=kvm", "the warp clock needs TCG", "--clock live"),
        ("vmm.panic_on_oom=1", "/proc/sys has no directory 'vmm'", "did you mean 'vm'?"),
        ("vm..x=1", "is not the name of a sysctl", None),
        ("vm.panic_on_oom=", "needs a value", None),
        ("kernel=", "'kernel' needs a value", None),
    ],
)
def test_wrong_setting_names_itself_and_the_remedy(wrong: str, what: str, remedy: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        settings(wrong)

    assert what in caught.value.what
    assert caught.value.status == EXIT_USAGE
    if remedy is not None:
        assert remedy in (caught.value.remedy or "")


def test_memory_that_is_large_enough_for_the_parent_is_taken() -> None:
    assert settings("parent=700M", "memory=1G").parameters["parent"] == 700 << 20


@pytest.mark.parametrize(
    ("sets", "prealloc"),
    [((), True), (("memory=8G",), False), (("memory=8G", "parent=4G"), True), (("parent=20M", "hog=20M"), False)],
)
def test_memory_is_preallocated_only_where_the_scenario_fills_half_of_it(sets: tuple[str, ...], prealloc: bool) -> None:
    assert parse_settings(load_scenario("overcommit-oops"), sets).prealloc is prealloc


def test_bound_on_what_a_fork_costs_grows_with_the_parent() -> None:
    scenario = load_scenario("overcommit-oops")
    claim = next(each.claim for each in scenario.claims if each.claim.id == "fork-cost-little")

    texts = [
        render(claim.text, parse_settings(scenario, sets).parameters, where="")
        for sets in ((), ("memory=16G", "parent=7G"))
    ]

    assert [text.split("less than ")[1].split(":")[0] for text in texts] == ["5 MB", "71 MB"]
