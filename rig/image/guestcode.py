# SPDX-License-Identifier: MIT
"""Compile on the host what runs inside guests: the agent, rig's programs, and C files of a user's scenario."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rig.assets import assets
from rig.disk import disk_full_of
from rig.errors import RigError, UsageError
from rig.image.digest import digest_text
from rig.image.hosttools import tool
from rig.image.programs import STEP, run_program
from rig.image.store import Store

__all__ = ["GuestCode", "build_guest_code", "code_in", "compile_program", "sources_digest"]

# GCC 14 makes errors of these warnings (gcc.gnu.org/gcc-14/porting_to.html). Older compilers refuse them here too: what
# compiles on one Debian then compiles on the next. An undeclared function is taken to return an int, so a pointer from
# it loses its upper half.
REFUSED = ("implicit-function-declaration", "implicit-int", "incompatible-pointer-types", "int-conversion")
CFLAGS = (
    "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-static", "-Wall", "-Wextra", "-fno-plt",
    *(f"-Werror={warning}" for warning in REFUSED),
)  # fmt: skip


@dataclass(frozen=True)
class GuestCode:
    """The compiled agent and programs.

    agent: the static binary rig-agent.
    agent_digest: its SHA-256.
    programs: name -> path of a static binary.
    python: name -> path of a script.
    include: the directory of the headers that a scenario's own C file may include.
    """

    agent: Path
    agent_digest: str
    programs: dict[str, Path]
    python: dict[str, Path]
    include: Path


def sources_digest() -> str:
    """Return a digest over the names and contents of the sources of agent and programs."""
    directory = assets("guest")
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.suffix in (".c", ".h", ""))
    return digest_text(
        *(f"{path.relative_to(directory)}\n{path.read_bytes().decode(errors='replace')}" for path in files)
    )


def _sources_key() -> str:
    # Path, size and mtime stand for the compiler's content: an upgrade of its package changes them.
    compiler = Path(tool("cc")).resolve()
    return digest_text(str(compiler), str(compiler.stat().st_size), str(compiler.stat().st_mtime_ns), sources_digest())


def build_guest_code(store: Store) -> GuestCode:
    """Return the compiled guest code, from the cache or built by guest/Makefile.

    Raises RigError with the compiler's messages.
    """
    source = assets("guest")
    key = _sources_key()
    entry = store.get_verified("toolchain", key)
    if entry is None:
        with store.lock("guest-code", STEP), store.staging_directory() as work:
            entry = store.get("toolchain", key)
            if entry is None:
                result = work / "result"
                result.mkdir()
                _make(source, result)
                entry = store.add("toolchain", key, result, {"what": "guest code"})
    return code_in(entry.path, entry.files["rig-agent"])


def _make(source: Path, out: Path) -> None:
    done = run_program([tool("make"), "-C", source, "-j2", f"O={out}"])
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace")
        if full := disk_full_of(words, out):
            raise full
        raise RigError(
            "the guest's programs do not compile",
            where=source,
            remedy="install a C compiler with static libraries: apt-get install gcc libc6-dev",
            detail="\n".join(words.splitlines()[-20:]),
        )


def code_in(directory: Path, agent_digest: str) -> GuestCode:
    """Return the guest code in a directory that holds it compiled: rig-agent, and programs/."""
    source = assets("guest")
    return GuestCode(
        agent=directory / "rig-agent",
        agent_digest=agent_digest,
        programs={
            path.name: path for path in sorted((directory / "programs").iterdir()) if path.is_file() and not path.suffix
        },
        python={path.stem.replace("_", "-"): path for path in sorted((source / "python").glob("*.py"))},
        include=source / "programs",
    )


def compile_program(store: Store, source: Path, more: tuple[Path, ...] = (), libs: tuple[str, ...] = ()) -> Path:
    """Compile a scenario's own C file, linked statically, and return the path of the program in the cache.

    more: further source files of the same program.
    libs: libraries to link, by the name that follows -l: `m` for -lm.
    Raises UsageError for a file that cannot be read, and with the compiler's messages, which name file and line.
    """
    include = assets("guest") / "programs"
    headers = [path.read_text() for path in sorted(include.glob("*.h"))]
    try:
        texts = [path.read_text() for path in (source, *more)]
    except OSError as error:
        raise UsageError(f"the program cannot be read: {error.strerror}", where=source) from error
    key = digest_text(*texts, *CFLAGS, *libs, *headers)
    entry = store.get_verified("toolchain", key)
    if entry is None:
        with store.staging_directory() as work:
            result = work / "result"
            result.mkdir()
            done = run_program(
                [
                    tool("cc"), *CFLAGS, f"-I{include}", "-o", result / "program",
                    source, *more, *(f"-l{name}" for name in libs),
                ],
            )  # fmt: skip
            if done.returncode != 0:
                words = done.stderr.decode(errors="replace")
                if full := disk_full_of(words, result):
                    raise full
                raise UsageError(
                    "the program does not compile",
                    where=source,
                    remedy="fix the errors that the compiler reports",
                    detail="\n".join(words.splitlines()[:20]),
                )
            shutil.copyfile(source, result / source.name)
            entry = store.add("toolchain", key, result, {"what": source.name})
    return entry.file("program")
