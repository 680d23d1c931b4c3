# SPDX-License-Identifier: MIT
"""SHA-256 digests of files and texts, by which cache entries are named and verified."""

from __future__ import annotations

import hashlib
import json
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Lock

from rig.deadline_scale import scaled
from rig.image.programs import STEP
from rig.image.sparse import PAGES, SUFFIX, digest_pages, digest_sparse

__all__ = ["digest_file", "digest_once", "digest_text", "expect_digests", "print_digest"]

# Identifies an unchanged file: path, inode, size, mtime and ctime (ns).
_Key = tuple[str, int, int, int, int]
_known: dict[_Key, str] = {}
_expected: list[subprocess.Popen[str]] = []
_lock = Lock()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex; of one that ends in SUFFIX or PAGES, the digest of rig/image/sparse.py."""
    if path.suffix == SUFFIX:
        return digest_sparse(path)
    if path.suffix == PAGES:
        return digest_pages(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_once(path: Path) -> str:
    """Return a file's digest, computed once a process while the file does not change.

    A sweep asks for the same digests at each of its points.
    """
    key = _key(path)
    with _lock:
        while key not in _known and _expected:
            _take(_expected.pop())
    if key not in _known:
        _known[key] = digest_file(path)
    return _known[key]


def digest_text(*parts: str) -> str:
    """Return a key made from texts: the SHA-256 of them, each after its length so that no two lists collide."""
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


def print_digest(path: Path) -> None:
    """Print a file's digest in the form that `expect_digests()` reads."""
    key = _key(path)
    print(json.dumps([key, digest_file(path)]), flush=True)


def expect_digests(process: subprocess.Popen[str]) -> None:
    """Take digests from a child process that prints them. This process computes those that the child does not print."""
    _expected.append(process)


def _key(path: Path) -> _Key:
    status = path.stat()
    return (str(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _take(process: subprocess.Popen[str]) -> None:
    try:
        printed = process.communicate(timeout=scaled(STEP))[0]
    except subprocess.TimeoutExpired:
        process.kill()
        printed = process.communicate()[0]
    for line in printed.splitlines():
        # A child that was killed leaves half a line.
        with suppress(ValueError):
            key, digest = json.loads(line)
            _known[tuple(key)] = digest
