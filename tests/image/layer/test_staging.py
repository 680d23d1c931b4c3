# SPDX-License-Identifier: MIT
"""Untrusted archives are unpacked into a root: links resolve inside it, and nothing is written outside."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image.daximage import Owner
from rig.image.layer import staging as module
from rig.image.layer.staging import Staging


def archive(*members: tuple[str, object], **owner: int) -> tarfile.TarFile:
    """Return an archive of (name, content): bytes a file, text a link, None a directory, ("hard", name) a hard link."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.uid, member.gid, member.mode = owner.get("uid", 0), owner.get("gid", 0), owner.get("mode", 0o755)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            elif isinstance(content, tuple):
                member.type, member.linkname = tarfile.LNKTYPE, content[1]
            else:
                assert isinstance(content, bytes)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
                continue
            tar.addfile(member)
    data.seek(0)
    return tarfile.open(fileobj=data)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    root = tmp_path / "root"
    root.mkdir()
    return Staging(root)


def test_files_links_and_directories_are_staged(staging: Staging) -> None:
    staging.apply(
        archive(("usr", None), ("usr/bin/tool", b"x"), ("bin", "usr/bin"), ("./other", ("hard", "usr/bin/tool")))
    )

    assert (staging.root / "usr/bin/tool").read_bytes() == b"x"
    assert (staging.root / "bin").readlink() == Path("usr/bin")
    assert (staging.root / "other").samefile(staging.root / "usr/bin/tool")


@pytest.mark.parametrize("name", ["../escape", "a/../../escape", ".."])
def test_path_that_leads_out_is_refused_or_stays_inside(staging: Staging, name: str) -> None:
    with pytest.raises(RigError, match="archive"):
        staging.apply(archive(("a", "/"), (name, b"x"), ("..", b"x")))

    assert not (staging.root.parent / "escape").exists()


def test_absolute_link_starts_at_the_new_root(staging: Staging, tmp_path: Path) -> None:
    staging.apply(archive(("lib", "/usr/lib"), ("lib/libc.so", b"x"), ("out", str(tmp_path)), ("out/file", b"y")))

    assert (staging.root / "usr/lib/libc.so").read_bytes() == b"x"
    assert not (tmp_path / "file").exists()
    assert (staging.root / str(tmp_path).lstrip("/") / "file").read_bytes() == b"y"


def test_link_upwards_stays_at_the_root_as_in_a_chroot(staging: Staging) -> None:
    staging.apply(archive(("up", "../../.."), ("up/file", b"x")))

    assert (staging.root / "file").read_bytes() == b"x"


def test_links_in_a_circle_are_refused(staging: Staging) -> None:
    with pytest.raises(RigError, match="too many links"):
        staging.apply(archive(("a", "b"), ("b", "a"), ("a/file", b"x")))


def test_hard_link_to_a_file_outside_is_refused(staging: Staging) -> None:
    (staging.root.parent / "secret").write_text("secret")

    with pytest.raises(RigError, match="hard link"):
        staging.apply(archive(("stolen", ("hard", "../secret"))))


def test_owner_and_mode_are_noted_where_they_are_not_roots(staging: Staging) -> None:
    staging.apply(archive(("data", b"x"), uid=999, gid=998, mode=0o4711))
    staging.apply(archive(("plain", b"x")))

    assert staging.finished() == {"data": Owner(999, 998, 0o104711)}


def test_owner_of_a_file_that_a_later_layer_removed_is_forgotten(staging: Staging) -> None:
    staging.apply(archive(("data", b"x"), uid=999))
    staging.apply(archive((".wh.data", b"")), whiteouts=True)

    assert staging.finished() == {}


def test_whiteout_removes_what_an_earlier_layer_had(staging: Staging) -> None:
    staging.apply(archive(("etc/a", b"1"), ("etc/b", b"1"), ("var/x", b"1")))

    staging.apply(archive(("etc/.wh.a", b""), (".wh.var", b"")), whiteouts=True)

    assert sorted(path.name for path in staging.root.rglob("*")) == ["b", "etc"]


def test_opaque_directory_hides_earlier_layers_and_not_its_own(staging: Staging) -> None:
    staging.apply(archive(("etc/old", b"1")))

    staging.apply(archive(("etc/new", b"2"), ("etc/.wh..wh..opq", b"")), whiteouts=True)

    assert [path.name for path in (staging.root / "etc").iterdir()] == ["new"]


def test_later_layer_replaces_a_directory_by_a_file_and_a_file_by_a_directory(staging: Staging) -> None:
    staging.apply(archive(("a/inside", b"1"), ("b", b"1")))

    staging.apply(archive(("a", b"2"), ("b", None), ("b/inside", b"2")), whiteouts=True)

    assert (staging.root / "a").read_bytes() == b"2"
    assert (staging.root / "b/inside").read_bytes() == b"2"


def test_root_that_is_too_large_is_refused_before_it_is_written(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_ROOT", 1000)

    with pytest.raises(RigError, match="larger than"):
        staging.apply(archive(("a", bytes(900)), ("b", bytes(900))))

    assert not (staging.root / "b").exists()


def test_too_many_files_are_refused(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 3)

    with pytest.raises(RigError, match="3 files"):
        staging.apply(archive(*((f"d{number}", None) for number in range(5))))


def test_damaged_archive_is_an_error_of_ours(staging: Staging) -> None:
    data = archive(("a", bytes(5000))).fileobj.getvalue()  # type: ignore[union-attr] # made from bytes above

    with (
        tarfile.open(fileobj=io.BytesIO(data[:2000]), mode="r|") as cut,
        pytest.raises(RigError, match="damaged"),
    ):
        staging.apply(cut)
