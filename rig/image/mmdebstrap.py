# SPDX-License-Identifier: MIT
"""Fetch packages of a suite and unpack them into one tar archive, without installing them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rig.image.apt import host_fetching, host_mirror
from rig.image.hosttools import run_tool
from rig.image.programs import FETCH

__all__ = ["HOST_FILES", "extract_packages"]

HOST_FILES = frozenset(("etc/hostname", "etc/resolv.conf"))
"""Files of the host that mmdebstrap copies beside those of the packages (setup() of mmdebstrap). No guest gets them:
they name this host and its servers, and would make the same packages another image on another host."""


def extract_packages(packages: Sequence[str], suite: str, tar: Path, work: Path, *, what: str) -> dict[str, str]:
    """Write the files of packages, and of those that they depend on, to a tar archive. Returns name -> version.

    packages: names, each with an optional =VERSION.
    work: an empty directory, which is the caller's to remove.
    what: the work, as it is named in an error.
    Raises RigError where mmdebstrap fails; its detail is what mmdebstrap said.
    """
    listing = work / "packages"
    run_tool(
        [
            "mmdebstrap",
            "--variant=extract",
            "--mode=chrootless",
            "--quiet",
            # The apt that mmdebstrap starts does not read the host's configuration.
            *(f"--aptopt={setting}" for setting in host_fetching()),
            # The versions of the extracted packages, from the names of the files that apt fetched.
            f'--extract-hook=ls "$1/var/cache/apt/archives" > {listing}',
            f"--include={','.join(packages)}",
            suite,
            tar,
            host_mirror(),
        ],
        what=what,
        # mmdebstrap unpacks there. What it leaves when it is killed goes with the staging directory.
        environment={"TMPDIR": str(work)},
        deadline=FETCH,
    )
    return _versions(listing.read_text())


def _versions(listing: str) -> dict[str, str]:
    """Return name -> version, parsed from the names of .deb files. apt writes the colon of an epoch as %3a."""
    names = [line.removesuffix(".deb").split("_") for line in listing.split() if line.endswith(".deb")]
    return {name: version.replace("%3a", ":") for name, version, _ in names}
