"""The zones' min watermarks together are vm.min_free_kbytes, to a page a zone."""

from __future__ import annotations

from rig.experiment.verify.model import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["zones"] > 0 and 0 <= saw["asked"] - saw["watermarks"] <= 4 * saw["zones"]


CHECK = Check(
    name="min-free",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/page_alloc.c", "__setup_per_zone_wmarks"),
    ),
    judge=judge,
)
