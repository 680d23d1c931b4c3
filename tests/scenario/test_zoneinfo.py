# SPDX-License-Identifier: MIT
"""/proc/zoneinfo, as kernels print it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rig.scenario.zoneinfo import ZoneState, read_zoneinfo
from tests.scenario.made import ZONEINFO


def test_zones_with_memory_are_read_without_the_boost_and_with_every_cpus_list() -> None:
    assert read_zoneinfo(ZONEINFO) == (
        ZoneState(node=0, name="DMA", free=3808, min=23, protection=446, per_cpu=0),
        ZoneState(node=0, name="DMA32", free=12000, min=677, protection=0, per_cpu=100),
    )


def test_text_that_is_none_has_no_zones() -> None:
    assert read_zoneinfo("") == read_zoneinfo("MemFree: 3 kB\n") == ()


@given(st.text())
def test_no_text_raises(text: str) -> None:
    read_zoneinfo("Node 0, zone DMA\n managed 5\n" + text)
