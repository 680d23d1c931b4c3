# SPDX-License-Identifier: MIT
"""The payload's image: made once for each content."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.image.daximage import ALIGNMENT, list_directory
from rig.image.digest import digest_file
from rig.image.hosttools import tool
from rig.image.payload import Payload, cached_payload, payload_key, write_payload
from rig.image.store import Store


def test_payload_of_the_same_content_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, program = Store(tmp_path / "cache"), tmp_path / "program"
    program.write_bytes(b"one")
    payload = Payload(plan="end\n", files={"bin/program": program})
    made: list[Path] = []
    monkeypatch.setattr(
        "rig.image.payload.write_payload", lambda payload, path: made.append(path) or path.write_text("x")
    )

    image, digest = cached_payload(store, payload)
    again = cached_payload(store, payload)
    program.write_bytes(b"another")
    other, _ = cached_payload(store, payload)

    assert again == (image, digest)
    assert digest == digest_file(image)
    assert other != image
    assert len(made) == 2


def test_payload_with_another_mode_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"one")
    payload = Payload(files={"copy/data": tmp_path / "data"}, modes={"copy/data": 0o640})

    assert payload_key(payload) != payload_key(Payload(files=payload.files))
    assert payload_key(payload) != payload_key(Payload(files=payload.files, modes={"copy/data": 0o600}))


def test_payload_has_the_modes_and_empty_directories(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"one")
    payload = Payload(
        files={"copy/data": tmp_path / "data", "bin/program": tmp_path / "data"},
        modes={"copy/data": 0o640},
        directories=("copy/out",),
    )

    write_payload(payload, tmp_path / "image")

    listing = subprocess.run(
        [tool("debugfs"), "-R", "ls -p copy", f"{tmp_path / 'image'}?offset={ALIGNMENT}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "/100640/0/0/data/" in listing
    assert "/040755/0/0/out/" in listing
    assert list_directory(tmp_path / "image", "copy") == ["data", "out"]
    assert list_directory(tmp_path / "image", "bin") == ["program"]
    assert list_directory(tmp_path / "image", "nothing") == []
