# SPDX-License-Identifier: MIT
"""--fast and --maps stand for parameters of the scenario, by their names."""

from __future__ import annotations

import pytest

from rig.cli.options import PointOptions, named_settings
from rig.errors import UsageError


def test_fast_sets_the_parameter_and_a_setting_of_the_user_overrides_it() -> None:
    assert named_settings("overcommit-oops", fast=False, maps=False) == ()
    assert PointOptions(sets=["thp=never"], fast=True).fixed("overcommit-oops") == (("thp", "always"), ("thp", "never"))


def test_both_at_once_set_both_parameters() -> None:
    both = PointOptions(sets=[], fast=True, maps=True).fixed("overcommit-oops")

    assert both == (("thp", "always"), ("maps", "all"))


@pytest.mark.parametrize(("option", "parameter"), [("fast", "thp"), ("maps", "maps")])
def test_scenario_without_the_parameter_is_named(option: str, parameter: str) -> None:
    with pytest.raises(UsageError, match=f"'memory-is-copied' has no parameter '{parameter}'") as refused:
        named_settings("memory-is-copied", fast=option == "fast", maps=option == "maps")

    assert (refused.value.where, refused.value.remedy) == (f"--{option}", "leave it out")
