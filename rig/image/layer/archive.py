# SPDX-License-Identifier: MIT
"""Read root filesystems from a tar, a docker archive (docker save, podman save), or an OCI archive or layout.

Formats: the OCI image-spec (image-layout.md, manifest.md, layer.md), and the manifest.json of `docker save`. Recent
versions of docker write both into one tar.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import posixpath
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Protocol

from rig.errors import RigError, UsageError
from rig.image.hosttools import tool
from rig.image.layer.config import ImageConfig, read_config
from rig.image.layer.staging import LARGEST_ROOT, Staging
from rig.image.layer.streams import Forward, Span, open_tar
from rig.image.programs import STREAM, started_program

__all__ = ["fill_from_archive", "is_layout"]

# Bytes of one JSON document: an archive of a stranger must not fill this process's memory.
LARGEST_DOCUMENT = 8 << 20
MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz"}


class _Files(Protocol):
    """The files of an image, in a directory or in a tar."""

    def find(self, name: str) -> Span:
        """Return the content of a file by its path in the image. Raises KeyError where there is none."""


class _Directory:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, name: str) -> Span:
        # Resolved first: neither `..` nor a symbolic link may lead out of the layout.
        path = (self._directory / name).resolve()
        if not path.is_relative_to(self._directory.resolve()) or not path.is_file():
            raise KeyError(name)
        return Span(path.open("rb"))


class _Tar:
    def __init__(self, span: Span, archive: tarfile.TarFile) -> None:
        self._span = span
        self._members = {member.name.removeprefix("./"): member for member in archive.getmembers()}

    def find(self, name: str) -> Span:
        member = self._members[name]
        if member.issym():
            # Older versions of docker store a layer once and put symbolic links where other images use it. Such a link
            # names the layer itself; one that leads to another link is refused, because it may lead back.
            member = self._members[posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))]
        if not member.isreg() or member.issparse():
            raise KeyError(name)
        return self._span.part(member.offset_data, member.size)

    def names(self) -> set[str]:
        return set(self._members)


def is_layout(directory: Path) -> bool:
    """Return whether a directory is the layout of an image (OCI, or an unpacked docker archive), not a root."""
    return (directory / "oci-layout").is_file() or (
        (directory / "manifest.json").is_file() and not (directory / "usr").exists()
    )


def fill_from_archive(staging: Staging, path: Path) -> dict[str, Any]:
    """Stage the root filesystem of an archive or layout, and return the image's configuration under `config`.

    A plain tar has no configuration: the result is then empty.
    Raises UsageError for a file that is not an archive.
    Raises RigError for a damaged image, and for one of another architecture.
    """
    if path.is_dir():
        return _image(staging, _Directory(path), path)
    with _plain(path) as file:
        span = Span(file)
        try:
            with open_tar(span) as archive:
                first = archive.next()
                if first is None:
                    raise RigError("the archive is empty", where=path)
                if _may_be_an_image(first.name):
                    files = _Tar(span, archive)
                    if files.names() & {"manifest.json", "index.json"}:
                        return _image(staging, files, path)
            span.seek(0)
            with open_tar(span) as archive:
                staging.apply(archive)
            return {}
        except tarfile.TarError as error:
            raise UsageError(
                f"is not a readable archive: {error}",
                where=path,
                remedy="give a tar, or the output of docker save, podman save or docker export",
            ) from error


def _may_be_an_image(first: str) -> bool:
    """Return whether an archive with this first member can be an image.

    The check avoids listing a plain root filesystem, whose first member is one of its top directories.
    """
    name = first.removeprefix("./").rstrip("/")
    head = name.split("/")[0]
    return head in ("blobs", "oci-layout", "index.json", "manifest.json", "repositories") or (
        len(head) >= 64 or head.endswith((".json", ".tar"))
    )


def _image(staging: Staging, files: _Files, where: Path) -> dict[str, Any]:
    try:
        config, layers = _docker(files, where) or _oci(files, where)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise RigError(f"the image is damaged: {error}", where=where) from error
    for name, digest in layers:
        try:
            layer = files.find(name)
        except KeyError:
            raise RigError(f"the image lacks its layer {name}", where=where) from None
        if _apply_layer(staging, layer, check=bool(digest)) != digest:
            raise RigError(f"{name} does not match its digest", where=where, remedy="save the image again")
    return {"config": asdict(config)}


def _apply_layer(staging: Staging, layer: Span, *, check: bool) -> str:
    """Stage the files of a layer. With `check` return its SHA-256, else an empty text."""
    # hashlib releases the interpreter's lock, so on a second CPU the digest takes no time.
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(layer.digest) if check else None
        with _decompressed(layer) as archive:
            staging.apply(archive, whiteouts=True)
        return digest.result() if digest is not None else ""


def _docker(files: _Files, where: Path) -> tuple[ImageConfig, list[tuple[str, str]]] | None:
    try:
        manifest = _document(files, "manifest.json", where)
    except KeyError:
        return None
    if len(manifest) != 1:
        names = [tag for each in manifest for tag in each.get("RepoTags") or []]
        raise UsageError(
            f"the archive holds {len(manifest)} images: {', '.join(names)}", where=where, remedy="save one of them"
        )
    config = read_config(_document(files, manifest[0]["Config"], where), str(where))
    return config, [(str(layer), _digest_of_name(str(layer))) for layer in manifest[0]["Layers"]]


def _digest_of_name(name: str) -> str:
    """Return the SHA-256 in a blob's path, or an empty text: older docker archives do not name layers by digest."""
    return name.removeprefix("blobs/sha256/") if name.startswith("blobs/sha256/") else ""


def _oci(files: _Files, where: Path) -> tuple[ImageConfig, list[tuple[str, str]]]:
    manifest = _document(files, "index.json", where)
    for _ in range(3):  # an index may name further indexes; the bound stops one that names itself
        if "layers" in manifest:
            break
        choices = [each for each in manifest["manifests"] if _fits(each.get("platform"))]
        if not choices:
            raise RigError("the image has no variant for linux/amd64", where=where)
        manifest = _blob(files, choices[0], where)
    layers = [str(layer["digest"]) for layer in manifest["layers"]]
    config = read_config(_blob(files, manifest["config"], where), str(where))
    return config, [(_path_of(digest), digest.removeprefix("sha256:")) for digest in layers]


def _fits(platform: Any) -> bool:
    return not isinstance(platform, Mapping) or (platform.get("architecture"), platform.get("os")) == ("amd64", "linux")


def _path_of(digest: str) -> str:
    kind, _, hexadecimal = digest.partition(":")
    if kind != "sha256" or len(hexadecimal) != 64 or not hexadecimal.isalnum():
        raise ValueError(f"'{digest}' is not a SHA-256 digest")
    return f"blobs/sha256/{hexadecimal}"


def _blob(files: _Files, descriptor: Mapping[str, Any], where: Path) -> Any:
    digest = str(descriptor["digest"])
    name = _path_of(digest)
    data = files.find(name).read(LARGEST_DOCUMENT + 1)
    if hashlib.sha256(data).hexdigest() != digest.removeprefix("sha256:"):
        raise RigError(f"{name} does not match its digest", where=where, remedy="save the image again")
    return json.loads(data)


def _document(files: _Files, name: str, where: Path) -> Any:
    data = files.find(name).read(LARGEST_DOCUMENT + 1)
    if len(data) > LARGEST_DOCUMENT:
        raise RigError(f"{name} is larger than {LARGEST_DOCUMENT >> 20} MB", where=where)
    return json.loads(data)


@contextmanager
def _decompressed(layer: Span) -> Iterator[tarfile.TarFile]:
    """Yield the tar that a layer holds, compressed or not."""
    kind = _kind(layer.read(8))
    layer.seek(0)
    if not kind:
        with open_tar(layer) as archive:
            yield archive
        return
    stream = io.BufferedReader(layer, 1 << 20)
    with _READERS[kind](stream) as reader, open_tar(Forward(reader)) as archive:
        yield archive


def _zstd(stream: IO[bytes]) -> Any:
    """Return a reader that refuses a window above 128 MiB, the most that `zstd --long` asks for without a number."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # part of Python since 3.14

        return zstd.ZstdFile(stream, options={zstd.DecompressionParameter.window_log_max: 27})
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(stream)


_READERS: Mapping[str, Callable[[IO[bytes]], Any]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=stream),
    "zstd": _zstd,
    "xz": lzma.LZMAFile,
}


def _kind(head: bytes) -> str:
    return next((kind for magic, kind in MAGICS.items() if head.startswith(magic)), "")


@contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    """Yield a tar as a seekable file. A compressed one is unpacked into a temporary file first.

    The members of an image are read out of order, and a compressed stream cannot be read so.
    """
    with path.open("rb") as file:
        kind = _kind(file.read(8))
        file.seek(0)
        if not kind:
            yield file
            return
        import tempfile

        with tempfile.TemporaryFile() as unpacked:
            with started_program(
                [tool(kind), "-q", "-d", "-c", path], stderr=subprocess.DEVNULL, deadline=STREAM
            ) as program:
                assert program.stdout is not None
                left = LARGEST_ROOT
                while data := program.stdout.read(min(1 << 20, left + 1)):
                    left -= len(data)
                    if left < 0:
                        raise RigError(f"the archive unpacks to more than {LARGEST_ROOT >> 30} GB", where=path)
                    unpacked.write(data)
            if program.returncode != 0:
                raise RigError("the archive is damaged: it cannot be decompressed", where=path)
            unpacked.seek(0)
            yield unpacked
