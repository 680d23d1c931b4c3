# SPDX-License-Identifier: MIT
"""How a container image wants its program to be started (OCI image-spec, config.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rig.errors import RigError

__all__ = ["ImageConfig", "config_from", "read_config"]

ARCHITECTURES = ("amd64", "x86_64", "")


@dataclass(frozen=True)
class ImageConfig:
    """The part of an image's configuration that starts its program.

    env: NAME=VALUE texts.
    entrypoint: the first words of the command line.
    cmd: the words after those, which a user's own words replace.
    user: a name or uid, with a group after a colon; empty for root.
    workdir: empty where the image names none.
    """

    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""


def config_from(noted: Mapping[str, Any]) -> ImageConfig:
    """Return the configuration that an entry of the cache records as plain JSON."""
    return ImageConfig(
        env=tuple(noted.get("env", ())),
        entrypoint=tuple(noted.get("entrypoint", ())),
        cmd=tuple(noted.get("cmd", ())),
        user=noted.get("user", ""),
        workdir=noted.get("workdir", ""),
    )


def read_config(document: Any, where: str) -> ImageConfig:
    """Read an image's configuration document. Raises RigError for an image of another architecture or system."""
    if not isinstance(document, dict):
        raise RigError("the image's configuration is not an object", where=where)
    architecture, system = str(document.get("architecture", "")), str(document.get("os", ""))
    if architecture not in ARCHITECTURES or system not in ("linux", ""):
        raise RigError(
            f"the image is for {system or 'linux'}/{architecture}, but the guest is linux/amd64",
            where=where,
            remedy="give one for linux/amd64: docker pull --platform linux/amd64 …",
        )
    inner = document.get("config")
    inner = inner if isinstance(inner, dict) else {}

    def texts(name: str) -> tuple[str, ...]:
        value = inner.get(name)
        return tuple(str(each) for each in value) if isinstance(value, list) else ()

    return ImageConfig(
        texts("Env"),
        texts("Entrypoint"),
        texts("Cmd"),
        str(inner.get("User") or ""),
        str(inner.get("WorkingDir") or ""),
    )
