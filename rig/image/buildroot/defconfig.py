# SPDX-License-Identifier: MIT
"""Render Buildroot's configuration from a recipe, and compare it with the configuration that Buildroot derives.

Kconfig silently drops symbols that it does not know and symbols with unmet dependencies. Every line of the defconfig is
therefore looked up in the resulting .config (format: Documentation/kbuild/kconfig-language.rst and kconfig.rst).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rig.errors import RigError
from rig.image.buildroot.recipe import BuildrootRecipe, external_tree

__all__ = ["ConfigError", "Places", "check_form", "differences", "fragment_files", "read_config", "render_defconfig"]

TEMPLATE = "rig_defconfig.j2"
# The value of a symbol in `# NAME is not set`, and of one that is absent.
OFF = "n"
_SET = re.compile(r'(?P<name>(?:BR2|CONFIG)_\w+)=(?P<value>"(?:[^"\\]|\\.)*"|[\w.+-]+)')
_UNSET = re.compile(r"# (?P<name>(?:BR2|CONFIG)_\w+) is not set")


class ConfigError(RigError):
    """A configuration that is malformed, or of which a line is not in force."""


@dataclass(frozen=True)
class Places:
    """Directories of the host that all builds share.

    downloads: BR2_DL_DIR.
    ccache: BR2_CCACHE_DIR.
    primary_site: a directory of source archives, read before anything is downloaded; None for none.
    """

    downloads: Path
    ccache: Path
    primary_site: Path | None = None


def fragment_files(recipe: BuildrootRecipe) -> list[Path]:
    """Return the kernel fragments of a recipe, in the order of merging."""
    return [external_tree() / "board/rig/linux" / f"{name}.config" for name in recipe.kernel.fragments]


def render_defconfig(recipe: BuildrootRecipe, places: Places, *, jobs: int, buildroot: str) -> str:
    """Return the defconfig of a recipe.

    jobs: make's -j.
    buildroot: the release, for the comment at the top.
    """
    environment = Environment(
        loader=FileSystemLoader(external_tree() / "configs"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    root = external_tree().resolve()
    text = environment.get_template(TEMPLATE).render(
        recipe=recipe,
        kernel=recipe.kernel,
        rootfs=recipe.rootfs,
        toolchain=recipe.toolchain,
        fragments=[f"$(BR2_EXTERNAL_RIG_PATH)/{path.resolve().relative_to(root)}" for path in fragment_files(recipe)],
        places=places,
        jobs=jobs,
        buildroot=buildroot,
    )
    check_form(text, TEMPLATE)
    return text


def read_config(text: str, where: str) -> dict[str, str]:
    """Return symbol -> value of a .config, defconfig or fragment. The value of `# NAME is not set` is `n`.

    where: the file, for errors.
    Raises ConfigError naming a malformed line.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if (match := _SET.fullmatch(line)) is not None:
            found[match["name"]] = match["value"]
        elif (match := _UNSET.fullmatch(line)) is not None:
            found[match["name"]] = OFF
        elif line.strip() and not line.startswith("#"):
            raise ConfigError(
                f"'{line}' is not a line of a configuration",
                where=f"{where}:{number}",
                remedy='write NAME=y, NAME="text", or # NAME is not set',
            )
    return found


def check_form(text: str, where: str) -> dict[str, str]:
    """Read a configuration written by hand, like read_config, and refuse what Kconfig would misread silently.

    Of a symbol that is set twice Kconfig takes the last value; `# NAME is off` is a comment to it.
    Raises ConfigError naming symbol and line.
    """
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _SET.fullmatch(line) or _UNSET.fullmatch(line)
        if match is None:
            if re.match(r"#\s*(BR2|CONFIG)_\w+ is", line):
                raise ConfigError(
                    f"'{line}' would be taken for a comment",
                    where=f"{where}:{number}",
                    remedy="write # NAME is not set",
                )
            continue
        name = match["name"]
        if name in lines:
            raise ConfigError(
                f"{name} is set twice, first in line {lines[name]}", where=f"{where}:{number}", remedy="keep one"
            )
        lines[name] = number
    return read_config(text, where)


def differences(asked: dict[str, str], got: dict[str, str]) -> list[str]:
    """Return a line for each symbol whose value in the result differs from the one asked for.

    asked: symbol -> value of the defconfig.
    got: symbol -> value of the resulting .config. A symbol that it lacks is off.
    """
    return [
        f"{name}: asked for {value}, got {got.get(name, 'nothing: unknown, or what it depends on is off')}"
        for name, value in asked.items()
        if got.get(name, OFF if value == OFF else None) != value
    ]
