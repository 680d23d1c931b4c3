# SPDX-License-Identifier: MIT
"""Malicious archives: what Python's extraction filters refuse is refused, also on a Python without them."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.untar import extract_files, extract_tree


def member(name: str, kind: bytes = tarfile.REGTYPE, to: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, to, mode
    info.size = len(CONTENT) if kind == tarfile.REGTYPE else 0
    info.uid, info.uname = 4711, "nobody"
    return info


CONTENT = b"made"


def archive(*members: tarfile.TarInfo) -> tarfile.TarFile:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(CONTENT) if info.size else None)
    stream.seek(0)
    return tarfile.open(fileobj=stream)


def link(name: str, to: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, to)


HARMFUL = {
    "absolute": [member("/tmp/x")],
    "above": [member("../x")],
    "above, by a detour": [member("a/../../x")],
    "through a link": [link("a", "/tmp"), member("a/x")],
    "onto a link": [link("a", "/etc/passwd"), member("a")],
    "through a link that climbs": [member("d", tarfile.DIRTYPE, mode=0o755), link("d/a", "../.."), member("d/a/x")],
    "through two links": [link("a", "b"), link("b", ".."), member("a/x")],
    "a hard link to what lies outside": [member("a", tarfile.LNKTYPE, "../x")],
    "a hard link through a link": [link("a", "/etc"), member("b", tarfile.LNKTYPE, "a/passwd")],
    "links that never end": [link("a", "b"), link("b", "a"), member("a/x")],
    "a device": [member("null", tarfile.CHRTYPE)],
    "a pipe": [member("pipe", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("members", HARMFUL.values(), ids=HARMFUL)
def test_harmful_archive_is_refused_and_nothing_written(members: list[tarfile.TarInfo], tmp_path: Path) -> None:
    for extract in (extract_files, lambda tar, directory: extract_tree(tar, directory, tar)):
        with pytest.raises(RigError, match=f"the archive holds '{members[-1].name}'|neither a file nor a directory"):
            extract(archive(member("first"), *members), tmp_path / "here")

    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("members", HARMFUL.values(), ids=HARMFUL)
@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python has no extraction filters")
def test_what_pythons_own_filter_refuses_is_harmful_here(members: list[tarfile.TarInfo], tmp_path: Path) -> None:
    """Not the other way round: Python strips leading slashes, which are refused here."""
    try:
        archive(*members).extractall(tmp_path / "here", filter="data")
    except (tarfile.FilterError, OSError, KeyError):
        return
    assert members[0].name == "/tmp/x"


def test_files_of_a_run_are_unpacked_as_ours(tmp_path: Path) -> None:
    run = [member("run", tarfile.DIRTYPE, mode=0o500), member("run/run.json", mode=0o4466)]

    extract_files(archive(*run), tmp_path)

    status = (tmp_path / "run/run.json").stat()
    assert (tmp_path / "run/run.json").read_bytes() == CONTENT
    assert (oct(status.st_mode), status.st_uid) == ("0o100644", os.geteuid())
    assert oct((tmp_path / "run").stat().st_mode) == "0o40700"


def test_link_among_the_files_of_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="'log', which is not unpacked: it is neither a file nor a directory"):
        extract_files(archive(member("log.txt"), link("log", "log.txt")), tmp_path)


def test_tree_keeps_the_links_that_a_root_filesystem_has(tmp_path: Path) -> None:
    system = [
        link("bin", "usr/bin"), member("usr/bin/dash", mode=0o755), link("usr/bin/sh", "dash"),
        member("bin/rsh", tarfile.LNKTYPE, "bin/sh"), link("etc/mtab", "/proc/self/mounts"), member("bin/ls"),
    ]  # fmt: skip

    tar = archive(*system)
    extract_tree(tar, tmp_path, tar)

    assert (tmp_path / "usr/bin/ls").read_bytes() == CONTENT
    assert (tmp_path / "usr/bin/rsh").samefile(tmp_path / "usr/bin/dash")
    assert (tmp_path / "etc/mtab").readlink() == Path("/proc/self/mounts")
