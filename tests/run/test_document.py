# SPDX-License-Identifier: MIT
"""What run.json may contain about a recorded guest. An imported run.json is untrusted."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rig.machine.features import MACHINE, TCG_CPU
from rig.run.document import OomReport, Ranked, RecordedGuest

GUEST = {"memory": 1, "cpus": 1, "payload_size": 1, "kernel": "k", "initramfs": "i", "rootfs": "r", "snapshot": "s"}


def test_recording_that_names_no_machine_has_that_of_the_first_ones() -> None:
    assert RecordedGuest.model_validate(GUEST).machine == "q35,nvdimm=on,usb=off,vmport=off,smbus=off"


def test_machine_of_todays_recordings_may_be_named() -> None:
    assert RecordedGuest.model_validate(GUEST | {"machine": MACHINE}).machine == MACHINE


@pytest.mark.parametrize(
    "machine", ["q35,dumpdtb=/root/x", "pc", "q35,hpet=off,firmware=/etc/shadow", "q35 -monitor stdio", "q35\n", ""]
)
def test_machine_with_options_that_name_files_is_refused(machine: str) -> None:
    with pytest.raises(ValidationError, match="machine"):
        RecordedGuest.model_validate(GUEST | {"machine": machine})


@pytest.mark.parametrize("cpu", ["host", "max,migratable=on", "max,-erms,model=4,file=/x", "max -monitor stdio", ""])
def test_cpu_with_other_options_is_refused(cpu: str) -> None:
    with pytest.raises(ValidationError, match="cpu_model"):
        RecordedGuest.model_validate(GUEST | {"cpu_model": cpu})


def test_cpu_of_todays_recordings_may_be_named() -> None:
    assert RecordedGuest.model_validate(GUEST | {"cpu_model": TCG_CPU}).cpu_model == TCG_CPU
    assert RecordedGuest.model_validate(GUEST).cpu_model == "max,-erms,-fsrm,model=4,stepping=0"


def ranked(name: str, *, killed: bool = False, tied: bool = False) -> Ranked:
    return Ranked(
        pid=1, name=name, points=9, rss=9, swap=0, page_tables=0, oom_score_adj=0, killed=killed, tied=tied
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([ranked("hog", killed=True, tied=True), ranked("child", tied=True)], "hog, in a tie with child"),
        ([ranked("hog", killed=True, tied=True), ranked("child")], "hog"),
        ([ranked("hog", tied=True), ranked("child", killed=True)], "hog"),
    ],
)
def test_victim_of_a_tie_is_said_with_those_it_was_tied_with(rows: list[Ranked], said: str) -> None:
    assert OomReport(killed=("hog (1)",), ranking=tuple(rows)).victims == said


def test_report_without_a_kill_says_nobody() -> None:
    assert OomReport().victims == "nobody"
