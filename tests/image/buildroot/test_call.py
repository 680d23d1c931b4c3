# SPDX-License-Identifier: MIT
"""`rig image build --builder buildroot`, called as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.image.buildroot.defconfig import read_config
from tests.calling import Call, calling
from tests.image.buildroot.standin import made_buildroot


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.setenv("RIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("BUILDROOT", raising=False)
    call = calling(capsys)
    return lambda *words: call("image", "build", *words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--builder", "buildroot"], "no Buildroot tree was given"),
        (["--builder", "buildroot", "--buildroot", "/etc"], "'/etc' is not a Buildroot tree"),
        (["--builder", "buildroot", "--recipe", "fill", "--defconfig-only"], "one of full, small"),
        (["--builder", "buildroot", "--kernel", "debian:sid"], "choose the kernel in the recipe"),
        (["--builder", "yocto"], "quick or buildroot"),
        (["--jobs", "2"], "--builder buildroot"),
        (["--defconfig-only"], "--builder buildroot"),
    ],
)
def test_usage_error_names_the_remedy_and_leaves_nothing(
    words: list[str], expected: str, build: Call, tmp_path: Path
) -> None:
    done = build(*words)

    assert done.returncode == 64, done.stdout + done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cache").exists()


def test_defconfig_only_prints_the_configuration_and_builds_nothing(build: Call, tmp_path: Path) -> None:
    done = build("--builder", "buildroot", "--defconfig-only")

    assert done.returncode == 0, done.stderr
    assert read_config(done.stdout, "printed")["BR2_PACKAGE_RIG_GUEST"] == "y"
    assert "not tried, as no Buildroot tree was given" in done.stderr
    assert not (tmp_path / "cache").exists()


def test_defconfig_only_tries_it_in_the_buildroot_that_is_named(build: Call, tmp_path: Path) -> None:
    tree = made_buildroot(tmp_path / "buildroot")

    done = build("--builder", "buildroot", "--defconfig-only", "--buildroot", str(tree))

    assert done.returncode == 0, done.stderr
    assert "in force in Buildroot 2026.02.3" in done.stderr
    assert not (tmp_path / "cache/rootfs").exists()


def test_build_tells_each_package_and_how_to_run_the_image(build: Call, tmp_path: Path) -> None:
    tree = made_buildroot(tmp_path / "buildroot")

    done = build("--builder", "buildroot", "--buildroot", str(tree))

    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[:2]] == ["first", "second"]
    assert "rig run SCENARIO --image buildroot" in done.stdout


def test_failed_build_ends_with_the_status_of_an_error_and_the_last_lines(build: Call, tmp_path: Path) -> None:
    tree = made_buildroot(tmp_path / "buildroot")
    (tree / "broken").touch()

    done = build("--builder", "buildroot", "--buildroot", str(tree))

    assert done.returncode == 3
    assert "the package second 2.0 failed" in done.stderr
    assert "it is broken" in done.stderr
