# SPDX-License-Identifier: MIT
"""Results of `rig verify` for KernelCI's database: the schema of kcidb-io, version 5.0 (schema/v05_00.py)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rig.errors import UsageError
from rig.sanitize import plain
from rig.verify.kernels import Verified

__all__ = ["ORIGIN", "check_origin", "kcidb_document"]

VERSION = {"major": 5, "minor": 0}
ORIGIN = "rig"
"""The name of the system that reports. One that submits to a database has a name from those who run it."""
STATUSES = {"pass": "PASS", "fail": "FAIL", "not-applicable": "SKIP", "broken": "ERROR"}
LONGEST = 16384
"""Characters of log_excerpt."""


def check_origin(origin: str) -> str:
    """Return an origin. Raises UsageError for a name that the schema does not allow."""
    if re.fullmatch(r"[a-z0-9_]+", origin) is None:
        raise UsageError(
            f"{origin!r} is not the name of an origin", where="--origin", remedy="small letters, digits and _"
        )
    return origin


def kcidb_document(
    verified: Sequence[Verified], origin: str = ORIGIN, *, now: datetime | None = None
) -> dict[str, Any]:
    """Return a build for each kernel and a test for each check.

    origin: of all ids; see check_origin().
    now: the end of the last test.
    """
    ended = now or datetime.now(UTC)
    builds, tests = [], []
    for each in verified:
        build = f"{origin}:{uuid.uuid4()}"
        builds.append(
            {
                "id": build,
                "checkout_id": build,
                "origin": origin,
                "architecture": "x86_64",
                "comment": plain(f"{each.kernel} {each.release}".strip()),
                "misc": {"kernel": each.kernel, "release": each.release, "package": each.package},
            }
        )
        began = (ended - timedelta(seconds=each.seconds)).isoformat(timespec="seconds")
        common = {"build_id": build, "origin": origin, "start_time": began}
        for result in each.results:
            facts = "".join(f"{plain(name)}={plain(value)}\n" for name, value in result.numbers.items())
            test = {
                **common,
                "id": f"{origin}:{uuid.uuid4()}",
                "path": f"rig.verify.{result.check.name}",
                "status": STATUSES[result.status],
                "comment": plain(result.check.rule + (f" ({result.why})" if result.why else "")),
                "misc": {"facts": dict(result.numbers)},
            }
            tests.append(test | ({"log_excerpt": facts[:LONGEST]} if facts else {}))
        if each.unavailable:
            missed = {"path": "rig.verify", "status": "MISS", "comment": plain(f"unavailable: {each.unavailable}")}
            tests.append({**common, "id": f"{origin}:{uuid.uuid4()}", **missed})
    checkouts = [{"id": build["id"], "origin": origin} for build in builds]
    return {"version": VERSION, "checkouts": checkouts, "builds": builds, "tests": tests}
