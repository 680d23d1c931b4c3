# SPDX-License-Identifier: MIT
"""Live guests are found by other processes of the same user while their `rig shell` runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.image.staging import staging_directory
from rig.machine.live_guest import LiveGuest, choose_guest, find_guests
from rig.machine.ssh import new_key


@pytest.fixture
def guests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("rig.image.staging.FALLBACK", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ExitStack() as stack:
        yield stack


def started(guests: ExitStack, base: Path, name: str) -> LiveGuest:
    guest = LiveGuest(name, guests.enter_context(staging_directory("shell", str(base))), 2222, "ssh-ed25519 AAAA", "/r")
    guest.publish(new_key()[0])
    return guest


def test_guest_is_found_while_it_runs_and_not_after(guests: ExitStack, tmp_path: Path) -> None:
    guest = started(guests, tmp_path, "g1")

    assert find_guests() == [guest]
    assert choose_guest(None).key().get_name() == "ecdsa-sha2-nistp256"
    guests.close()
    assert find_guests() == []


def test_guest_of_a_killed_rig_is_not_found(guests: ExitStack, tmp_path: Path) -> None:
    directory = tmp_path / "rig-shell-abcdefgh"
    directory.mkdir()
    (directory / ".rig-lock").touch()
    LiveGuest("g1", directory, 2222, "ssh-ed25519 AAAA").publish(new_key()[0])

    assert find_guests() == []


def test_one_of_several_guests_is_chosen_by_name(guests: ExitStack, tmp_path: Path) -> None:
    started(guests, tmp_path, "g1")
    started(guests, tmp_path, "g2")

    assert choose_guest("g2").name == "g2"
    with pytest.raises(UsageError, match="2 live guests"):
        choose_guest(None)
    with pytest.raises(UsageError, match="no live guest 'g3'"):
        choose_guest("g3")


def test_key_is_readable_by_its_user_alone(guests: ExitStack, tmp_path: Path) -> None:
    guest = started(guests, tmp_path, "g1")

    assert (guest.directory / "key").stat().st_mode & 0o077 == 0
    assert guest.directory.stat().st_mode & 0o077 == 0
    assert guest.inner("/work/x") == "/r/work/x"


def test_command_line_of_ssh_checks_the_host_key(guests: ExitStack, tmp_path: Path) -> None:
    guest = started(guests, tmp_path, "g1")

    assert "StrictHostKeyChecking=yes" in guest.ssh_command()
    assert (guest.directory / "known_hosts").read_text() == "[127.0.0.1]:2222 ssh-ed25519 AAAA\n"
