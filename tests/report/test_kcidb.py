# SPDX-License-Identifier: MIT
"""What `rig verify --kcidb` writes is valid by kcidb-io's own schema."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kcidb_io.schema import LATEST, V5_0

from rig.cli.app import _run
from rig.errors import UsageError
from rig.report.kcidb import STATUSES, check_origin, kcidb_document
from rig.verify.check import Result, Status
from rig.verify.checks import catalogue
from rig.verify.kernels import Verified

STATES: tuple[Status, ...] = ("pass", "fail", "not-applicable", "broken")
NOW = datetime(2026, 11, 1, 12, 0, 30, tzinfo=UTC)


def _verified() -> list[Verified]:
    checks = list(catalogue().values())
    results = tuple(
        Result(check, status, "why\x1b[31m\0", {"left": "5\0", "long": "x" * 20_000})
        for check, status in zip(checks, STATES, strict=False)
    )
    return [
        Verified("debian:bookworm", "6.1.0-50-cloud-amd64", "linux-image-6.1", results, 30.0),
        Verified("debian:sarge", unavailable="the mirror does not serve it"),
    ]


def test_document_is_valid_for_every_status_and_hostile_text() -> None:
    document = json.loads(json.dumps(kcidb_document(_verified(), now=NOW)))

    assert V5_0.validate(document) == document
    assert LATEST.is_compatible(document)
    assert [test["status"] for test in document["tests"]] == [*(STATUSES[state] for state in STATES), "MISS"]
    assert document["tests"][0]["start_time"] == "2026-11-01T12:00:00+00:00"


def test_path_names_the_check_and_each_id_is_used_once() -> None:
    document = kcidb_document(_verified())

    ids = [each["id"] for each in (*document["builds"], *document["tests"])]
    assert len(set(ids)) == len(ids)
    assert document["tests"][0]["path"] == f"rig.verify.{next(iter(catalogue()))}"


def test_origin_is_of_the_form_that_the_schema_has() -> None:
    document = kcidb_document(_verified(), check_origin("my_lab"))

    assert V5_0.is_valid(document)
    with pytest.raises(UsageError, match="--origin"):
        check_origin("My Lab")


def test_command_writes_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def verify_kernels(*words: object, **named: object) -> list[Verified]:
        return _verified()

    monkeypatch.setattr("rig.cli.verify.verify_kernels", verify_kernels)
    monkeypatch.setenv("RIG_CACHE", str(tmp_path / "cache"))

    status = _run(["verify", "--kcidb", str(tmp_path / "out.json"), "--origin", "my_lab", "-q"])

    assert status == 3  # of the check that is broken
    assert V5_0.is_valid(json.loads((tmp_path / "out.json").read_text()))
