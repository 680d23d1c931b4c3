# SPDX-License-Identifier: MIT
"""Name the kernel option that a program lacked, from what it printed and the configuration of the guest's kernel.

A system call that the kernel was built without fails with ENOSYS, and one whose part of the kernel is a module that the
guest did not load with EOPNOTSUPP, ENODEV or EAFNOSUPPORT. The program prints the errno's text, seldom the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from rig.sanitize import plain

__all__ = ["FEATURES", "Configuration", "Feature", "lacking_feature"]

Configuration = Callable[[], tuple[str, Mapping[str, str]]]
"""Returns the name of the guest's kernel, for messages, and its options; no options where they are not known."""


@dataclass(frozen=True)
class Feature:
    """A part of the kernel that is not in every kernel.

    words: a pattern for its name in messages.
    option: its option in the kernel's configuration, without CONFIG_.
    """

    name: str
    words: str
    option: str


FEATURES = (
    Feature("io_uring", r"io[_-]?uring", "IO_URING"),
    Feature(
        "user namespaces", r"user ?namespace|user_namespaces|userns|CLONE_NEWUSER|newuidmap|uid_map|unshare", "USER_NS"
    ),
    Feature("nftables", r"\bnft\b|nftables|nf_tables|netlink: Error: cache", "NF_TABLES"),
    Feature("iptables", r"iptables|ip_tables|ip6?table_", "IP_NF_IPTABLES"),
    Feature("TUN devices", r"/dev/net/tun|\btun/tap\b|TUNSETIFF", "TUN"),
    Feature("FUSE", r"/dev/fuse|\bfuse\b", "FUSE_FS"),
    Feature("KVM", r"/dev/kvm|\bkvm\b", "KVM"),
    Feature("loop devices", r"loop device|/dev/loop", "BLK_DEV_LOOP"),
    Feature("device mapper", r"device-?mapper|/dev/mapper", "BLK_DEV_DM"),
    Feature("veth devices", r"\bveth\b", "VETH"),
    Feature("bridges", r"\bbridge\b", "BRIDGE"),
    Feature("vsock", r"vsock", "VSOCKETS"),
    Feature("IPv6", r"ipv6|AF_INET6|inet6|\[?::1?\]?:\d", "IPV6"),
    Feature("BPF", r"\bbpf\b|bpf\(", "BPF_SYSCALL"),
    Feature("userfaultfd", r"userfaultfd", "USERFAULTFD"),
    Feature("huge pages", r"hugetlb|huge ?pages|MAP_HUGETLB", "HUGETLBFS"),
    Feature("seccomp", r"seccomp", "SECCOMP"),
    Feature("Landlock", r"landlock", "SECURITY_LANDLOCK"),
    Feature("NUMA policies", r"mbind|set_mempolicy|\bnuma", "NUMA"),
    Feature("perf events", r"perf_event", "PERF_EVENTS"),
    Feature("KSM", r"MADV_MERGEABLE|\bksm\b", "KSM"),
    Feature("AIO", r"io_setup|io_submit", "AIO"),
    Feature("System V IPC", r"shmget|semget|msgget", "SYSVIPC"),
    Feature("POSIX message queues", r"mq_open", "POSIX_MQUEUE"),
    Feature("fanotify", r"fanotify", "FANOTIFY"),
)
FAILED = re.compile(
    r"Function not implemented|ENOSYS|Operation not permitted|EPERM|(?:Operation|Protocol|Address family|Socket type) "
    r"not supported|E(?:OPNOTSUPP|AFNOSUPPORT|PROTONOSUPPORT|NODEV|NXIO)\b|No such device|Unknown device type|"
    r"No such file or directory|unknown filesystem type|not supported by the kernel|kernel does not support",
    re.IGNORECASE,
)
FILESYSTEM = re.compile(r"unknown filesystem type '(\w{1,20})'")
WITHOUT_FS = ("squashfs", "cifs")
"""Filesystems whose option is their name alone, without the _FS of BTRFS_FS and most others (fs/*/Kconfig)."""
MOST_LINES = 2000
LONGEST = 500


def lacking_feature(lines: Iterable[str], configuration: Configuration) -> str:
    """Return a sentence on the first feature that a failed program named and its kernel lacks, or an empty text.

    lines: what the program printed.
    configuration: called only if a line names a feature, as it reads the kernel's file.
    """
    named = list(_named_features(lines))
    kernel, options = configuration() if named else ("", {})
    if not options:
        return ""
    lacking = ((feature, options.get(feature.option)) for feature in named)
    return next((_sentence(feature, value, kernel) for feature, value in lacking if value != "y"), "")


def _named_features(lines: Iterable[str]) -> Iterator[Feature]:
    """Yield the features that a failure's lines name, in the order in which they were printed."""
    for text in islice(lines, MOST_LINES):
        line = text[:LONGEST]
        if not FAILED.search(line):
            continue
        for feature in (*_filesystem(line), *FEATURES):
            if re.search(feature.words, line, re.IGNORECASE):
                yield feature


def _filesystem(line: str) -> tuple[Feature, ...]:
    found = FILESYSTEM.search(line)
    if found is None:
        return ()
    name = found[1]
    option = name.upper() if name in WITHOUT_FS else f"{name.upper()}_FS"
    return (Feature(f"{name} filesystem", re.escape(name), option),)


def _sentence(feature: Feature, value: str | None, kernel: str) -> str:
    why = "is a module there, and a guest loads only those that rig needs" if value == "m" else "is not set there"
    return (
        f"the guest's kernel has no {plain(feature.name)}: CONFIG_{plain(feature.option)} {why} ({kernel}); "
        "give a kernel with it built in: --kernel tree:DIR or a bzImage"
    )
