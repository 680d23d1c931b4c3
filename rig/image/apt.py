# SPDX-License-Identifier: MIT
"""Fetch Debian packages without root, with a private apt for one suite that is separate from the host's.

It uses the mirrors and keyrings of the host's configuration. Signatures are always verified.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.disk import disk_full, is_full, says_full
from rig.errors import RigError
from rig.image.hosttools import run_tool, tool
from rig.image.programs import FETCH

__all__ = ["Package", "PrivateApt", "host_fetching", "host_mirror", "host_suite"]

KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
)


@dataclass(frozen=True)
class Package:
    """A package of the suite. depends: package names, without alternatives and versions."""

    name: str
    version: str
    depends: tuple[str, ...]


def _os_release() -> dict[str, str]:
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return {}
    return dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, flags=re.MULTILINE))


def host_suite() -> str:
    """Return the host's suite, such as bookworm or sid. Raises RigError when the host is not Debian-like."""
    release = _os_release()
    codename = release.get("VERSION_CODENAME")
    if codename is None:
        raise RigError(
            "this host names no Debian suite",
            where="/etc/os-release",
            remedy="name one: debian:bookworm; or build with Buildroot: rig image build --builder buildroot",
        )
    if "VERSION_ID" in release:
        return codename
    # An unreleased Debian has no VERSION_ID. sid shares os-release (package base-files) with testing, so ask apt.
    suites = [source.codename for source in _host_sources()]
    return "sid" if "sid" in suites and codename not in suites else codename


@dataclass(frozen=True)
class _Source:
    """A package source whose lists the host's apt has fetched. uri: without a trailing slash."""

    uri: str
    codename: str
    component: str


def _host_sources() -> list[_Source]:
    listing = run_tool(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(CODENAME) $(COMPONENT)",
            "Created-By: Packages",
        ],
        what="reading the host's package sources",
    )
    words = ([*line.split(" "), "", "", ""][:3] for line in listing.splitlines())
    return [_Source(uri.rstrip("/"), codename, component) for uri, codename, component in words]


def host_mirror() -> str:
    """Return the URI of the main archive that the host's apt uses.

    Raises RigError when there is no apt or apt has no package source.
    """
    try:
        tool("apt-get")
    except RigError as error:
        raise RigError(
            "this host has no apt, so the quick image cannot be built here",
            where="PATH",
            remedy="build with Buildroot instead: rig image build --builder buildroot --buildroot DIR",
        ) from error
    suite = host_suite()
    for source in _host_sources():
        if (
            source.codename == suite
            and source.component == "main"
            and source.uri.startswith(("http", "file:", "copy:"))
        ):
            return source.uri
    raise RigError(
        f"the host's apt has no source for {suite}/main",
        where="apt-get indextargets",
        remedy="add one below /etc/apt/sources.list.d and run apt-get update",
    )


def host_fetching() -> list[str]:
    """Return the settings with which the host's apt fetches, as lines of apt.conf.

    They are proxies, certificates and how old a mirror's lists may be. An apt that does not read the host's
    configuration needs them, such as the one that mmdebstrap starts.
    """
    dump = run_tool(["apt-config", "dump"], what="reading the configuration of the host's apt")
    return [
        line for line in dump.splitlines() if re.match(r"Acquire::(?!IndexTargets|Changelogs|CompressionTypes)", line)
    ]


class PrivateApt:
    """An apt for one suite of the host's mirror, with its lists and its cache in rig's directory."""

    def __init__(self, directory: Path, suite: str) -> None:
        self.suite = suite
        self.directory = directory
        self.mirror = host_mirror()
        self._prepare()

    def _prepare(self) -> None:
        for name in ("lists/partial", "archives/partial", "empty"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        (self.directory / "status").touch()
        keyrings = [path for path in KEYRINGS if Path(path).is_file()]
        signed = f"[signed-by={','.join(keyrings)}] " if keyrings else ""
        (self.directory / "sources.list").write_text(f"deb {signed}{self.mirror} {self.suite} main\n")

    def _options(self) -> list[str]:
        settings = {
            "Dir::Etc::SourceList": self.directory / "sources.list",
            "Dir::Etc::SourceParts": self.directory / "empty",
            "Dir::Etc::PreferencesParts": self.directory / "empty",
            "Dir::State": self.directory,
            "Dir::State::Lists": self.directory / "lists",
            "Dir::State::Status": self.directory / "status",
            "Dir::Cache": self.directory,
            "Dir::Cache::Archives": self.directory / "archives",
            "Dir::Cache::PkgCache": "",
            "APT::Architecture": "amd64",
            "Acquire::Languages": "none",
        }
        if os.geteuid() == 0:
            # apt's unprivileged user _apt could not enter rig's private directory.
            settings["APT::Sandbox::User"] = "root"
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def _run(self, argv: Sequence[str], *, what: str, deadline: float, cwd: Path | None = None) -> None:
        """Run an apt that writes, with no files but those of its directory."""
        run_tool(argv, what=what, deadline=deadline, cwd=cwd, environment={"TMPDIR": str(self.directory)})

    def update(self) -> None:
        """Fetch the suite's lists. Raises RigError when the mirror does not serve the suite, or the disk is full."""
        try:
            self._run(
                ["apt-get", *self._options(), "-qq", "-o", "APT::Update::Error-Mode=any", "update"],
                what=f"fetching the package lists of {self.suite}",
                deadline=FETCH,
            )
        except RigError as error:
            # apt names no errno where it cannot split a signed file in two.
            if is_full(self.directory):
                raise disk_full(self.directory, detail=error.detail) from error
            if says_full(error.detail or ""):
                raise
            raise RigError(
                f"the mirror does not serve the suite {self.suite}, or cannot be reached",
                where=self.mirror,
                remedy="check the suite's name and the network",
                detail=error.detail,
            ) from error

    def package(self, name: str) -> Package | None:
        """Return the newest version of a package, or None if the suite has no package of this name."""
        if not self._exists(name):
            return None
        text = run_tool(["apt-cache", *self._options(), "--no-all-versions", "show", name], what=f"looking up {name}")
        fields = dict(re.findall(r"^([\w-]+): (.*)$", text, flags=re.MULTILINE))
        depends = tuple(
            re.split(r"[ (|:]", word.strip())[0] for word in fields.get("Depends", "").split(",") if word.strip()
        )
        return Package(fields["Package"], fields["Version"], depends)

    def _exists(self, name: str) -> bool:
        listing = run_tool(["apt-cache", *self._options(), "pkgnames", name], what=f"looking up {name}")
        return name in listing.split()

    def download(self, name: str, into: Path) -> Path:
        """Download one package, verified through the suite's signed lists, and return the path of its file."""
        self._run(
            ["apt-get", *self._options(), "-qq", "download", name],
            what=f"downloading {name} of {self.suite}",
            deadline=FETCH,
            cwd=into,
        )
        found = sorted(into.glob(f"{name}_*.deb"))
        if not found:
            raise RigError(f"{name} was not downloaded", where=into)
        return found[-1]
