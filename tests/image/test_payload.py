# SPDX-License-Identifier: MIT
"""The payload's image: made once for each content."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.image.digest import digest_file
from rig.image.payload import Payload, cached_payload
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
