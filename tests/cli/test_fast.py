# SPDX-License-Identifier: MIT
"""--fast stands for a parameter of the scenario, by its name."""

from __future__ import annotations

import pytest

from rig.cli.options import PointOptions, fast_settings
from rig.errors import UsageError


def test_fast_sets_the_parameter_and_a_setting_of_the_user_overrides_it() -> None:
    assert fast_settings("overcommit-oops", wanted=False) == ()
    assert PointOptions(sets=["thp=never"], fast=True).fixed("overcommit-oops") == (("thp", "always"), ("thp", "never"))


def test_scenario_without_the_parameter_is_named() -> None:
    with pytest.raises(UsageError, match="'memory-is-copied' has no parameter 'thp'") as refused:
        fast_settings("memory-is-copied", wanted=True)

    assert (refused.value.where, refused.value.remedy) == ("--fast", "leave it out")
