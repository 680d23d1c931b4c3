# SPDX-License-Identifier: MIT
"""A memory limit of cgroup version 1 is refused before the run where the kernel's configuration says that it has none."""

from __future__ import annotations

import pytest

from rig.errors import UsageError
from rig.scenario.kernel_cgroups import CGROUP_V1, refuse_memory_of_cgroup_v1
from rig.scenario.plan import RenderedPlan, RenderedStep

WITHOUT = "CONFIG_MEMCG=y\n# CONFIG_MEMCG_V1 is not set\n"
LIMIT = RenderedStep("cgroup", (("name", "small"), ("memory.limit_in_bytes", "32M")))
CPUS = RenderedStep("cgroup", (("name", "small"), ("cpuset.cpus", "0")))


def plan(*steps: RenderedStep) -> RenderedPlan:
    return RenderedPlan(steps, ())


def test_memory_file_that_the_kernel_was_built_without_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError) as raised:
        refuse_memory_of_cgroup_v1(plan(LIMIT), ("quiet", CGROUP_V1), "debian:sid, 7.2.13", lambda: WITHOUT)

    assert raised.value.what.startswith("this kernel has no memory.limit_in_bytes")
    assert str(raised.value.where) == "debian:sid, 7.2.13, CONFIG_MEMCG_V1"
    assert "--kernel debian:bookworm" in str(raised.value.remedy)


@pytest.mark.parametrize(
    ("steps", "append", "configuration"),
    [
        ((LIMIT,), (CGROUP_V1,), "CONFIG_MEMCG=y\n"),
        ((LIMIT,), (CGROUP_V1,), "CONFIG_MEMCG=y\nCONFIG_MEMCG_V1=y\n"),
        ((LIMIT,), (CGROUP_V1,), None),
        ((LIMIT,), (), WITHOUT),
        ((CPUS,), (CGROUP_V1,), WITHOUT),
    ],
)
def test_plan_that_the_kernel_can_run_is_not_refused(
    steps: tuple[RenderedStep, ...], append: tuple[str, ...], configuration: str | None
) -> None:
    refuse_memory_of_cgroup_v1(plan(*steps), append, "a kernel", lambda: configuration)
