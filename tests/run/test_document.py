# SPDX-License-Identifier: MIT
"""What run.json may say of a recorded guest: an imported one is another person's file."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rig.machine.features import MACHINE
from rig.run.document import RecordedGuest

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
