# SPDX-License-Identifier: MIT
"""Each remedy that `rig explain` may print prevents the failure, in a guest that fails without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rig.klog.explain.remedy_table import TABLE
from tests.guest import test_remedies_of_causes
from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest

MAIN = ("overcommit-oops",)
REFUSED = ("overcommit-oops", "--sysctl", "vm.overcommit_memory=2")
GROUP = ("overcommit-in-cgroup",)


def _kills(run: dict[str, Any]) -> int:
    return len(run["ooms"])


def _refused(run: dict[str, Any]) -> bool:
    return next(claim["verdict"] for claim in run["claims"] if claim["id"] == "fork-succeeded") == "failed"


@dataclass(frozen=True)
class Trial:
    """A failure, and the change that must prevent it.

    without: arguments of `rig run` that fail.
    change: arguments that apply the remedy.
    refused: whether the failure is a refused fork instead of a kill.
    """

    without: tuple[str, ...]
    change: tuple[str, ...]
    refused: bool = False


TRIALS = {
    "swap": Trial(MAIN, ("--swap", "512M")),
    "more-memory": Trial(MAIN, ("--memory", "1G")),
    "overcommit-2": Trial(MAIN, ("--sysctl", "vm.overcommit_memory=2")),
    "memory.swap.max": Trial(GROUP, ("--swap", "512M")),
    "overcommit-ratio": Trial(REFUSED, ("--sysctl", "vm.overcommit_ratio=200"), refused=True),
    "overcommit-0": Trial(MAIN[:1], ("--sysctl", "vm.overcommit_memory=0"), refused=True),
    "swap-for-commitments": Trial(REFUSED, ("--swap", "1G"), refused=True),
}


@pytest.mark.parametrize("name", sorted(set(TRIALS) - {"overcommit-0"}))
def test_remedy_prevents_the_failure(name: str, rig: Rig) -> None:
    trial = TRIALS[name]

    before = rig("run", *trial.without, "--no-record", "--json").run()
    after = rig("run", *trial.without, *trial.change, "--no-record", "--json").run()

    if trial.refused:
        assert _refused(before)
        assert not _refused(after)
    else:
        # Where the first victim shared most of its memory, some kernels (7.2) kill another a moment later.
        assert _kills(before) > 0
        assert _kills(after) == 0


def test_commitments_are_not_refused_without_strict_accounting(rig: Rig) -> None:
    assert _refused(rig("run", *REFUSED, "--no-record", "--json").run())
    for mode in ("0", "1"):
        assert not _refused(
            rig("run", *MAIN, "--sysctl", f"vm.overcommit_memory={mode}", "--no-record", "--json").run()
        )


def test_lower_score_lets_another_die(rig: Rig) -> None:
    before = rig("run", "oom-victim", "--set", "writer_adj=0", "--set", "hog_adj=0", "--no-record", "--json").run()
    after = rig("run", "oom-victim", "--set", "writer_adj=0", "--set", "hog_adj=-500", "--no-record", "--json").run()

    victims = [run["ooms"][0]["killed"][0].split(" ")[0] for run in (before, after)]
    assert victims[0] == "hog"
    assert victims[1] != "hog"


def test_higher_limit_of_a_cgroup_lets_the_program_end(rig: Rig) -> None:
    program = ("--", "sh", "-c", "head -c 60000000 /dev/zero | tail >/dev/null")

    assert rig("exec", "-q", "--expect", "oom", "--cgroup", "memory.max=32M", *program).status == 0
    assert rig("exec", "-q", "--expect", "no-oom", "--cgroup", "memory.max=128M", *program).status == 0


def test_group_is_killed_as_one(rig: Rig) -> None:
    after = rig("run", "overcommit-in-cgroup", "--set", "group=true", "--no-record", "--json")

    assert after.status == 0
    assert all(verdict != "failed" for verdict in after.claims().values())


def test_every_remedy_that_is_printed_is_measured_here() -> None:
    measured = {row.name for row in TABLE if row.measured}

    of_causes = {name.removesuffix("-of-page-tables") for name in test_remedies_of_causes.TRIALS}
    assert measured == {*TRIALS, *of_causes, "oom-score", "memory.max", "memory.oom.group"}
