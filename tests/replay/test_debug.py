# SPDX-License-Identifier: MIT
"""What `rig debug` tells before gdb has the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rig.replay.debug import reverse_note
from tests.machine.test_command import QEMU


@pytest.mark.parametrize(("version", "told"), [((7, 2), False), ((9, 1), False), ((10, 0), True), ((11, 1), True)])
def test_user_is_told_where_going_back_may_not_return(version: tuple[int, int], told: bool) -> None:
    note = reverse_note(replace(QEMU, version=version))

    assert bool(note) == told
    assert ("RIG_QEMU" in note) == told
