# SPDX-License-Identifier: MIT
"""What rig reads from a kernel file without booting it."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from rig.errors import RigError, UsageError
from rig.image.bootfile import boot_build_id, boot_config, kernel_release
from rig.image.kconfig import BOOT_NEEDS
from rig.image.kernel import find_kernel
from rig.image.store import Store

CONFIG = "".join(f"CONFIG_{name}=y\n" for name in BOOT_NEEDS)


def _note(name: bytes, kind: int, content: bytes) -> bytes:
    return struct.pack("<III", len(name) + 1, len(content), kind) + name.ljust((len(name) + 4) & ~3, b"\0") + content


def _vmlinux(*, machine: int = 62, bits: int = 2, pvh: bool = True, banner: bool = True, config: str = "") -> bytes:
    """An ELF file with the notes and texts of a vmlinux (made)."""
    notes = _note(b"GNU", 3, bytes.fromhex("c0ffee00" * 5))
    if pvh:
        notes += _note(b"Xen", 18, struct.pack("<Q", 0x1000000))
    text = b"Linux version 6.1.176-rig (rig@rig) (gcc) #1 SMP\n\0" if banner else b""
    if config:
        text += b"IKCFG_ST" + gzip.compress(config.encode()) + b"IKCFG_ED"
    at = 64 + 56
    header = b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(notes), len(notes), 4) + notes + text


def _bzimage(kernel: bytes = b"", *, version: int = 0x20F, flags: int = 1) -> bytes:
    """The boot header of a bzImage with a kernel packed by gzip (made)."""
    data = bytearray(0x1000)
    payload = gzip.compress(kernel)
    data[0x1F1] = 4
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, version)
    struct.pack_into("<H", data, 0x20E, 0x600)
    struct.pack_into("<H", data, 0x236, flags)
    struct.pack_into("<II", data, 0x248, 0x1000 - 5 * 512, len(payload))
    data[0x800:0x820] = b"6.1.176-rig (rig@rig) #1 SMP".ljust(0x20, b"\0")
    return bytes(data) + payload


def _file(directory: Path, data: bytes, name: str = "kernel") -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", [_vmlinux(), _bzimage(_vmlinux())], ids=["vmlinux", "bzImage"])
def test_release_and_build_id_are_read_from_both_forms(data: bytes, tmp_path: Path) -> None:
    path = _file(tmp_path, data)

    assert kernel_release(path) == "6.1.176-rig"
    assert boot_build_id(path) == "c0ffee00" * 5


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_vmlinux(machine=183), "is a file for arm64"),
        (_vmlinux(machine=3, bits=1), "is a file for 32-bit x86"),
        (_vmlinux(machine=4711), "is a file for machine 4711"),
        (_vmlinux(banner=False), "is an ELF file, but not a Linux kernel"),
        (_vmlinux(pvh=False), "is a vmlinux without a PVH entry"),
        (_bzimage(flags=0), "is a kernel for 32-bit x86"),
    ],
)
def test_kernel_of_another_machine_is_told_before_boot(data: bytes, words: str, tmp_path: Path) -> None:
    path = _file(tmp_path, data)

    with pytest.raises(UsageError, match=words) as raised:
        find_kernel(Store(tmp_path / "cache"), str(path))

    assert raised.value.remedy


@pytest.mark.parametrize("data", [_bzimage(_vmlinux())[:0x100A], _vmlinux()[:40]], ids=["bzImage", "vmlinux"])
def test_cut_kernel_is_an_error_and_no_traceback(data: bytes, tmp_path: Path) -> None:
    path = _file(tmp_path, data)

    with pytest.raises(RigError):
        boot_build_id(path)


@pytest.mark.parametrize("form", ["vmlinux", "bzImage"])
def test_embedded_configuration_is_read(form: str, tmp_path: Path) -> None:
    kernel = _vmlinux(config=CONFIG)

    path = _file(tmp_path, kernel if form == "vmlinux" else _bzimage(kernel))

    assert boot_config(path) == CONFIG


@pytest.mark.parametrize(
    ("kernel", "config"),
    [("vmlinuz-6.1", "config-6.1"), ("bzImage", "config"), ("build/arch/x86/boot/bzImage", "build/.config")],
)
def test_configuration_beside_the_kernel_is_read(kernel: str, config: str, tmp_path: Path) -> None:
    path = tmp_path / kernel
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_bzimage(_vmlinux()))
    (tmp_path / config).write_text(CONFIG)

    assert boot_config(path) == CONFIG


def test_kernel_whose_configuration_lacks_virtio_is_refused_before_boot(tmp_path: Path) -> None:
    path = _file(tmp_path, _bzimage(_vmlinux(config=CONFIG.replace("CONFIG_VIRTIO_PCI=y", "CONFIG_VIRTIO_PCI=m"))))

    with pytest.raises(UsageError, match="this kernel cannot boot a guest") as raised:
        find_kernel(Store(tmp_path / "cache"), str(path))

    assert raised.value.detail is not None
    assert "CONFIG_VIRTIO_PCI is a module" in raised.value.detail


def test_kernel_with_what_it_needs_is_taken(tmp_path: Path) -> None:
    path = _file(tmp_path, _bzimage(_vmlinux(config=CONFIG)))

    kernel = find_kernel(Store(tmp_path / "cache"), str(path))

    assert (kernel.release, kernel.modules) == ("6.1.176-rig", None)


def test_kernel_that_says_no_configuration_is_tried(tmp_path: Path) -> None:
    path = _file(tmp_path, _bzimage(_vmlinux()))

    assert boot_config(path) is None
    assert find_kernel(Store(tmp_path / "cache"), str(path)).release == "6.1.176-rig"
