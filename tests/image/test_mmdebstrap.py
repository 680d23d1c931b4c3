# SPDX-License-Identifier: MIT
"""Packages are fetched as the host's apt fetches them, and their versions are read from what was fetched."""

from pathlib import Path
from typing import Any

import pytest

from rig.image import mmdebstrap
from rig.image.mmdebstrap import extract_packages


def test_apt_of_mmdebstrap_fetches_as_the_hosts_and_versions_are_those_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called: list[str] = []

    def run(argv: list[Any], **options: Any) -> str:
        called.extend(str(argument) for argument in argv)
        (tmp_path / "packages").write_text(
            "lock\npartial\nredis-server_5%3a7.0.15-1_amd64.deb\nlibc6_2.36-9_amd64.deb\n"
        )
        return ""

    settings = ['Acquire::Check-Valid-Until "false";', 'Acquire::http::Proxy "http://proxy:3142";']
    monkeypatch.setattr(mmdebstrap, "host_fetching", lambda: settings)
    monkeypatch.setattr(mmdebstrap, "host_mirror", lambda: "http://mirror/debian")
    monkeypatch.setattr(mmdebstrap, "run_tool", run)
    versions = extract_packages(["redis-server", "jq=1.6-2"], "sid", tmp_path / "tar", tmp_path, what="fetching")
    assert versions == {"redis-server": "5:7.0.15-1", "libc6": "2.36-9"}
    assert [word.removeprefix("--aptopt=") for word in called if word.startswith("--aptopt=")] == settings
    assert "--include=redis-server,jq=1.6-2" in called
    assert called[-3:] == ["sid", str(tmp_path / "tar"), "http://mirror/debian"]
