# SPDX-License-Identifier: MIT
"""Run ids. An id becomes the name of a directory, so its form is checked wherever one is read."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

__all__ = ["is_run_id", "new_run_id"]

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
GRAMMAR = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9]{4}", re.ASCII)


def new_run_id(now: datetime | None = None) -> str:
    """Return an id such as `20250131-142530-k4fq`: UTC, so that ids sort by age, and four random letters."""
    now = datetime.now(UTC) if now is None else now.astimezone(UTC)
    return f"{now:%Y%m%d-%H%M%S}-{''.join(secrets.choice(LETTERS) for _ in range(4))}"


def is_run_id(text: str) -> bool:
    """Return whether a text has the form of an id, and so cannot be a path such as `../x`."""
    return GRAMMAR.fullmatch(text) is not None
