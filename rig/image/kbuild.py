# SPDX-License-Identifier: MIT
"""Configure and compile a kernel with its own build system, in a directory outside of its source, and keep the log.

See Documentation/kbuild/kbuild.rst (O=, KBUILD_BUILD_*), scripts/kconfig/merge_config.sh, kernel/configs/tiny.config.
An existing build directory is used again, so that make compiles only what changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.disk import disk_full_of
from rig.errors import RigError, UsageError
from rig.image.build_log import LONGEST_SHOWN, BuildLog, read_lines
from rig.image.fragments import Fragment, check_met
from rig.image.hosttools import missing_tools, tool
from rig.image.kconfig import check_boots, read_config
from rig.image.programs import BUILD, run_program, started_program
from rig.time_left import time_left

__all__ = ["Tree", "check_tree", "compile_kernel", "configure", "toolchain"]

Tell = Callable[[str], None]
ARCH = "x86_64"
BZIMAGE = "arch/x86/boot/bzImage"
LOG = "build.log"
REPORT_EVERY = 20.0
# A kernel contains its build's user, host and time. Fixed values make the build reproducible.
ENVIRONMENT = {
    "KBUILD_BUILD_USER": "rig",
    "KBUILD_BUILD_HOST": "rig",
    "KBUILD_BUILD_VERSION": "1",
    "KBUILD_BUILD_TIMESTAMP": "2026-01-01 00:00:00 UTC",
    "LC_ALL": "C",
    "LOCALVERSION": "",
}
# What every kernel build needs. Below: what it needs for some options.
TOOLS = ("make", "cc", "ld", "objcopy", "flex", "bison", "bc", "gelf.h")
TOOLS_OF = {
    "KERNEL_ZSTD": ("zstd",), "KERNEL_LZ4": ("lz4",), "KERNEL_XZ": ("xz",), "KERNEL_LZO": ("lzop",),
    "DEBUG_INFO_BTF": ("pahole",), "MODULE_SIG_FORMAT": ("openssl/opensslv.h",),
    "SYSTEM_TRUSTED_KEYRING": ("openssl/opensslv.h",), "IKHEADERS": ("cpio",),
}  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """A kernel's source tree and its build directory. version: as the Makefile states it, such as 6.1.176."""

    source: Path
    out: Path
    version: str

    @property
    def log(self) -> Path:
        """The path of the last build's log."""
        return self.out / LOG


def check_tree(source: Path) -> str:
    """Return the version of a kernel's source tree.

    Raises UsageError for a directory that is not a source tree, or in which a kernel was built (O= refuses those).
    """
    makefile = source / "Makefile"
    try:
        head = makefile.read_text(errors="replace")[:4096]
    except OSError:
        head = ""
    parts = {
        name: value for name, value in re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(.*)$", head, re.M)
    }
    if "PATCHLEVEL" not in parts or not (source / "scripts/kconfig/merge_config.sh").is_file():
        raise UsageError(
            "is not a kernel source tree",
            where=source,
            remedy="name the directory that holds the kernel's Makefile and Kconfig: tree:DIR",
        )
    if not (source / "arch/x86").is_dir():
        raise UsageError("this source tree has no arch/x86", where=source, remedy="use a complete tree")
    if (source / ".config").exists() or (source / "include/config").is_dir():
        raise UsageError(
            "this tree was built in place, so the kernel's Makefile refuses another output directory (O=)",
            where=source,
            remedy="`make mrproper` in it (keep your .config), or take a clean one: git worktree add ../clean",
        )
    return "{VERSION}.{PATCHLEVEL}.{SUBLEVEL}{EXTRAVERSION}".format(**{"SUBLEVEL": "0", "EXTRAVERSION": "", **parts})


def toolchain() -> str:
    """Return the versions of the toolchain: the first lines that compiler and linker print."""
    check_tools(TOOLS)
    printed = [run_program([tool(name), "--version"]).stdout.decode(errors="replace") for name in ("cc", "ld")]
    return " / ".join(text.split("\n", 1)[0] for text in printed)


def check_tools(names: Sequence[str]) -> None:
    """Raise RigError if host programs or headers are missing, naming all of them and the packages to install."""
    error = missing_tools(names)
    if error is not None:
        raise error
    if os.uname().machine != ARCH:
        raise RigError(f"kernels for x86-64 are built on x86-64; this is {os.uname().machine}", where="uname -m")


def configure(tree: Tree, fragments: Sequence[Fragment], base: str | None = None) -> str:
    """Write the .config of a build directory and return its text.

    base: a complete configuration to start from, in place of tinyconfig.
    Raises RigError naming each option of the fragments that is not in force.
    Raises UsageError when a guest could not boot with the configuration.
    """
    tree.out.mkdir(parents=True, exist_ok=True)
    file = tree.out / ".config"
    if base is None:
        _make(tree, ["tinyconfig"], "configuring the kernel")
    else:
        file.write_text(base)
    # merge_config.sh wants files; the text of a fragment may come from a package or a wheel.
    directory = tree.out / "rig-fragments"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    paths = []
    for number, fragment in enumerate(fragments):
        path = directory / f"{number}-{fragment.path.name}"
        path.write_text(fragment.text)
        paths.append(path)
    # -m only merges. Without it the script runs the kernel's Makefile itself, and not with rig's arguments.
    _run(
        tree,
        ["sh", tree.source / "scripts/kconfig/merge_config.sh", "-m", "-O", tree.out, file, *paths],
        "merging the fragments",
    )
    _make(tree, ["olddefconfig"], "configuring the kernel")
    text = file.read_text()
    config = read_config(text)
    check_met(fragments, config, file)
    check_boots(config, str(file))
    check_tools([name for option, names in TOOLS_OF.items() if config.get(option) == "y" for name in names])
    return text


def compile_kernel(tree: Tree, jobs: int, tell: Tell, *, expected: int | None = None) -> int:
    """Compile bzImage and vmlinux, and return how many files were compiled.

    expected: how many files there are to compile, for the estimate of the end; None for no estimate.
    Raises RigError with the compiler's messages. Finished object files stay for the next build.
    """
    command = _make_command(tree, [f"-j{jobs}", "bzImage", "vmlinux"])
    began = reported = time.monotonic()
    count = 0
    environment = {**_environment(), **ENVIRONMENT}
    tree.log.unlink(missing_ok=True)
    with (
        BuildLog(tree.log) as log,
        started_program(command, env=environment, stderr=subprocess.STDOUT, deadline=BUILD) as process,
    ):
        assert process.stdout is not None
        for line in read_lines(process.stdout):
            log.write(line)
            count += line.startswith((b"  CC ", b"  AS "))
            if time.monotonic() - reported >= REPORT_EVERY:
                reported = time.monotonic()
                took = reported - began
                left = time_left(count, max(0, (expected or 0) - count), took)
                tell(f"compile kernel {tree.version}: {count} files in {took:.0f} s{left}")
    if process.returncode != 0:
        raise _broken(tree)
    return count


def _broken(tree: Tree) -> RigError:
    words = tree.log.read_text(errors="replace")
    if full := disk_full_of(words, tree.out):
        return full
    lines = words.splitlines()
    first = next(
        (at for at, line in enumerate(lines) if re.search(r"\berror\b[: ]|\*\*\*|undefined reference", line)), 0
    )
    around = lines[max(first - 2, 0) : first + 8]
    last = lines[max(len(lines) - 8, first + 8) :]
    return RigError(
        f"the kernel {tree.version} does not build",
        where=tree.log,
        remedy="fix the errors and run the command again: it continues from what is compiled already",
        detail="\n".join(line[:LONGEST_SHOWN] for line in around + (["…", *last] if last else [])),
    )


def _environment() -> Mapping[str, str]:
    # If rig runs under make, that make exports its flags and variables; they must not reach the kernel's make.
    handed_down = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O", "ARCH", "KCONFIG_CONFIG", "KCONFIG_ALLCONFIG")
    return {name: value for name, value in os.environ.items() if name not in handed_down}


def _make_command(tree: Tree, words: Sequence[str]) -> list[str]:
    return [tool("make"), "-C", str(tree.source), f"O={tree.out}", f"ARCH={ARCH}", *words]


def _make(tree: Tree, words: Sequence[str], what: str) -> None:
    _run(tree, _make_command(tree, ["-s", *words]), what)


def _run(tree: Tree, command: Sequence[str | Path], what: str) -> None:
    environment = {**_environment(), **ENVIRONMENT}
    done = run_program(command, cwd=tree.out, env=environment, stderr=subprocess.STDOUT)
    tree.log.write_bytes(done.stdout)
    if done.returncode != 0:
        words = done.stdout.decode(errors="replace")
        if full := disk_full_of(words, tree.out):
            raise full
        raise RigError(
            f"{what} failed: {Path(command[0]).name} ended with status {done.returncode}",
            where=tree.source,
            detail="\n".join(words.splitlines()[-20:]),
        )
