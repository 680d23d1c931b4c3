# SPDX-License-Identifier: MIT
"""Kernels built from a tree: here a made one whose Makefile knows the few targets that rig calls."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rig.errors import RigError, UsageError
from rig.image import kbuild, sourcekernel
from rig.image.fragments import own_fragments
from rig.image.kbuild import Tree, check_tree
from rig.image.kernel import find_kernel
from rig.image.sourcekernel import ASKED, Asked, _asked_last, build_tree_kernel
from rig.image.store import Store
from tests.image.test_bootfile import _bzimage, _vmlinux

# `olddefconfig` drops what Kconfig does not list, as the kernel's does; `bzImage` compiles one.c and two.c.
MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 1
SUBLEVEL = 7
EXTRAVERSION = -made
tinyconfig:
\t@echo 'CONFIG_64BIT=y' > $(O)/.config
olddefconfig:
\t@grep -v -x -f $(CURDIR)/unknown $(O)/.config > $(O)/.new; mv $(O)/.new $(O)/.config
bzImage vmlinux: $(O)/one.o $(O)/two.o
\t@mkdir -p $(O)/arch/x86/boot $(O)/include/config
\t@cat $(CURDIR)/made.bzImage > $(O)/arch/x86/boot/bzImage
\t@cat $(CURDIR)/made.vmlinux > $(O)/vmlinux
\t@echo 6.1.7-made > $(O)/include/config/kernel.release
$(O)/%.o: $(CURDIR)/%.c
\t@echo "  CC      $*.o"
\t@gcc -c -o $@ $<
"""
MERGE = 'shift; [ "$1" = -O ] && out=$2 && shift 2; into=$1; shift; cat "$@" >> $into\n'


def test_unpacked_source_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut left a tree of empty files under the name that the next build takes as it is."""
    target = tmp_path / "source"
    (tmp_path / "work/deb/usr/src").mkdir(parents=True)
    (tmp_path / "work/deb/usr/src/linux-source-6.1.tar.xz").write_text("")
    called: list[tuple[str, bool]] = []
    monkeypatch.setattr(sourcekernel, "run_tool", lambda argv, **_: called.append((argv[0], target.exists())))
    monkeypatch.setattr(sourcekernel, "sync_directory", lambda path: called.append((path.name, target.exists())))

    sourcekernel._unpack_source(tmp_path / "x.deb", tmp_path / "work", target)

    assert called == [("dpkg-deb", False), ("tar", False), ("sync", False), (tmp_path.name, True)]


def _git(tree: Path, *words: str) -> None:
    identity = ("-c", "user.name=made", "-c", "user.email=made@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(tree), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "linux"
    (directory / "scripts/kconfig").mkdir(parents=True)
    (directory / "arch/x86").mkdir(parents=True)
    (directory / "arch/x86/Kconfig").write_text("")
    (directory / "Makefile").write_text(MAKEFILE)
    (directory / "scripts/kconfig/merge_config.sh").write_text(MERGE)
    (directory / "unknown").write_text("CONFIG_UNKNOWN=y\n")
    (directory / "made.vmlinux").write_bytes(_vmlinux())
    (directory / "made.bzImage").write_bytes(_bzimage(_vmlinux()))
    (directory / "one.c").write_text("int one;\n")
    (directory / "two.c").write_text("int two;\n")
    _git(directory, "init", "-q")
    _git(directory, "add", "-A")
    _git(directory, "commit", "-q", "-m", "made")
    return directory


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture(autouse=True)
def _no_strip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The made vmlinux has no sections for objcopy to work on."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "objcopy").write_text('#!/bin/sh\nexec cp "$2" "$3"\n')
    (tools / "objcopy").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")


def _compiled(messages: list[str]) -> bool:
    return any(words.startswith("compile") for words in messages)


def test_kernel_of_a_tree_is_built_and_boots_as_vmlinux(tree: Path, store: Store) -> None:
    kernel = find_kernel(store, f"tree:{tree}")

    assert kernel.spec == f"tree:{tree}"
    assert kernel.release == "6.1.7-made"
    assert kernel.package is not None
    assert kernel.package.startswith("commit ")
    assert kernel.modules is None
    assert kernel.image.name == "vmlinux"
    assert (kernel.image.parent / "bzImage").is_file()
    assert "CONFIG_VIRTIO_PCI=y" in (kernel.image.parent / "config").read_text()


def test_tree_itself_is_not_written_to(tree: Path, store: Store) -> None:
    find_kernel(store, f"tree:{tree}")

    done = subprocess.run(["git", "-C", str(tree), "status", "--porcelain"], check=True, capture_output=True)
    assert done.stdout == b""


def test_what_did_not_change_is_not_built_again(tree: Path, store: Store) -> None:
    messages: list[str] = []
    find_kernel(store, f"tree:{tree}")

    find_kernel(store, f"tree:{tree}", messages.append)

    assert not _compiled(messages)


@pytest.mark.parametrize("change", ["edit", "commit", "new file"])
def test_what_changed_is_built_again(change: str, tree: Path, store: Store) -> None:
    messages: list[str] = []
    before = find_kernel(store, f"tree:{tree}")

    (tree / ("three.c" if change == "new file" else "one.c")).write_text("int other;\n")
    if change == "commit":
        _git(tree, "commit", "-q", "-a", "-m", "other")
    after = find_kernel(store, f"tree:{tree}", messages.append)

    assert _compiled(messages)
    assert (after.package or "").endswith("with changes") == (change != "commit")
    assert after.image != before.image


def test_going_back_to_a_commit_takes_the_kernel_of_then(tree: Path, store: Store) -> None:
    messages: list[str] = []
    first = find_kernel(store, f"tree:{tree}")
    (tree / "one.c").write_text("int other;\n")
    _git(tree, "commit", "-q", "-a", "-m", "other")
    find_kernel(store, f"tree:{tree}")

    _git(tree, "checkout", "-q", "HEAD~")
    again = find_kernel(store, f"tree:{tree}", messages.append)

    assert not _compiled(messages)
    assert again == first


def test_tree_without_git_is_built_each_time(tree: Path, store: Store) -> None:
    (tree / ".git").rename(tree.parent / "git-aside")
    messages: list[str] = []
    first = find_kernel(store, f"tree:{tree}")

    again = find_kernel(store, f"tree:{tree}", messages.append)

    assert _compiled(messages)
    assert again == first


def test_failing_build_shows_the_compilers_words_and_goes_on_where_it_ended(tree: Path, store: Store) -> None:
    (tree / "two.c").write_text("int two\n")
    with pytest.raises(RigError, match=r"the kernel 6\.1\.7-made does not build") as raised:
        find_kernel(store, f"tree:{tree}")
    log = Path(raised.value.where or "")
    first = [line for line in log.read_text().splitlines() if "  CC " in line]

    (tree / "two.c").write_text("int two;\n")
    find_kernel(store, f"tree:{tree}")

    assert "two.c" in (raised.value.detail or "")
    assert "error" in (raised.value.detail or "")
    assert sorted(first) == ["  CC      one.o", "  CC      two.o"]  # two compilers at once speak in any order
    assert "one.o" not in log.read_text()


def test_persons_fragment_overrides_ours_and_is_remembered(tree: Path, store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_KSM=y\nCONFIG_MINE=y\n")
    built = build_tree_kernel(store, str(tree), Asked.read(mine, debug_info=False))

    found = find_kernel(store, f"tree:{tree}")

    assert found == built
    assert "CONFIG_MINE=y" in (built.image.parent / "config").read_text()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"config":1,"debug_info":true}', b"\0" * 40, b"[" * 99999])
def test_options_of_the_last_build_that_are_damaged_are_left_out(
    text: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ASKED).write_bytes(text)

    assert _asked_last(tmp_path / ASKED) == Asked()
    assert "built without the options of the last build" in caplog.text
    assert _asked_last(tmp_path / "none") == Asked()


def test_persons_option_that_vanishes_is_named(tree: Path, store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_UNKNOWN=y\n")

    with pytest.raises(RigError, match=r"1 of the options asked for are not set") as raised:
        build_tree_kernel(store, str(tree), Asked.read(mine, debug_info=False))

    assert "CONFIG_UNKNOWN=y was asked for, and it is not set" in (raised.value.detail or "")


def test_option_of_ours_that_vanishes_is_named(tree: Path, store: Store) -> None:
    (tree / "unknown").write_text("CONFIG_VIRTIO_CONSOLE=y\n")

    with pytest.raises(RigError, match="are not set") as raised:
        find_kernel(store, f"tree:{tree}")

    assert "virtio.config:" in (raised.value.detail or "")
    assert "CONFIG_VIRTIO_CONSOLE=y was asked for" in (raised.value.detail or "")


def test_whole_configuration_takes_the_place_of_tinyconfig(tree: Path, store: Store, tmp_path: Path) -> None:
    whole = tmp_path / "whole.config"
    whole.write_text("#\n# Automatically generated file; DO NOT EDIT.\n#\nCONFIG_64BIT=y\nCONFIG_THEIRS=m\n")

    built = build_tree_kernel(store, str(tree), Asked.read(whole, debug_info=False))

    assert "CONFIG_THEIRS=m" in (built.image.parent / "config").read_text()


def test_kernel_with_debug_information_brings_its_symbols(tree: Path, store: Store) -> None:
    from rig.image.symbols import find_symbols

    built = build_tree_kernel(store, str(tree), Asked(debug_info=True))

    symbols = find_symbols(store, built.image)
    assert symbols is not None
    assert symbols.source == built.package


@pytest.mark.parametrize("lacks", ["Makefile", "scripts/kconfig/merge_config.sh"])
def test_directory_that_is_no_kernel_tree_is_a_usage_error(lacks: str, tree: Path, store: Store) -> None:
    (tree / lacks).unlink()

    with pytest.raises(UsageError, match="is not a kernel source tree"):
        find_kernel(store, f"tree:{tree}")


def test_tree_of_another_architecture_is_told(tree: Path, store: Store) -> None:
    (tree / "arch/x86/Kconfig").unlink()
    (tree / "arch/x86").rmdir()

    with pytest.raises(UsageError, match="has no arch/x86"):
        find_kernel(store, f"tree:{tree}")


def test_tree_that_was_built_in_place_is_told_with_what_to_do(tree: Path, store: Store) -> None:
    (tree / ".config").write_text("")

    with pytest.raises(UsageError, match="built in place") as raised:
        find_kernel(store, f"tree:{tree}")

    assert "git worktree add" in (raised.value.remedy or "")


def test_directory_that_is_not_there_is_a_usage_error(store: Store) -> None:
    with pytest.raises(UsageError, match="there is no such directory"):
        find_kernel(store, "tree:/nowhere/linux")


def test_version_is_the_makefiles(tree: Path) -> None:
    assert check_tree(tree) == "6.1.7-made"


def test_missing_host_tools_are_all_named_with_their_packages(
    tree: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kbuild, "TOOLS", ("make", "cc", "no-such-flex", "no/such/gelf.h", "bc"))
    monkeypatch.setitem(
        __import__("rig.image.hosttools", fromlist=["PACKAGES"]).PACKAGES, "no/such/gelf.h", "libelf-dev"
    )

    with pytest.raises(RigError, match=r"not installed: no-such-flex, no/such/gelf\.h") as raised:
        find_kernel(store, f"tree:{tree}")

    assert raised.value.remedy == "apt-get install libelf-dev no-such-flex"


def test_cache_that_cannot_be_written_is_told_with_the_remedy(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(RigError, match="the cache cannot be written") as raised:
        find_kernel(Store(tmp_path / "file"), f"tree:{tree}")

    assert "RIG_CACHE" in (raised.value.remedy or "")


def test_build_answers_to_no_make_that_it_was_started_from(
    tree: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "n")
    monkeypatch.setenv("O", "/nowhere")

    assert find_kernel(store, f"tree:{tree}").release == "6.1.7-made"


def test_fragments_are_part_of_a_builds_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Asked().key

    assert Asked(debug_info=True).key != before
    assert Asked(config="CONFIG_A=y\n").key != before
    assert Asked().key == before
    assert own_fragments()


def test_build_estimates_its_end_by_the_files_of_the_last_one(
    tree: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kbuild, "REPORT_EVERY", 0.0)
    find_kernel(store, f"tree:{tree}")
    other = tree.with_name("other")
    shutil.copytree(tree, other)
    (other / "one.c").write_text("int other;\n")
    messages: list[str] = []

    find_kernel(store, f"tree:{other}", messages.append)

    # Two files, as the cached build had: after one of them something is left, after both nothing is.
    told = {words.split(": ")[1].split(" in ")[0]: words for words in messages if " files in " in words}
    assert told["1 files"].endswith(" left")
    assert "left" not in told["2 files"]


def test_build_that_goes_on_has_no_estimate(tree: Path, store: Store) -> None:
    out = store.root / "build"
    made = Tree(tree, out, "6.1.7")
    assert sourcekernel._files_to_compile(store, made, Asked()) == sourcekernel.FILES

    (out / "init").mkdir(parents=True)
    (out / "init/main.o").touch()

    assert sourcekernel._files_to_compile(store, made, Asked()) is None
