# SPDX-License-Identifier: MIT
"""References to kernels, and what a kernel's file shows before it is booted."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.image.bootfile import kernel_release
from rig.image.kernel import find_kernel
from rig.image.modules import ModuleTree
from rig.image.store import Store
from tests.image.made_bzimage import made_bzimage


def test_release_is_read_from_the_boot_header(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(made_bzimage("6.1.176-rig"))

    assert kernel_release(image) == "6.1.176-rig"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF" + bytes(100), "is a file for"),
        (bytes(0x38) + b"ARMd" + bytes(100), "is an arm64 Image"),
        (b"hello", "is not a kernel for x86"),
        (b"", "is not a kernel for x86"),
    ],
)
def test_file_that_is_no_x86_kernel_is_told_before_boot(content: bytes, words: str, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(content)

    with pytest.raises(UsageError, match=words):
        kernel_release(image)


@pytest.mark.parametrize("spec", ["debian:", "debian:Book Worm", "ubuntu:noble", "/nowhere/bzImage", "bzimage"])
def test_spelling_that_means_nothing_is_refused_with_an_example(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="debian:bookworm"):
        find_kernel(Store(tmp_path), spec)


@pytest.fixture
def modules(tmp_path: Path) -> ModuleTree:
    (tmp_path / "modules.dep").write_text(
        "kernel/zram.ko: kernel/zsmalloc.ko\nkernel/zsmalloc.ko:\nkernel/lzo-rle.ko.xz: kernel/lzo_core.ko\n"
        "kernel/lzo_core.ko:\nkernel/a.ko: kernel/b.ko kernel/c.ko\nkernel/b.ko: kernel/c.ko\nkernel/c.ko:\n"
    )
    (tmp_path / "modules.softdep").write_text("# made\nsoftdep zram pre: lzo-rle absent\n")
    (tmp_path / "modules.builtin").write_text("kernel/virtio_pci.ko\n")
    return ModuleTree(tmp_path)


def test_what_a_module_needs_is_loaded_before_it(modules: ModuleTree) -> None:
    assert modules.order(["a"], required=True) == ["c", "b", "a"]


def test_soft_dependencies_count(modules: ModuleTree) -> None:
    order = modules.order(["zram"], required=True)

    assert set(order) == {"zsmalloc", "lzo_core", "lzo_rle", "zram"}
    assert order[-1] == "zram"
    assert order.index("lzo_core") < order.index("lzo_rle")


def test_builtin_module_needs_no_loading(modules: ModuleTree) -> None:
    assert modules.order(["virtio_pci"], required=True) == []


def test_required_module_that_the_kernel_lacks_is_named(modules: ModuleTree) -> None:
    with pytest.raises(Exception, match="the kernel has no nfit, neither built in nor as a module"):
        modules.order(["nfit"], required=True)
