# SPDX-License-Identifier: MIT
"""The host's suite and mirror, derived from os-release and apt's sources."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from rig import disk
from rig.errors import RigError
from rig.image import apt, hosttools
from rig.image.apt import host_fetching, host_mirror, host_suite

STABLE = {"ID": "debian", "VERSION_ID": "12", "VERSION_CODENAME": "bookworm"}
# base-files of testing, which sid has too.
UNRELEASED = {"ID": "debian", "VERSION_CODENAME": "forky"}
MIRROR = "http://mirror.example/debian/"
DUMP = """\
Acquire "";
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy:3142";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
DPkg::Post-Invoke:: "/usr/bin/of-the-host";
"""


def host(monkeypatch: pytest.MonkeyPatch, release: dict[str, str], *sources: str) -> None:
    """Replace the host's os-release and package sources. sources: `URI CODENAME COMPONENT`."""
    output = {"apt-get": "".join(f"{line}\n" for line in sources), "apt-config": DUMP}
    monkeypatch.setattr(apt, "_os_release", lambda: release)
    monkeypatch.setattr(apt, "run_tool", lambda argv, **options: output[argv[0]])
    monkeypatch.setattr(apt, "tool", lambda name: f"/usr/bin/{name}")


@pytest.mark.parametrize(
    ("release", "sources", "suite"),
    [
        (STABLE, [], "bookworm"),
        (STABLE, [f"{MIRROR} sid main"], "bookworm"),
        (UNRELEASED, [f"{MIRROR} sid main"], "sid"),
        (UNRELEASED, [f"{MIRROR} forky main"], "forky"),
        (UNRELEASED, [f"{MIRROR} sid main", f"{MIRROR} forky main"], "forky"),
        (UNRELEASED, [], "forky"),
    ],
)
def test_suite_is_the_releases_or_sid_where_apt_has_that_alone(
    release: dict[str, str], sources: list[str], suite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(monkeypatch, release, *sources)

    assert host_suite() == suite


def test_mirror_is_that_of_the_hosts_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, UNRELEASED, "http://other.example/x stable main", f"{MIRROR} sid contrib", f"{MIRROR} sid main")

    assert host_mirror() == MIRROR.rstrip("/")


def test_host_without_a_source_for_its_suite_is_told_to_add_one(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, STABLE, "http://other.example/x stable main")

    with pytest.raises(RigError, match=r"no source for bookworm/main.*apt-get update"):
        host_mirror()


def test_host_that_names_no_suite_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, {"ID": "arch"})

    with pytest.raises(RigError, match=r"names no Debian suite.*debian:bookworm"):
        host_suite()


def test_how_the_host_fetches_is_passed_on_without_its_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, STABLE)

    assert host_fetching() == ['Acquire::Check-Valid-Until "false";', 'Acquire::http::Proxy "http://proxy:3142";']


def test_full_disk_under_the_package_lists_is_not_the_mirrors_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(monkeypatch, STABLE, f"{MIRROR} bookworm main")
    words = "E: Write error - write (28: No space left on device)"

    def fail(argv: object, **options: object) -> str:
        raise RigError("the disk is full", where=tmp_path, detail=words)

    private = apt.PrivateApt(tmp_path, "bookworm")
    monkeypatch.setattr(apt, "run_tool", fail)

    with pytest.raises(RigError, match="the disk is full"):
        private.update()
    words = "E: Failed to fetch"
    with pytest.raises(RigError, match="the mirror does not serve the suite bookworm"):
        private.update()


def test_apt_writes_in_its_own_directory_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, STABLE, f"{MIRROR} bookworm main")
    private = apt.PrivateApt(tmp_path / "apt", "bookworm")
    written: list[object] = []

    def run(argv: list[str], **options: Any) -> str:
        written.append(options["environment"]["TMPDIR"])
        (tmp_path / "linux_1_amd64.deb").touch()
        return ""

    monkeypatch.setattr(apt, "run_tool", run)

    private.update()
    private.download("linux", tmp_path)

    assert written == [str(tmp_path / "apt")] * 2


@pytest.mark.parametrize(
    ("said", "left"),
    [
        # apt has removed the file that did not fit.
        ("E: Error writing to file - write (28: No space left on device)", 1 << 30),
        # apt writes the two parts of a signed file, and names no errno.
        ("W: Splitting up lists/partial/InRelease into data and signature failed", 1000),
    ],
)
def test_full_disk_of_apts_directory_is_named(
    said: str, left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(monkeypatch, STABLE, f"{MIRROR} bookworm main")
    private = apt.PrivateApt(tmp_path, "bookworm")

    def fail(command: object, **options: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], 100, b"", said.encode())

    monkeypatch.setattr(hosttools, "tool", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(hosttools, "run_program", fail)
    monkeypatch.setattr(apt, "run_tool", hosttools.run_tool)
    monkeypatch.setattr(disk, "is_full", lambda path: left < disk.LITTLE and path == tmp_path)
    monkeypatch.setattr(apt, "is_full", lambda path: left < disk.LITTLE)

    with pytest.raises(RigError, match="the disk is full") as raised:
        private.update()

    assert raised.value.where == str(tmp_path)
