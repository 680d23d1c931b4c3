# SPDX-License-Identifier: MIT
"""--print-qemu prints exactly the command line of a run, except for the parts that differ in every run."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest


def without_what_is_new(words: list[str]) -> list[str]:
    """Return the command line with fixed words for the run's name, its two directories and its file descriptor."""
    text = "\0".join(words)
    text = re.sub(r"rig-[^,\0]*,process=rig-[^\0]*", "NAME", text)
    text = re.sub(r"=/[^\0,]*/rig-[^/\0,]*/", "=SOCKETS/", text)
    text = re.sub(r"=/[^\0,]*/recording/", "=RUN/recording/", text)
    return re.sub(r"\bfd=\d+,set=", "fd=N,set=", text).split("\0")


@pytest.mark.parametrize(
    "options",
    [(), ("--no-record",), ("--set", "swap=64M"), ("--clock", "live", "--accel", "tcg"), ("--qemu-arg=-boot",)],
    ids=["recorded", "not-recorded", "swap", "live", "qemu-arg"],
)
def test_printed_command_is_that_of_the_run(options: tuple[str, ...], rig: Rig) -> None:
    words = ("run", "memory-is-copied", *options)
    if "--qemu-arg=-boot" in options:
        words = (*words, "--qemu-arg=menu=off")

    printed = rig(*words, "--print-qemu")
    run = rig(*words, "--json").run()

    assert run["command"]
    command = shlex.split(printed.out.replace("\\\n", " "))
    assert without_what_is_new(command) == without_what_is_new(run["command"])
