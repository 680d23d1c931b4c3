# SPDX-License-Identifier: MIT
"""Builds with a stand-in tree: what is refused, what fails half-way and goes on, and what gets into the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rig.errors import RigError, UsageError
from rig.experiment.prepare import find_parts
from rig.image import build_log
from rig.image.buildroot.build import build_image
from rig.image.buildroot.collect import Collected
from rig.image.buildroot.defconfig import ConfigError
from rig.image.buildroot.make import Step, read_step
from rig.image.buildroot.recipe import BuildrootRecipe, KernelPart, read_recipe
from rig.image.buildroot.tree import HOST_TOOLS, check_host, find_buildroot
from rig.image.rootfs import find_rootfs
from rig.image.store import Store
from rig.in_use import lock_unused, using_entries
from tests.image.buildroot.standin import made_buildroot

FULL = read_recipe("full")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return made_buildroot(tmp_path / "buildroot")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def build(
    store: Store,
    tree: Path,
    recipe: BuildrootRecipe = FULL,
    steps: list[Step] | None = None,
    expected: list[int] | None = None,
) -> Collected:
    found, counts = [] if steps is None else steps, [] if expected is None else expected
    return build_image(
        store, find_buildroot(str(tree)), recipe, jobs=1, progress=lambda step, seconds: found.append(step),
        expect=counts.append,
    )  # fmt: skip


def output(store: Store) -> Path:
    (directory,) = (store.root / "buildroot").glob("full-*")
    return directory


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("\x1b[7m>>> busybox 1.37.0 Building\x1b[27m\n", Step("busybox", "1.37.0", "Building")),
        (">>> linux custom Patching from x.patch", Step("linux", "custom", "Patching from x.patch")),
        (">>>   Finalizing target directory", Step("", "", "Finalizing target directory")),
        ("echo '>>> no step'", None),
        ("make: *** [all] Error 2", None),
    ],
)
def test_steps_are_told_from_other_output(line: str, step: Step | None) -> None:
    assert read_step(line) == step


def test_build_puts_image_and_kernel_into_the_cache(store: Store, tree: Path) -> None:
    steps: list[Step] = []

    made = build(store, tree, steps=steps)

    assert [step.package for step in steps if step.package] == ["first", "second"]
    assert made.kernel.about["release"] == "6.12.60-rig"
    assert made.rootfs.about["packages"] == {"busybox": "1.37.0"}
    assert (made.kernel.path / "config").is_file()


def test_image_brings_its_kernel_and_its_own_agent(store: Store, tree: Path) -> None:
    build(store, tree)

    parts = find_parts(store, None, "buildroot")

    assert (parts.kernel.spec, parts.kernel.release, parts.kernel.modules) == (
        "buildroot:6.12.60", "6.12.60-rig", None,
    )  # fmt: skip
    assert parts.code.agent.read_bytes() == b"\x7fELF made"
    assert parts.code.programs["hog"].is_file()
    assert "hog" in parts.code.python


def test_image_that_guests_get_can_be_named_in_the_environment(
    store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store, tree)
    monkeypatch.setenv("RIG_IMAGE", "buildroot")

    assert find_parts(store, None, None).rootfs.spec == "buildroot"


def test_agent_of_other_sources_is_not_taken(store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(store, tree)
    monkeypatch.setattr("rig.image.rootfs.sources_digest", lambda: "changed")

    assert find_rootfs(store, "buildroot").code is None


def test_image_that_was_never_built_says_how(store: Store) -> None:
    with pytest.raises(RigError, match="rig image build --builder buildroot --recipe small --buildroot DIR"):
        find_rootfs(store, "buildroot:small")


def test_package_that_fails_is_named_with_its_last_lines(store: Store, tree: Path) -> None:
    (tree / "broken").touch()

    with pytest.raises(RigError) as caught:
        build(store, tree)

    assert caught.value.what == "the package second 2.0 failed: Building"
    assert caught.value.where == str(output(store) / "rig-build.log")
    assert caught.value.detail is not None
    assert "second.c:1: error: it is broken" in caught.value.detail
    assert store.entries("rootfs") == []


def test_build_that_failed_half_way_goes_on_from_there(store: Store, tree: Path) -> None:
    (tree / "broken").touch()
    with pytest.raises(RigError):
        build(store, tree)
    (tree / "broken").unlink()

    made = build(store, tree)

    assert made.rootfs.file("root.img").is_file()
    assert (output(store) / "times").read_text() == "once\n"


def test_packages_that_are_built_are_not_expected_again(store: Store, tree: Path) -> None:
    expected: list[int] = []
    build(store, tree, expected=expected)
    stamp = output(store) / "build/host-m4-1.4/.stamp_built"
    stamp.parent.mkdir()
    stamp.touch()

    build(store, tree, expected=expected)

    assert expected == [2, 1]


def test_output_that_is_there_is_used_again(store: Store, tree: Path) -> None:
    first = build(store, tree)

    second = build(store, tree)

    assert second.rootfs.key == first.rootfs.key
    assert not (output(store) / "cleaned").exists()


def test_kernel_with_other_settings_is_built_again(store: Store, tree: Path) -> None:
    build(store, tree)
    other = FULL.model_copy(update={"kernel": KernelPart(version="6.12.61")})

    build(store, tree, other)

    assert (output(store) / "cleaned").read_text() == "linux\n"


def test_kernel_that_is_not_as_its_fragments_ask_is_refused(store: Store, tree: Path) -> None:
    config = tree / "made/kernel-config"
    config.write_text(config.read_text().replace("CONFIG_SWAP=y", "# CONFIG_SWAP is not set"))

    with pytest.raises(RigError) as caught:
        build(store, tree)

    assert "CONFIG_SWAP" in (caught.value.detail or "")
    assert store.entries("kernel") == []


def test_setting_that_buildroot_drops_is_an_error(store: Store, tree: Path) -> None:
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("grep -v '^BR2_DEFCONFIG'", "grep -v '^BR2_PACKAGE_PYTHON3'"))

    with pytest.raises(ConfigError) as caught:
        build(store, tree)

    assert caught.value.detail is not None
    assert caught.value.detail.startswith("BR2_PACKAGE_PYTHON3: asked for y, got nothing")


@pytest.mark.parametrize("missing", ["bzImage", "rootfs.tar", "rig-agent"])
def test_file_that_buildroot_did_not_leave_is_named(store: Store, tree: Path, missing: str) -> None:
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("@cp", "-@cp"))
    (tree / "made" / missing).unlink()

    with pytest.raises(RigError, match=missing):
        build(store, tree)


def test_call_without_a_buildroot_says_which_release_to_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUILDROOT", raising=False)

    with pytest.raises(UsageError, match=r"2025\.02\.x or 2026\.02\.x, from buildroot\.org"):
        find_buildroot(None)


def test_buildroot_is_taken_from_the_environment(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDROOT", str(tree))

    assert find_buildroot(None).version == "2026.02.3"


@pytest.mark.parametrize("content", [None, "all:\n\techo no version\n"])
def test_directory_that_is_no_buildroot_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "Makefile").write_text(content)

    with pytest.raises(UsageError, match="is not a Buildroot tree"):
        find_buildroot(str(tmp_path))


@pytest.mark.parametrize("version", ["2024.11.2", "2019.02"])
def test_buildroot_that_is_too_old_is_refused(version: str, tmp_path: Path) -> None:
    made_buildroot(tmp_path / "old", version)

    with pytest.raises(UsageError, match=rf"Buildroot {version} is too old: .* 2025.02"):
        find_buildroot(str(tmp_path / "old"))


@pytest.mark.parametrize("version", ["2025.02", "2026.05-rc1", "2026.08-git"])
def test_buildroot_that_is_new_enough_is_taken(version: str, tmp_path: Path) -> None:
    made_buildroot(tmp_path / "new", version)

    assert find_buildroot(str(tmp_path / "new")).version == version


def test_missing_programs_are_named_with_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOST_TOOLS:
        if name not in ("rsync", "g++", "ld"):
            (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RigError, match=r"ld, g\+\+, rsync.*apt-get install binutils g\+\+ rsync"):
        check_host()


def test_cache_that_is_no_directory_is_named(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RigError, match=r"the cache cannot be written.*RIG_CACHE"):
        build(Store(tmp_path / "file" / "cache"), tree)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_cache_without_write_permission_is_named(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)

    with pytest.raises(RigError, match=r"the cache cannot be written.*RIG_CACHE"):
        build(Store(tmp_path / "locked"), tree)


def test_primary_site_that_is_no_directory_is_refused(store: Store, tree: Path) -> None:
    with pytest.raises(UsageError, match="--primary-site /nowhere"):
        build_image(store, find_buildroot(str(tree)), FULL, jobs=1, primary_site="/nowhere")


def test_setting_of_the_environment_does_not_reach_buildroot(
    store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makefile = tree / "Makefile"
    makefile.write_text(
        makefile.read_text().replace("built first;", "built first $(BR2_EXTERNAL_RIG_PATH)[$(CFLAGS)];")
    )
    monkeypatch.setenv("CFLAGS", "-O0")

    build(store, tree)

    assert "built first []" in (output(store) / "rig-build.log").read_text()


def test_build_empties_the_output_that_was_not_used_for_longest(
    store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = store.root / "buildroot/small-0123456789ab"
    (other / "build").mkdir(parents=True)
    (other / "build/object").write_bytes(os.urandom(1 << 20))
    monkeypatch.setenv("RIG_BUILD_SIZE", "1M")

    build(store, tree)

    assert not (other / "build").exists()
    assert (output(store) / ".config").is_file()
    assert "1 not used for longest were emptied" in caplog.text


def test_build_that_fails_keeps_the_bound_too(
    store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = store.root / "buildroot/small-0123456789ab"
    (other / "build").mkdir(parents=True)
    (other / "build/object").write_bytes(os.urandom(1 << 20))
    (tree / "broken").touch()
    monkeypatch.setenv("RIG_BUILD_SIZE", "1M")

    with pytest.raises(RigError, match="the package second"):
        build(store, tree)

    assert not (other / "build").exists()
    assert "1 not used for longest were emptied" in caplog.text


def test_output_is_held_while_it_is_built_in(store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = []

    def watch(step: Step, seconds: float) -> None:
        with lock_unused(output(store)) as found:
            free.append(found)

    with using_entries():
        build_image(store, find_buildroot(str(tree)), FULL, jobs=1, progress=watch)

    assert set(free) == {False}


def test_log_of_a_build_that_prints_without_an_end_is_bounded(
    store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("all:\n", "all:\n\t@seq 100000\n", 1))
    monkeypatch.setattr(build_log, "HEAD", 1000)
    monkeypatch.setattr(build_log, "TAIL", 1000)

    build(store, tree)

    log = (output(store) / "rig-build.log").read_text()
    assert len(log) < 5000
    assert "bytes left out]\n" in log
    assert log.endswith("Generating filesystem image rootfs.tar\n")


def test_full_disk_at_the_end_of_a_long_line_is_named(store: Store, tree: Path) -> None:
    makefile = tree / "Makefile"
    long = f"/{'x' * 2000}: No space left on device"
    makefile.write_text(makefile.read_text().replace("second.c:1: error: it is broken", long))
    (tree / "broken").touch()

    with pytest.raises(RigError, match="disk is full"):
        build(store, tree)
