# SPDX-License-Identifier: MIT
"""The kernel option that a failed program lacked, named from its output and the kernel's configuration."""

from __future__ import annotations

import pytest

from rig.program.kernel_features import FEATURES, lacking_feature


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

    assert f"CONFIG_{option} is not set there" in lacking_feature(["starting", line], everything_else, "debian:sid")
    assert f"CONFIG_{option} is a module" in lacking_feature([line], everything_else | {option: "m"}, "debian:sid")


@pytest.mark.parametrize(
    "line",
    [
        "io_uring_setup failed: Function not implemented",  # the option is set: the cause is another
        "io_uring is fine",
        "Operation not permitted",
    ],
)
def test_nothing_is_named_without_a_missing_option(line: str) -> None:
    assert lacking_feature([line], {"IO_URING": "y"}, "debian:sid") == ""
