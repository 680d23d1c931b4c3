# SPDX-License-Identifier: MIT
"""Read kernel configuration fragments, check that they agree, and compare them with the resulting .config.

A fragment is what scripts/kconfig/merge_config.sh takes: `CONFIG_NAME=value` or `# CONFIG_NAME is not set` a line.
Options vanish from a configuration silently when a kernel does not have them or their conditions do not hold, so each
line is looked up in the result. Of ours, a comment `# optional: WHY` above a line says that some kernels lack it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rig.assets import assets
from rig.errors import RigError, UsageError

__all__ = [
    "CONCERNS",
    "DEBUG_INFO",
    "Fragment",
    "Option",
    "check_distinct",
    "check_met",
    "own_fragments",
    "read_fragment",
    "unmet",
]

# One fragment for each concern. A guest's kernel is configured from all of them.
CONCERNS = ("base", "virtio", "live", "pmem", "memory", "debug", "lean")
DEBUG_INFO = "debuginfo"
SET = re.compile(r'CONFIG_(\w+)=([ymn]|-?\d+|0x[0-9a-fA-F]+|"[^"]*")')
NOT_SET = re.compile(r"# CONFIG_(\w+) is not set")
OPTIONAL = re.compile(r"# optional: (\S.*)")


@dataclass(frozen=True)
class Option:
    """A line of a fragment. value: as in a .config, `n` for what must not be set; optional: why it may be missing."""

    name: str
    value: str
    line: int
    optional: str | None = None


@dataclass(frozen=True)
class Fragment:
    """A fragment's file, its text, and the options in it."""

    path: Path
    text: str
    options: tuple[Option, ...]

    def where(self, option: Option) -> str:
        """Return the place of an option, as an error names it."""
        return f"{self.path}:{option.line}"


def read_fragment(path: Path) -> Fragment:
    """Read a fragment. Raises UsageError for a line that is none, an option twice, and a mark without an option."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"the fragment cannot be read: {words}", where=path) from error
    options: dict[str, Option] = {}
    optional: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        found = SET.fullmatch(words)
        name, value = (found[1], found[2]) if found else ("", "n")
        if found is None and (off := NOT_SET.fullmatch(words)):
            name = off[1]
        if name:
            if name in options:
                first = options[name].line
                raise UsageError(f"CONFIG_{name} is set twice, first in line {first}", where=f"{path}:{number}")
            options[name] = Option(name, value, number, optional)
            optional = None
        elif optional is not None:
            raise UsageError("no option follows '# optional:'", where=f"{path}:{number - 1}")
        elif mark := OPTIONAL.fullmatch(words):
            optional = mark[1]
        elif words and not words.startswith("#"):
            raise UsageError(
                f"'{words}' is not a line of a kernel configuration",
                where=f"{path}:{number}",
                remedy="write CONFIG_NAME=y, or # CONFIG_NAME is not set",
            )
    if optional is not None:
        raise UsageError("no option follows '# optional:'", where=path)
    return Fragment(path, text, tuple(options.values()))


def own_fragments(*, debug_info: bool = False) -> tuple[Fragment, ...]:
    """Return the fragments that travel with rig, in the order of merging. Raises UsageError when two disagree."""
    directory = assets("images") / "buildroot/board/rig/linux"
    names = (*CONCERNS, DEBUG_INFO) if debug_info else CONCERNS
    fragments = tuple(read_fragment(directory / f"{name}.config") for name in names)
    check_distinct(fragments)
    return fragments


def check_distinct(fragments: Iterable[Fragment]) -> None:
    """Raise UsageError for an option that two fragments have: it has one place."""
    seen: dict[str, tuple[Fragment, Option]] = {}
    for fragment in fragments:
        for option in fragment.options:
            if option.name in seen:
                other, first = seen[option.name]
                how = "asks otherwise" if first.value != option.value else "has it too"
                raise UsageError(
                    f"CONFIG_{option.name} has its place in {other.where(first)}, and this fragment {how}",
                    where=fragment.where(option),
                )
            seen[option.name] = (fragment, option)


def unmet(fragments: Iterable[Fragment], config: Mapping[str, str]) -> list[str]:
    """Return a line for each option asked for that is not in force in a configuration. The last that asks stands.

    A number that is 0 is off: BASE_SMALL of init/Kconfig was one before it became a bool.
    """
    asked = {option.name: (fragment, option) for fragment in fragments for option in fragment.options}
    lines = []
    for name, (fragment, option) in asked.items():
        got = config.get(name)
        if option.value == got or (option.value == "n" and got in (None, "0")):
            continue
        if got is None and option.optional is not None:
            continue
        state = "is not set" if got is None else f"is {got}"
        lines.append(f"{fragment.path.name}:{option.line}: CONFIG_{name}={option.value} was asked for, and it {state}")
    return lines


def check_met(fragments: Iterable[Fragment], config: Mapping[str, str], where: Path) -> None:
    """Raise RigError naming each option that is not in force."""
    lines = unmet(fragments, config)
    if lines:
        raise RigError(
            f"{len(lines)} of the options asked for are not set in the kernel's configuration",
            where=where,
            remedy="this kernel lacks them, or an option that they depend on is not set: ask for that one too",
            detail="\n".join(lines),
        )
