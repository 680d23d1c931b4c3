# SPDX-License-Identifier: MIT
"""Names of Rust and C++ functions are readable wherever an explanation names them."""

from __future__ import annotations

import random

import pytest

from rig.klog import read
from rig.klog.demangle import demangle
from rig.klog.explain import explain
from tests.klog import made

NAMES = {
    "_RNvCs1_6kernel4init": "kernel::init",
    "_RNvMs0_NtNtCs5_6kernel4sync3arcNtB5_3Arc4drop": "<kernel::sync::arc::Arc>::drop",
    "_RNvXs5_NtCs5_4core3fmtRINtNtB7_6option6OptionmENtB5_5Debug3fmt": "<&core::option::Option<u32> as core::fmt::Debug>::fmt",
    "_RINvNtC3std3mem8align_ofNtNtC3std3mem12DiscriminantE": "std::mem::align_of::<std::mem::Discriminant>",
    "_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_": "cc::spawn::{closure#0}::{closure#0}",
    "_RNvMC0INtC8arrayvec8ArrayVechKj7b_E3new": "<arrayvec::ArrayVec<u8, 123>>::new",
    "_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_ECs1iopQbuBiw2_3std":
        "alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>",
    "_RINtCs1_1a1bFUKCRhEuE": 'a::b::<unsafe extern "C" fn(&u8)>',
    "_RINvC1a1fFG_RL0_hEuE": "a::f::<for<'a> fn(&'a u8)>",
    "_RINvC1a1fKb1_Kc41_E": "a::f::<true, 'A'>",
    "_RINvC1a1fTEThEAhj4_PhOhShQhE": "a::f::<(), (u8,), [u8; 4], *const u8, *mut u8, [u8], &mut u8>",
    "_RNvYNtC1a1bNtC1c1d3foo": "<a::b as c::d>::foo",
    "_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y": "utf8_idents::საჭმელად_გემრიელი_სადილი",
    "_RNvNtC1a1b1c.cold": "a::b::c",
    "_RNvNvC1a1b1c.llvm.12345": "a::b::c",
    "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE": "core::fmt::Formatter::pad",
    "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE":
        "<Test + 'static as foo::Bar<Test>>::bar",
    "_ZN6Driver4initEv": "Driver::init",
    # What is not understood stays as it is.
    "do_sys_open": "do_sys_open",
    "_ZN3fooIiE3barEv": "_ZN3fooIiE3barEv",
    "_RNvC1a": "_RNvC1a",
    "_RNvC99a1b": "_RNvC99a1b",
    "_RB_": "_RB_",
    "_R": "_R",
    "_ZN": "_ZN",
    "_R9NvC1a1b": "_R9NvC1a1b",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_name_is_that_of_the_source(name: str) -> None:
    assert demangle(name) == NAMES[name]


def test_damaged_and_endless_names_stay_as_they_are_or_are_short() -> None:
    dice = random.Random(1)
    whole = [name for name in NAMES if name.startswith("_R") and len(name) > 20]
    names = ["_RNvC1a" + "NvB2_" * 400, "_RI" + "T" * 5000, "_RINvC1a1f" + "TB4_B4_" * 30 + "E" * 31]
    for _ in range(2000):
        letters = list(dice.choice(whole))
        for _ in range(dice.randint(1, 3)):
            letters[dice.randrange(2, len(letters))] = dice.choice("BCEIKMNRSTXYa_0159su")
        names.append("".join(letters))

    assert all(len(demangle(name)) <= max(len(name), 4000) for name in names)


def test_work_does_not_double_with_each_back_reference() -> None:
    # The path of an implementation is read and not printed, so that the length of the result does not bound the work.
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    name, place = "IC1a", 1
    for _ in range(40):
        back = f"B{letters[(place - 1) // 62] if place > 62 else ''}{letters[(place - 1) % 62]}_"
        place, name = len(name), name + f"M{back}{back}"

    assert demangle(f"_R{name}E") == f"_R{name}E"


def test_crash_in_a_rust_driver_is_named_by_its_source() -> None:
    lines = [
        line.replace("made_release", "_RNvMs0_NtNtCs5_6kernel4sync3arcNtB5_3Arc4drop") for line in made.oops()
    ]  # fmt: skip

    (event,) = read([made.serial(lines)]).events

    assert event.function == "<kernel::sync::arc::Arc>::drop"
    assert event.title.endswith("in <kernel::sync::arc::Arc>::drop")
    assert any("_RNvMs0_" in title for title in event.alternatives)
    path = next(section for section in explain(event).sections if section.title.startswith("The way"))
    assert any(sentence.text.startswith("<kernel::sync::arc::Arc>::drop") for sentence in path.sentences)
