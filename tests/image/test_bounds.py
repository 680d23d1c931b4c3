# SPDX-License-Identifier: MIT
"""The bounds of the cache are sizes, and what is not a size is named with its variable."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rig.errors import RigError
from rig.image.bounds import branch_bound, cache_bound

BOUNDS = [(cache_bound, "RIG_CACHE_SIZE"), (branch_bound, "RIG_BRANCH_SIZE")]


@pytest.mark.parametrize(("bound", "variable"), BOUNDS)
def test_bound_is_read_from_its_variable(
    bound: Callable[[], int], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "3M")

    assert bound() == 3 << 20


@pytest.mark.parametrize(("bound", "variable"), BOUNDS)
def test_bound_that_is_no_size_is_named(
    bound: Callable[[], int], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "much")

    with pytest.raises(RigError, match=rf"{variable}.*'much' is not a size"):
        bound()
