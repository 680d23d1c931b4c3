# SPDX-License-Identifier: MIT
"""A kernel without the description of itself that drgn needs is refused with the option to build it with."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from rig.errors import RigError
from rig.machine import memory


def test_kernel_without_vmcoreinfo_is_refused_with_an_option_that_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "symbol_addresses", lambda vmlinux, names: {})

    with pytest.raises(RigError) as raised:
        asyncio.run(memory.read_vmcoreinfo(cast("Any", None), Path("vmlinux")))

    assert "the kernel has no vmcoreinfo_data" in str(raised.value)
    assert raised.value.remedy == "build it with CONFIG_PROC_KCORE"
