# SPDX-License-Identifier: MIT
"""A sysctl that the guest's kernel does not have is refused before the run, where its names are known."""

from __future__ import annotations

import pytest

from rig.errors import UsageError
from rig.scenario.kernel_sysctls import refuse_unknown_sysctls
from rig.scenario.load import load_scenario
from rig.scenario.plan import RenderedPlan, render_plan
from rig.scenario.settings import parse_settings

KNOWN = frozenset(
    {
        "vm.swappiness", "vm.panic_on_oom", "kernel.pid_max", "net.core.somaxconn", "dev.scsi.logging_level",
        "net.ipv4.conf.default.rp_filter", "net.ipv4.tcp_mem",
    }
)  # fmt: skip


def plan(*sets: str) -> RenderedPlan:
    scenario = load_scenario("fork-join")
    return render_plan(scenario, parse_settings(scenario, sets))


def test_misspelt_sysctl_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError) as raised:
        refuse_unknown_sysctls(plan("vm.swapiness=10"), KNOWN, "6.1.0")

    assert raised.value.what == "there is no sysctl 'vm.swapiness' in this kernel"
    assert raised.value.remedy == "did you mean 'vm.swappiness'?"


def test_sysctl_like_no_other_is_refused_with_where_to_look() -> None:
    with pytest.raises(UsageError, match=r"no sysctl 'vm\.q'") as raised:
        refuse_unknown_sysctls(plan("vm.q=10"), KNOWN, "6.1.0")

    assert "rig shell" in str(raised.value.remedy)


@pytest.mark.parametrize(
    "sets", ["net.core.somaxcon=10", "dev.scsi.loging_level=1", "net.ipv4.tcp_men=1", "net.ipv4.conf.eth0.rp_fliter=1"]
)
def test_misspelt_sysctl_of_the_network_or_of_a_device_is_refused(sets: str) -> None:
    with pytest.raises(UsageError, match="there is no sysctl") as raised:
        refuse_unknown_sysctls(plan(sets), KNOWN, "6.1.0")

    assert "did you mean" in str(raised.value.remedy)


@pytest.mark.parametrize(
    "sets",
    [
        "vm.swappiness=10", "net.core.somaxconn=10", "dev.scsi.logging_level=1", "net.ipv4.conf.eth0.rp_filter=1",
        "net.ipv4.conf.eth0.100.rp_filter=1",
    ],
)  # fmt: skip
def test_sysctl_that_is_there_or_is_that_of_an_interface_is_let_through(sets: str) -> None:
    refuse_unknown_sysctls(plan(sets), KNOWN, "6.1.0")


def test_nothing_is_refused_where_the_names_are_not_known() -> None:
    refuse_unknown_sysctls(plan("vm.swapiness=10"), frozenset(), "6.1.0")
