# SPDX-License-Identifier: MIT
"""The kernel option that a failed program lacked, named from its output and the kernel's configuration."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rig.program.kernel_features import FEATURES, lacking_feature


def lacking(lines: list[str], options: Mapping[str, str]) -> str:
    return lacking_feature(lines, lambda: ("debian:sid", options))


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("io_uring_setup failed: Function not implemented", "IO_URING"),
        ("unshare: unshare failed: Operation not permitted", "USER_NS"),
        ("netlink: Error: cache initialization failed: Operation not supported", "NF_TABLES"),
        ("RTNETLINK answers: Operation not supported (type veth)", "VETH"),
        ("open /dev/net/tun: No such file or directory", "TUN"),
        ("mount: /mnt: unknown filesystem type 'btrfs'.", "BTRFS_FS"),
        ("mount: /mnt: unknown filesystem type 'squashfs'.", "SQUASHFS"),
        ("OSError: [Errno 38] Function not implemented: 'userfaultfd'", "USERFAULTFD"),
    ],
)
def test_option_that_is_not_built_in_is_named(line: str, option: str) -> None:
    everything_else = {feature.option: "y" for feature in FEATURES}
    everything_else.pop(option, None)

    assert f"CONFIG_{option} is not set there" in lacking(["starting", line], everything_else)
    assert f"CONFIG_{option} is a module" in lacking([line], everything_else | {option: "m"})


@pytest.mark.parametrize(
    "line",
    [
        "io_uring_setup failed: Function not implemented",  # the option is set: the cause is another
        "io_uring is fine",
        "Operation not permitted",
    ],
)
def test_nothing_is_named_without_a_missing_option(line: str) -> None:
    assert lacking([line], {"IO_URING": "y"}) == ""


def test_configuration_is_looked_up_only_where_a_line_names_a_feature() -> None:
    looked_up: list[str] = []

    def configuration() -> tuple[str, Mapping[str, str]]:
        looked_up.append("")
        return "debian:sid", {}

    assert lacking_feature(["Operation not permitted", "io_uring is fine"], configuration) == ""
    assert looked_up == []
    assert lacking_feature(["io_uring: Function not implemented"], configuration) == ""
    assert looked_up == [""]
