# SPDX-License-Identifier: MIT
"""Recipes: read, typed, and refused where they cannot be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.image.buildroot.recipe import external_tree, read_recipe

KERNEL = '[kernel]\nversion = "6.12.60"\n'


def written(directory: Path, text: str, name: str = "mine.toml") -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", sorted(path.stem for path in external_tree().glob("*.toml")))
def test_recipes_that_travel_with_rig_can_be_read(name: str) -> None:
    assert read_recipe(name).name == name


def test_full_recipe_is_the_image_called_buildroot() -> None:
    assert (read_recipe("full").image, read_recipe("small").image) == ("buildroot", "buildroot:small")


def test_debug_information_is_one_more_fragment(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, KERNEL + "debuginfo = true\n"))

    assert recipe.kernel.fragments[-1] == "debuginfo"


@pytest.mark.parametrize(
    ("version", "packed"), [("6.12.60", True), ("5.9", True), ("5.8.18", False), ("4.19.325", False)]
)
def test_kernel_before_5_9_is_not_packed_with_zstd(version: str, packed: bool, tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, f'[kernel]\nversion = "{version}"\n'))

    assert recipe.kernel.has_zstd is packed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kernel = [", "not valid TOML"),
        ("", "kernel: is missing"),
        ('[kernel]\nversion = "six"\n', "'six' is not a kernel version"),
        (KERNEL + 'tarball = "linux.tar.xz"\n', "is not an absolute path"),
        (KERNEL + 'features = ["memry"]\n', "kernel.features.0"),
        (KERNEL + "modules = true\n", "kernel.modules"),
        (KERNEL + '[rootfs]\nssh = "telnet"\n', "rootfs.ssh"),
        (KERNEL + '[toolchain]\nlibc = "uclibc"\n', "toolchain.libc"),
        (KERNEL + '[toolchain]\nkind = "custom"\npath = "/opt"\n', "also needs prefix, gcc, headers"),
        (KERNEL + "[toolchain]\ngcc = 12\n", 'gcc: only for kind = "custom"'),
        ('name = "mine"\n' + KERNEL, "name"),
    ],
)
def test_recipe_that_cannot_be_built_is_refused_by_its_key(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipe(written(tmp_path, text))

    assert words in caught.value.what
    assert caught.value.where is not None
    assert caught.value.where.endswith("mine.toml")


def test_unknown_recipe_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(UsageError, match="full, small"):
        read_recipe("fill")


def test_file_whose_name_is_no_name_of_an_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a valid image name"):
        read_recipe(written(tmp_path, KERNEL, "My Image.toml"))
