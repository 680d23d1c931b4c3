# SPDX-License-Identifier: MIT
"""Switching to mode 2 above the limit succeeds: what was promised stays and can be written to, only new requests are
refused, until enough was given back.
"""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import ENOMEM

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    switched = saw["errno"] == 0 and saw["committed"] > saw["limit"]
    return switched and saw["wrote"] == 1 and saw["more"] == ENOMEM and saw["after"] == 0


CHECK = Check(
    name="mode2-switch",
    batch="commit",
    rule=__doc__,
    sources=(Source("mm/util.c", "overcommit_policy_handler", "56f3547bfa4d"),),
    judge=judge,
)
