# SPDX-License-Identifier: MIT
"""What the kernel keeps free: the zones' watermarks, and what a zone reserves from requests that others can serve."""

from __future__ import annotations

from rig.verify.check import Change, Check, Source

__all__ = ["CHECKS"]

VM = Source("Documentation/admin-guide/sysctl/vm.rst")
MOVABLE_WATERMARK = Change(
    (6, 6),
    "416ef04fe00c",
    before="ZONE_MOVABLE has its share of vm.min_free_kbytes",
    after="ZONE_MOVABLE is left out of it and has 32 pages of its own at least",
)

CHECKS = (
    Check(
        "min-free",
        "commit",
        "The zones' min watermarks together are vm.min_free_kbytes, to a page a zone. ZONE_MOVABLE stands outside of "
        "it since 6.6, where its own is 32 pages at least.",
        (VM, Source("mm/page_alloc.c", "__setup_per_zone_wmarks", MOVABLE_WATERMARK.commit)),
        lambda f: (
            0 <= f["min_free_kbytes"] - f["watermarks"] <= 4 * f["zones"]
            and 0 <= f["control_min_free_kbytes"] - f["control_watermarks"] <= 4 * f["zones"]
            and f["control_min_free_kbytes"] < f["min_free_kbytes"]
            and f["movable"] == (128 if f.has(MOVABLE_WATERMARK) else 0)
        ),
        control="within",
        given={"min_free_kbytes": 8192},
        counterexamples=({"watermarks": 4096}, {"movable": "+4"}, {"control_watermarks": 8192}),
        changes=(MOVABLE_WATERMARK,),
    ),
    Check(
        "watermark-scale",
        "commit",
        "A zone's low watermark is above min by a quarter of min or by vm.watermark_scale_factor / 10000 of the zone, "
        "whichever is more.",
        (VM, Source("mm/page_alloc.c", "__setup_per_zone_wmarks", "795ae7a0de6b")),
        lambda f: (
            f["gap"] == max(f["min"] // 4, f["managed"] * f["watermark_scale_factor"] // 10000) > f["control_gap"]
            and f["control_gap"] == f["control_min"] // 4
        ),
        control="within",
        given={"watermark_scale_factor": 1000},
        counterexamples=({"gap": "+1"}, {"control_gap": "+1"}, {"control_gap": "+10000"}),
    ),
    Check(
        "lowmem-reserve",
        "commit",
        "A zone keeps pages from requests that the zone above could serve: the pages of that zone divided by "
        "vm.lowmem_reserve_ratio.",
        (VM, Source("mm/page_alloc.c", "setup_per_zone_lowmem_reserve")),
        lambda f: (
            f["reserve"] == f["above"] // f["ratio"] > f["control_reserve"] == f["above"] // 256 and f["own"] == 0
        ),
        control="within",
        given={"ratio": 100},
        counterexamples=({"reserve": "-1"}, {"reserve": 0}, {"own": 1}, {"control_reserve": "+1"}),
    ),
)
