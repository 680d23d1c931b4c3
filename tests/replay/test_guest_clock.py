# SPDX-License-Identifier: MIT
"""The clock of a stopped guest, from each form that the kernel's timekeeper has had."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import drgn
import pytest

from rig.errors import RigError
from rig.image.symbols import Symbols
from rig.machine import memory
from rig.replay import guestclock

JIFFIES, KEEPER = 0x1000, 0x2000
SEQUENCE = 16
"""Addresses of variables, and the size of what lies before the timekeeper in its variable."""


def _types() -> tuple[drgn.Program, drgn.Type]:
    """Return a program that has the timekeeper's types, and the type that holds a timekeeper."""
    program = drgn.Program(drgn.Platform(drgn.Architecture.X86_64))
    word, half = program.int_type("u64", 8, False), program.int_type("u32", 4, False)
    base = program.struct_type(
        "tk_read_base",
        24,
        (
            drgn.TypeMember(half, "shift", 0),
            drgn.TypeMember(word, "xtime_nsec", 64),
            drgn.TypeMember(word, "base", 128),
        ),
    )
    keeper = program.struct_type("timekeeper", 24, (drgn.TypeMember(base, "tkr_mono", 0),))
    holder = program.struct_type("tk_data", SEQUENCE + 24, (drgn.TypeMember(keeper, "timekeeper", SEQUENCE * 8),))
    named = {each.tag: each for each in (base, keeper, holder)}
    program.register_type_finder("types", lambda program, kinds, name, file: named.get(name), enable_index=0)
    return program, holder


MEMORY = {
    JIFFIES: 4_294_892_546,
    KEEPER + SEQUENCE: 8,
    KEEPER + SEQUENCE + 8: 500 << 8,
    KEEPER + SEQUENCE + 16: 7 * 10**9,
}
"""A guest's memory: a value by address."""


class _Port:
    async def number(self, address: int, size: int = 8) -> int:
        return MEMORY[address]


def _read(monkeypatch: pytest.MonkeyPatch, variable: str, kind: Callable[[drgn.Program, drgn.Type], drgn.Type]) -> Any:
    program, holder = _types()
    found = drgn.Object(program, kind(program, holder), address=KEEPER)
    program.register_object_finder(
        "variables", lambda program, name, flags, file: found if name == variable else None, enable_index=0
    )
    monkeypatch.setattr(memory, "type_program", lambda vmlinux: program)
    addresses = {"jiffies_64": JIFFIES, variable: KEEPER}
    monkeypatch.setattr(
        guestclock,
        "symbol_addresses",
        lambda path, names: {name: addresses[name] for name in names if name in addresses},
    )
    monkeypatch.setattr(guestclock, "boot_config", lambda kernel: None)
    symbols = cast("Symbols", type("", (), {"vmlinux": Path("vmlinux")}))
    return asyncio.run(guestclock.read_tick_clock(cast("Any", _Port()), Path("vmlinuz"), symbols))


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        pytest.param("tk_core", lambda program, holder: holder, id="5.10"),
        pytest.param("timekeeper_data", lambda program, holder: program.array_type(holder, 9), id="6.17"),
    ],
)
def test_time_of_the_last_tick_is_read(
    variable: str, kind: Callable[[drgn.Program, drgn.Type], drgn.Type], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _read(monkeypatch, variable, kind)

    assert clock == guestclock.TickClock(JIFFIES, 250, 4_294_892_546, 7 * 10**9 + 500)


def test_kernel_without_a_timekeeper_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RigError, match="the kernel has no tk_core and no timekeeper_data") as raised:
        _read(monkeypatch, "another", lambda program, holder: holder)

    assert "vmlinux" in str(raised.value)
