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
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Protocol

from rig.errors import RigError, UsageError
from rig.image.hosttools import tool
from rig.image.layer.config import ImageConfig, read_config
from rig.image.layer.staging import LARGEST_ROOT, Staging
from rig.image.programs import STREAM, started_program

__all__ = ["fill_from_archive", "is_layout"]

# Bytes of one JSON document: an archive of a stranger must not fill this process's memory.
LARGEST_DOCUMENT = 8 << 20
MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz"}


class _Files(Protocol):
    """The files of an image, in a directory or in a tar."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file by its path in the image. Raises KeyError where there is none."""


class _Directory:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(self, name: str) -> IO[bytes]:
        # Resolved first: neither `..` nor a symbolic link may lead out of the layout.
        path = (self._directory / name).resolve()
        if not path.is_relative_to(self._directory.resolve()) or not path.is_file():
            raise KeyError(name)
        return path.open("rb")


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {member.name.removeprefix("./"): member for member in archive.getmembers()}

    def open(self, name: str) -> IO[bytes]:
        member = self._members[name]
        if member.issym():
            # Older versions of docker store a layer once and put symbolic links where other images use it.
            return self.open(str(Path(name).parent / member.linkname).replace("/../", "/"))
        stream = self._archive.extractfile(member) if member.isreg() else None
        if stream is None:
            raise KeyError(name)
        return stream

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
    with _plain(path) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                first = archive.next()
                if first is None:
                    raise RigError("the archive is empty", where=path)
                if _may_be_an_image(first.name):
                    files = _Tar(archive)
                    if files.names() & {"manifest.json", "index.json"}:
                        return _image(staging, files, path)
            stream.seek(0)
            with tarfile.open(fileobj=stream, mode="r:") as archive:
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
            raw = files.open(name)
        except KeyError:
            raise RigError(f"the image lacks its layer {name}", where=where) from None
        with raw:
            checked = _Checked(raw)
            with _decompressed(checked) as stream, tarfile.open(fileobj=_Forward(stream), mode="r:") as archive:  # type: ignore[call-overload] # it has what tarfile calls
                staging.apply(archive, whiteouts=True)
            checked.check(digest, name, where)
    return {"config": asdict(config)}


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
    with files.open(name) as stream:
        data = stream.read(LARGEST_DOCUMENT + 1)
    if hashlib.sha256(data).hexdigest() != digest.removeprefix("sha256:"):
        raise RigError(f"{name} does not match its digest", where=where, remedy="save the image again")
    return json.loads(data)


def _document(files: _Files, name: str, where: Path) -> Any:
    with files.open(name) as stream:
        data = stream.read(LARGEST_DOCUMENT + 1)
    if len(data) > LARGEST_DOCUMENT:
        raise RigError(f"{name} is larger than {LARGEST_DOCUMENT >> 20} MB", where=where)
    return json.loads(data)


class _Checked(io.RawIOBase):
    """A stream that hashes its content while it is read, so that a layer is read only once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._hash.update(data)
        buffer[: len(data)] = data
        return len(data)

    def check(self, digest: str, name: str, where: Path) -> None:
        # tarfile stops at the end-of-archive blocks; the digest covers the padding behind them too.
        while data := self._stream.read(1 << 20):
            self._hash.update(data)
        if digest and self._hash.hexdigest() != digest:
            raise RigError(f"{name} does not match its digest", where=where, remedy="save the image again")


class _Forward:
    """A stream as tarfile's reader of seekable files uses it: it skips forwards, and steps back by one byte.

    tarfile's own reader of streams (mode `r|`) copies its whole buffer for each header of 512 bytes (_Stream.__read of
    Lib/tarfile.py): with a buffer of 1 MiB an archive of 200 MB in 2000 files took 5 s of CPU time, and takes 2 s here.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._at = 0
        self._last = b""
        self._again = b""

    def tell(self) -> int:
        return self._at

    def seek(self, to: int) -> None:
        # TarFile.next() reads the byte before a header to see whether the archive is cut short.
        if to == self._at - 1 and self._last:
            self._again, self._last, self._at = self._last, b"", to
        while self._at < to and self.read(min(to - self._at, 1 << 20)):
            pass
        if self._at != to:
            raise tarfile.ReadError("unexpected end of data" if self._at < to else "seek backwards")

    def read(self, size: int) -> bytes:
        pieces, left = [self._again], size - len(self._again)
        self._again = b""
        # A decompressor may return less than it was asked for before the end.
        while left > 0 and (piece := self._stream.read(left)):
            pieces.append(piece)
            left -= len(piece)
        data = b"".join(pieces)
        self._at += len(data)
        self._last = data[-1:] or self._last
        return data


@contextmanager
def _decompressed(raw: io.RawIOBase) -> Iterator[Any]:
    stream = io.BufferedReader(raw, 1 << 20)
    kind = _kind(stream.peek(8)[:8])
    if kind == "gzip":
        yield gzip.GzipFile(fileobj=stream)
    elif kind == "zstd":
        with _zstd(stream) as reader:
            yield reader
    elif kind == "xz":
        with lzma.LZMAFile(stream) as reader:
            yield reader
    else:
        yield stream


def _zstd(stream: IO[bytes]) -> Any:
    """Return a reader that refuses a window above 128 MiB, the most that `zstd --long` asks for without a number."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # part of Python since 3.14

        return zstd.ZstdFile(stream, options={zstd.DecompressionParameter.window_log_max: 27})
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(stream)


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
