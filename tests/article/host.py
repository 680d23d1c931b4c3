# SPDX-License-Identifier: MIT
"""Keep what `rig verify cost --host` measures for the article: `python -m tests.article.host`, which `make article` calls.

host.json has the facts of each check. Nothing is kept of a check that does not pass.
"""

from __future__ import annotations

import json
from pathlib import Path

from rig.image.guestcode import build_guest_code
from rig.image.store import Store
from rig.verify.check import Result
from rig.verify.cost import COST_CHECKS, PROGRAM, judge_cost, verify_cost
from rig.verify.kernels import Verified

__all__ = ["HOST_FILE", "read_host", "write_host"]

HOST_FILE = Path(__file__).resolve().parent / "host.json"


def read_host(file: Path = HOST_FILE) -> list[Result]:
    """Return the kept results, judged again."""
    kept = json.loads(file.read_text())
    return [judge_cost(COST_CHECKS[name], facts, kept["release"]) for name, facts in kept["checks"].items()]


def write_host(verified: Verified, file: Path = HOST_FILE) -> None:
    """Keep results. Raises SystemExit, and keeps nothing, when one did not pass."""
    bad = [f"{each.check.name}: {each.status}: {each.why}" for each in verified.results if each.status != "pass"]
    if bad:
        raise SystemExit("; ".join(bad))
    checks = {each.check.name: dict(each.numbers) for each in verified.results}
    file.write_text(json.dumps({"release": verified.release, "checks": checks}, indent=1) + "\n")


if __name__ == "__main__":
    write_host(verify_cost(build_guest_code(Store()).programs[PROGRAM], list(COST_CHECKS.values())))
