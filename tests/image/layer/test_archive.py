# SPDX-License-Identifier: MIT
"""Container images as docker save, podman save and OCI tools write them, and plain tars."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig.errors import RigError
from rig.image.layer.archive import fill_from_archive, is_layout
from rig.image.layer.staging import Staging
from tests.zstd import zstd

CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["A=1"], "Entrypoint": ["/app"], "Cmd": ["--help"], "User": "999", "WorkingDir": "/srv"},
}


def tar(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


LAYERS = (tar({"app": b"old", "etc/gone": b"x"}), tar({"app": b"new", "etc/.wh.gone": b""}))


def docker(layers: tuple[bytes, ...] = LAYERS, config: dict[str, Any] = CONFIG) -> dict[str, bytes]:
    """The files of what `docker save` wrote before version 25."""
    names = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["app:1"], "Layers": names}]
    return {
        **dict(zip(names, layers, strict=True)),
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }


def oci(pack: Callable[[bytes], bytes] = gzip.compress, config: dict[str, Any] = CONFIG) -> dict[str, bytes]:
    """The files of an OCI layout."""
    blobs = {}

    def blob(data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    layers = [blob(pack(layer)) for layer in LAYERS]
    manifest = blob(json.dumps({"config": blob(json.dumps(config).encode()), "layers": layers}).encode())
    platform = {"architecture": "amd64", "os": "linux"}
    other = {**blob(b"{}"), "platform": {"architecture": "arm64", "os": "linux"}}
    index = {"manifests": [other, {**manifest, "platform": platform}]}
    return {**blobs, "oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}


@pytest.fixture
def stage(tmp_path: Path) -> Callable[[Path], tuple[Path, dict[str, Any]]]:
    def fill(source: Path) -> tuple[Path, dict[str, Any]]:
        root = tmp_path / "root"
        root.mkdir()
        return root, fill_from_archive(Staging(root), source)

    return fill


Stage = Callable[[Path], tuple[Path, dict[str, Any]]]


def packed(tmp_path: Path, files: dict[str, bytes], pack: Callable[[bytes], bytes] = lambda data: data) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(tar(files)))
    return path


@pytest.mark.parametrize(
    "files", [docker(), oci(), oci(zstd), oci(lambda data: data)], ids=["docker", "gzip", "zstd", "plain"]
)
def test_layers_lie_over_each_other_and_the_configuration_is_kept(
    stage: Stage, tmp_path: Path, files: dict[str, bytes]
) -> None:
    root, about = stage(packed(tmp_path, files))

    assert (root / "app").read_bytes() == b"new"
    assert not (root / "etc/gone").exists()
    assert about["config"] == {
        "env": ("A=1",), "entrypoint": ("/app",), "cmd": ("--help",), "user": "999", "workdir": "/srv",
    }  # fmt: skip


def test_layout_in_a_directory_is_an_image(stage: Stage, tmp_path: Path) -> None:
    directory = tmp_path / "layout"
    for name, content in oci().items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)

    assert is_layout(directory)
    assert (stage(directory)[0] / "app").read_bytes() == b"new"


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
def test_tar_of_a_root_filesystem_is_taken_as_it_is(
    stage: Stage, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    root, about = stage(packed(tmp_path, {"bin/app": b"x", "etc/.wh.name": b"kept"}, pack))

    assert about == {}
    assert (root / "bin/app").read_bytes() == b"x"
    assert (root / "etc/.wh.name").read_bytes() == b"kept"


def test_image_of_another_machine_is_refused(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(RigError, match="linux/arm64"):
        stage(packed(tmp_path, docker(config={**CONFIG, "architecture": "arm64"})))


def test_layer_that_is_not_what_its_digest_says_is_refused(stage: Stage, tmp_path: Path) -> None:
    files = oci()
    name = next(name for name in files if files[name][:2] == b"\x1f\x8b")
    files[name] = gzip.compress(tar({"app": b"forged"}))

    with pytest.raises(RigError, match="digest"):
        stage(packed(tmp_path, files))


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
def test_files_of_all_sizes_come_whole(stage: Stage, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    files = {f"srv/{size}": bytes([size % 251]) * size for size in (0, 1, 511, 512, 513, 10240, (1 << 20) + 1)}

    root, _ = stage(packed(tmp_path, docker((pack(tar(files)), pack(tar({"srv/.wh.1": b""}))))))

    assert {str(path.relative_to(root)): path.read_bytes() for path in root.glob("srv/*")} == {
        name: content for name, content in files.items() if name != "srv/1"
    }


@pytest.mark.parametrize("length", [700, 1536])
def test_layer_that_is_cut_short_is_damaged(stage: Stage, tmp_path: Path, length: int) -> None:
    layer = tar({"app": b"x" * 2000, "other": b"y" * 2000})[:length]

    with pytest.raises(RigError, match="damaged"):
        stage(packed(tmp_path, docker((layer,))))


def test_layer_that_is_missing_is_named(stage: Stage, tmp_path: Path) -> None:
    files = docker()
    del files[f"{1:064x}/layer.tar"]

    with pytest.raises(RigError, match="lacks its layer"):
        stage(packed(tmp_path, files))


def linked(link: str) -> bytes:
    """A docker archive whose first layer is a symbolic link, as old versions of docker wrote it for a shared layer."""
    files = docker()
    first, second = f"{0:064x}/layer.tar", f"{1:064x}/layer.tar"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("manifest.json", "config.json", second):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
        member = tarfile.TarInfo(first)
        member.type, member.linkname = tarfile.SYMTYPE, link
        archive.addfile(member)
    return data.getvalue()


def test_layer_that_is_a_link_to_another_layer_is_taken(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(linked(f"../{1:064x}/layer.tar"))

    assert (stage(path)[0] / "app").read_bytes() == b"new"


@pytest.mark.parametrize("link", ["layer.tar", "../../secret", "missing"])
def test_layer_that_is_a_link_to_nothing_is_missing(stage: Stage, tmp_path: Path, link: str) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(linked(link))

    with pytest.raises(RigError, match="lacks its layer"):
        stage(path)


def test_blob_outside_of_the_layout_is_not_read(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(json.dumps(CONFIG))
    directory = tmp_path / "layout"
    directory.mkdir()
    (directory / "manifest.json").write_text(json.dumps([{"Config": "../secret", "Layers": []}]))

    with pytest.raises(RigError, match="damaged"):
        stage(directory)


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100, b"\x1f\x8b" + bytes(50)])
def test_what_is_no_archive_is_refused(stage: Stage, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises(RigError):
        stage(path)


def test_archive_of_two_images_asks_for_one(stage: Stage, tmp_path: Path) -> None:
    files = docker()
    one = json.loads(files["manifest.json"])[0]
    files["manifest.json"] = json.dumps([one, {**one, "RepoTags": ["other:2"]}]).encode()

    with pytest.raises(RigError, match="2 images: app:1, other:2"):
        stage(packed(tmp_path, files))
