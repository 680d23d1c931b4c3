# SPDX-License-Identifier: MIT
"""Kernel configuration fragments: their form, that no option is in two of them, and that a configuration meets them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rig.errors import RigError, UsageError
from rig.image.fragments import (
    CONCERNS,
    DEBUG_INFO,
    check_distinct,
    check_met,
    own_fragments,
    read_fragment,
    unmet,
)
from rig.image.kconfig import BOOT_NEEDS, check_boots, read_config


def _fragment(directory: Path, text: str, name: str = "made.config") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_every_fragment_of_ours_has_the_form_and_they_agree() -> None:
    fragments = own_fragments(debug_info=True)

    assert [fragment.path.stem for fragment in fragments] == [*CONCERNS, DEBUG_INFO]
    assert all(fragment.options for fragment in fragments)


def test_every_fragment_in_the_directory_is_merged() -> None:
    directory = own_fragments()[0].path.parent

    assert {path.stem for path in directory.glob("*.config")} == {*CONCERNS, DEBUG_INFO}


def test_every_fragment_opens_with_what_it_is_for() -> None:
    for fragment in own_fragments(debug_info=True):
        assert fragment.text.startswith(f"# {fragment.path.stem}: ")


def test_ours_ask_for_what_a_guest_boots_with() -> None:
    asked = {option.name: option.value for fragment in own_fragments() for option in fragment.options}

    check_boots({"64BIT": "y", **asked}, "the fragments")


def test_ours_ask_for_no_module() -> None:
    options = [option for fragment in own_fragments(debug_info=True) for option in fragment.options]

    assert not [option.name for option in options if option.value == "m"]


def test_an_optional_mark_says_since_or_until_when() -> None:
    marks = [option.optional for fragment in own_fragments() for option in fragment.options if option.optional]

    assert marks
    assert [mark for mark in marks if not re.search(r"\d+\.\d+|nothing asks", mark)] == []


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("CONFIG_A=y\nCONFIG_A=y\n", ":2", r"CONFIG_A is set twice, first in line 1"),
        ("CONFIG_A=y\n# CONFIG_A is not set\n", ":2", "CONFIG_A is set twice"),
        ("CONFIG_A = y\n", ":1", "'CONFIG_A = y' is not a line of a kernel configuration"),
        ("CONFIG_A=yes\n", ":1", "is not a line of a kernel configuration"),
        ("A=y\n", ":1", "is not a line of a kernel configuration"),
        ("# optional: since 6.1\n\nCONFIG_A=y\n", ":1", "no option follows"),
        ("CONFIG_A=y\n# optional: since 6.1\n", "", "no option follows"),
    ],
)
def test_bad_line_is_named_by_its_place(text: str, place: str, words: str, tmp_path: Path) -> None:
    path = _fragment(tmp_path, text)

    with pytest.raises(UsageError, match=words) as raised:
        read_fragment(path)

    assert raised.value.where == f"{path}{place}"


def test_fragment_that_is_not_there_or_is_no_text_is_a_usage_error(tmp_path: Path) -> None:
    binary = tmp_path / "binary.config"
    binary.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_fragment(tmp_path / "none.config")
    with pytest.raises(UsageError, match="cannot be read: it is not text"):
        read_fragment(binary)


def test_option_in_two_fragments_is_told_with_both_places(tmp_path: Path) -> None:
    one = read_fragment(_fragment(tmp_path, "CONFIG_A=y\n", "one.config"))
    two = read_fragment(_fragment(tmp_path, "# CONFIG_A is not set\n", "two.config"))

    with pytest.raises(UsageError, match=r"one\.config:1, and this fragment asks otherwise") as raised:
        check_distinct([one, two])

    assert raised.value.where == f"{two.path}:1"


def test_option_that_is_not_in_force_is_named(tmp_path: Path) -> None:
    fragment = read_fragment(
        _fragment(tmp_path, 'CONFIG_A=y\nCONFIG_B=y\nCONFIG_N=64\nCONFIG_S="x y"\n# CONFIG_OFF is not set\n')
    )
    config = read_config('CONFIG_A=y\nCONFIG_B=m\nCONFIG_N=8\nCONFIG_S="x y"\nCONFIG_OFF=y\n# CONFIG_C is not set\n')

    assert unmet([fragment], config) == [
        "made.config:2: CONFIG_B=y was asked for, and it is m",
        "made.config:3: CONFIG_N=64 was asked for, and it is 8",
        "made.config:5: CONFIG_OFF=n was asked for, and it is y",
    ]


def test_option_that_vanished_is_an_error_that_names_it(tmp_path: Path) -> None:
    fragment = read_fragment(_fragment(tmp_path, "CONFIG_GONE=y\n"))

    with pytest.raises(
        RigError, match="1 of the options asked for are not set in the kernel's configuration"
    ) as raised:
        check_met([fragment], {}, tmp_path / ".config")

    assert raised.value.detail == "made.config:1: CONFIG_GONE=y was asked for, and it is not set"


def test_optional_option_may_be_missing_but_not_have_another_value(tmp_path: Path) -> None:
    fragment = read_fragment(_fragment(tmp_path, "# optional: since 6.2\nCONFIG_NEW=y\n"))

    assert unmet([fragment], {}) == []
    assert unmet([fragment], {"NEW": "m"}) == ["made.config:2: CONFIG_NEW=y was asked for, and it is m"]


def test_number_of_zero_is_off(tmp_path: Path) -> None:
    fragment = read_fragment(_fragment(tmp_path, "# CONFIG_BASE_SMALL is not set\n"))

    assert unmet([fragment], {"BASE_SMALL": "0"}) == []
    assert unmet([fragment], {"BASE_SMALL": "1"}) == ["made.config:1: CONFIG_BASE_SMALL=n was asked for, and it is 1"]


def test_a_later_fragment_overrides_an_earlier_one(tmp_path: Path) -> None:
    ours = read_fragment(_fragment(tmp_path, "CONFIG_A=y\n", "ours.config"))
    theirs = read_fragment(_fragment(tmp_path, "# CONFIG_A is not set\n", "theirs.config"))

    assert unmet([ours, theirs], {}) == []
    assert unmet([ours, theirs], {"A": "y"}) == ["theirs.config:1: CONFIG_A=n was asked for, and it is y"]


def test_kernel_without_virtio_is_told_before_boot() -> None:
    config = dict.fromkeys(BOOT_NEEDS, "y") | {"VIRTIO_PCI": "m"}
    del config["VIRTIO_CONSOLE"]

    with pytest.raises(UsageError, match="2 options that must be built in are not") as raised:
        check_boots(config, "bzImage")

    assert raised.value.detail == (
        "CONFIG_VIRTIO_PCI is a module, and none is loaded: virtio devices are on PCI\n"
        "CONFIG_VIRTIO_CONSOLE is not set: the agent speaks on a virtio port"
    )
