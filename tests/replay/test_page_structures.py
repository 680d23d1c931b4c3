# SPDX-License-Identifier: MIT
"""The address of the kernel's array of struct page: from the variable vmemmap_base, or the fixed layout's constant."""

from __future__ import annotations

from typing import Any

import pytest

from rig.replay.postmortem.pages import _page_structures


@pytest.mark.parametrize(
    ("variables", "base"),
    [({"vmemmap_base": 0xFFFFD40000000000}, 0xFFFFD40000000000), ({}, 0xFFFFEA0000000000)],
)
def test_fixed_layout_has_no_variable_for_it(variables: dict[str, Any], base: int) -> None:
    assert _page_structures(variables) == base
