# SPDX-License-Identifier: MIT
"""Defconfigs and kernel fragments: rendered from every setting, of the right form, without contradictions."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from rig.errors import RigError, UsageError
from rig.image.buildroot.build import check_recipe, configure
from rig.image.buildroot.defconfig import (
    ConfigError,
    Places,
    check_form,
    differences,
    fragment_files,
    read_config,
    render_defconfig,
)
from rig.image.buildroot.make import Make
from rig.image.buildroot.recipe import (
    BuildrootRecipe,
    KernelPart,
    RootfsPart,
    ToolchainPart,
    external_tree,
    read_recipe,
)
from rig.image.buildroot.tree import find_buildroot

PLACES = Places(Path("/cache/dl"), Path("/cache/ccache"))
CUSTOM = ToolchainPart(kind="custom", path=Path("/opt/tools"), prefix="x86_64-linux", gcc=12, headers="6.1")
SETTINGS = [
    BuildrootRecipe(
        name="made",
        kernel=KernelPart(version=version, debuginfo=debuginfo),
        rootfs=RootfsPart(python=python, ssh=ssh),
        toolchain=toolchain,
    )
    for version, debuginfo, python, ssh, toolchain in itertools.product(
        ("6.12.60", "5.4.300"),
        (False, True),
        (False, True),
        ("dropbear", "openssh"),
        (ToolchainPart(), ToolchainPart(libc="musl"), ToolchainPart(kind="bootlin", libc="musl"), CUSTOM),
    )
]


def names(recipe: BuildrootRecipe) -> str:
    root, tools, kernel = recipe.rootfs, recipe.toolchain, recipe.kernel
    parts = (tools.kind, tools.libc, root.ssh, "python" if root.python else "", "debug" if kernel.debuginfo else "")
    return "-".join(part for part in (kernel.version, *parts) if part)


def rendered(recipe: BuildrootRecipe, places: Places = PLACES) -> dict[str, str]:
    return read_config(render_defconfig(recipe, places, jobs=2, buildroot="test"), "rendered")


@pytest.mark.parametrize("recipe", SETTINGS, ids=names)
def test_every_setting_renders_to_a_defconfig_of_the_right_form(recipe: BuildrootRecipe) -> None:
    config = rendered(recipe)

    assert config["BR2_PACKAGE_RIG_GUEST"] == "y"
    assert (config.get("BR2_PACKAGE_PYTHON3") == "y") is recipe.rootfs.python
    assert ("BR2_PACKAGE_DROPBEAR" in config) is not ("BR2_PACKAGE_OPENSSH" in config)
    assert ("BR2_TOOLCHAIN_BUILDROOT" in config) is not ("BR2_TOOLCHAIN_EXTERNAL" in config)
    assert ("debuginfo.config" in config["BR2_LINUX_KERNEL_CONFIG_FRAGMENT_FILES"]) is recipe.kernel.debuginfo
    assert ("BR2_LINUX_KERNEL_ZSTD" in config) is recipe.kernel.has_zstd


@pytest.mark.parametrize("name", sorted(path.stem for path in external_tree().glob("*.toml")))
def test_paths_that_a_defconfig_names_in_our_tree_exist(name: str) -> None:
    config = rendered(read_recipe(name))

    for symbol in (
        "BR2_LINUX_KERNEL_CONFIG_FRAGMENT_FILES", "BR2_ROOTFS_OVERLAY", "BR2_ROOTFS_POST_BUILD_SCRIPT",
    ):  # fmt: skip
        for path in config[symbol].strip('"').split():
            assert (external_tree() / path.removeprefix("$(BR2_EXTERNAL_RIG_PATH)/")).exists()
    script = external_tree() / "board/rig/post-build.sh"
    assert os.access(script, os.X_OK)


def test_sources_of_the_package_lie_where_its_makefile_looks() -> None:
    makefile = (external_tree() / "package/rig-guest/rig-guest.mk").read_text()

    assert "RIG_GUEST_SITE = $(BR2_EXTERNAL_RIG_PATH)/../../guest\n" in makefile
    assert (external_tree() / "../../guest/Makefile").is_file()


def test_primary_site_is_the_only_one() -> None:
    config = rendered(read_recipe("full"), Places(PLACES.downloads, PLACES.ccache, Path("/sources")))

    assert config["BR2_PRIMARY_SITE"] == '"file:///sources"'
    assert config["BR2_PRIMARY_SITE_ONLY"] == "y"


@pytest.mark.parametrize("recipe", SETTINGS[:2], ids=names)
def test_kernel_fragments_do_not_contradict_each_other(recipe: BuildrootRecipe) -> None:
    assert check_recipe(recipe, PLACES, jobs=1, buildroot="test")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("BR2_A=y\nBR2_B\n", "'BR2_B' is not a line"),
        ("BR2_A = y\n", "is not a line"),
        ("BR2_A=y\nBR2_C=n\n# BR2_A is not set\n", "BR2_A is set twice, first in line 1"),
        ("#BR2_A is not set\n", "would be taken for a comment"),
        ("# BR2_A is unset\n", "would be taken for a comment"),
    ],
)
def test_line_of_no_form_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_form(text, "made")


def test_fragments_that_contradict_each_other_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, line in (("one", "CONFIG_SWAP=y"), ("two", "# CONFIG_SWAP is not set")):
        (tmp_path / f"{name}.config").write_text(line + "\n")
    monkeypatch.setattr("rig.image.buildroot.build.fragment_files", lambda recipe: sorted(tmp_path.glob("*.config")))

    with pytest.raises(UsageError, match=r"two\.config:1: CONFIG_SWAP has its place in .*one\.config:1"):
        check_recipe(read_recipe("full"), PLACES, jobs=1, buildroot="test")


def test_fragment_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rig.image.buildroot.build.fragment_files", lambda recipe: [Path("/nowhere/swap.config")])

    with pytest.raises(UsageError, match=r"/nowhere/swap\.config: the fragment cannot be read"):
        check_recipe(read_recipe("full"), PLACES, jobs=1, buildroot="test")


def test_tarball_that_is_not_there_is_named() -> None:
    recipe = BuildrootRecipe(name="made", kernel=KernelPart(version="6.1.1", tarball=Path("/nowhere/linux.tar.xz")))

    with pytest.raises(RigError, match=r"/nowhere/linux\.tar\.xz"):
        check_recipe(recipe, PLACES, jobs=1, buildroot="test")


def test_setting_that_vanished_is_told_from_one_that_came_true() -> None:
    asked = {"BR2_A": "y", "BR2_GONE": "y", "BR2_OFF": "n", "BR2_TEXT": '"a"', "BR2_ON": "n"}
    got = {"BR2_A": "y", "BR2_TEXT": '"b"', "BR2_ON": "y"}

    found = differences(asked, got)

    assert [line.split(":")[0] for line in found] == ["BR2_GONE", "BR2_TEXT", "BR2_ON"]


@pytest.mark.skipif("BUILDROOT" not in os.environ, reason="BUILDROOT names no tree of Buildroot")
@pytest.mark.parametrize(
    "recipe", [*SETTINGS[:4], *map(read_recipe, ("full", "small"))], ids=lambda recipe: names(recipe)
)
def test_every_line_of_a_defconfig_is_in_force_in_buildroot(recipe: BuildrootRecipe, tmp_path: Path) -> None:
    make = Make(find_buildroot(None).directory, tmp_path / "output", external_tree().resolve(), tmp_path / "log")
    text = check_recipe(recipe, PLACES, jobs=2, buildroot="test")

    config = configure(make, text)

    assert config["BR2_PACKAGE_RIG_GUEST"] == "y"


@pytest.mark.skipif("BUILDROOT" not in os.environ, reason="BUILDROOT names no tree of Buildroot")
def test_setting_that_buildroot_does_not_know_is_an_error(tmp_path: Path) -> None:
    make = Make(find_buildroot(None).directory, tmp_path / "output", external_tree().resolve(), tmp_path / "log")
    text = render_defconfig(read_recipe("full"), PLACES, jobs=2, buildroot="test") + "BR2_PACKAGE_NOBODY=y\n"

    with pytest.raises(ConfigError) as caught:
        configure(make, text)

    assert caught.value.detail is not None
    assert "BR2_PACKAGE_NOBODY: asked for y, got nothing" in caught.value.detail


def test_fragments_lie_in_the_order_of_merging() -> None:
    files = [path.stem for path in fragment_files(read_recipe("full"))]

    assert files == ["base", "virtio", "pmem", "live", "memory", "debug", "lean"]
