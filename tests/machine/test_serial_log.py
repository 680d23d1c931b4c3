# SPDX-License-Identifier: MIT
"""The log of a boot is put together from two consoles; nothing that either printed is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.machine.serial_log import SERIAL_LOG, keep_serial


def kept(directory: Path, serial: bytes, console: bytes, *, booted: bool = True) -> bytes:
    (directory / SERIAL_LOG).write_bytes(serial)
    (directory / "console.log").write_bytes(console)
    keep_serial(directory / SERIAL_LOG, directory / "console.log", booted=booted)
    return (directory / "console.log").read_bytes()


@pytest.mark.parametrize(
    ("serial", "console", "wanted"),
    [
        (b"a\r\nb\r\nc\r\n", b"b\r\nc\r\nd\r\n", b"a\r\nb\r\nc\r\nd\r\n"),
        (b"a\r\nb\r\n", b"c\r\n", b"a\r\nb\r\nc\r\n"),
        (b"a\r\n", b"", b"a\r\n"),
        (b"", b"c\r\n", b"c\r\n"),
    ],
    ids=["both", "apart", "dead-before-the-driver", "silent"],
)
def test_boot_has_each_line_once(tmp_path: Path, serial: bytes, console: bytes, wanted: bytes) -> None:
    assert kept(tmp_path, serial, console) == wanted
    assert not (tmp_path / SERIAL_LOG).exists()


def test_what_comes_after_the_boot_replaces_nothing(tmp_path: Path) -> None:
    assert kept(tmp_path, b"b\r\n", b"a\r\nb\r\nc\r\n", booted=False) == b"a\r\nb\r\nc\r\n"
    assert (tmp_path / SERIAL_LOG).read_bytes() == b"b\r\n"


def test_console_that_was_never_opened_leaves_things_as_they_are(tmp_path: Path) -> None:
    (tmp_path / SERIAL_LOG).write_bytes(b"a\r\n")

    keep_serial(tmp_path / SERIAL_LOG, tmp_path / "console.log", booted=True)

    assert (tmp_path / SERIAL_LOG).read_bytes() == b"a\r\n"
