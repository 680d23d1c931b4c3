# SPDX-License-Identifier: MIT
"""Scenarios written to mislead rig, in real guests: each gets the right verdict for the right reason."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Rig
from tests.lies.table import LIES, Lie

pytestmark = pytest.mark.guest


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_scenario_that_misleads_is_not_believed(lie: Lie, rig: Rig) -> None:
    sets = [word for text in lie.sets for word in ("--set", text)]

    called = rig("run", lie.path, *sets, "--no-record", "--no-dump", "--json")

    if lie.right == "refused":
        assert called.status == 64, called.out + called.err
        return
    assert called.run()["verdict"] == lie.right, called.err
    failed = {name for name, verdict in called.claims().items() if verdict in ("failed", "invalid")}
    assert not lie.because or lie.because in failed
