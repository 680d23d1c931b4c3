# SPDX-License-Identifier: MIT
"""The base class of the models of run.json, and collections that limit what a hostile document costs."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast

__all__ = ["Many", "Model", "Named"]

Item = TypeVar("Item")
# Without FailFast, a list of a million invalid items makes pydantic build a million errors of a kilobyte each.
Many = Annotated[tuple[Item, ...], FailFast()]


def _few(found: Any) -> Any:
    if isinstance(found, dict) and len(found) > 10_000:
        raise ValueError("more than 10,000 keys")
    return found


Named = Annotated[dict[str, Item], BeforeValidator(_few)]


class Model(BaseModel):
    # extra="ignore": a run.json that a later rig wrote may have fields that this version does not know.
    # defer_build: the validators are built at first use, so that they do not delay the start of a guest.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
