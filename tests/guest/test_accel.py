# SPDX-License-Identifier: MIT
"""KVM is proved, not assumed: with stand-ins for a QEMU that aborts, one that hangs, and one that works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guest.conftest import Rig

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(not Path("/dev/kvm").exists(), reason="there is no /dev/kvm to be tried"),
]

ABORTS = """\
if [[ " $* " == *" kvm "* ]]; then
    echo "qemu-system-x86_64: error: failed to set MSR 0x38d to 0x0" >&2
    kill -ABRT $$
fi
exec qemu-system-x86_64 "$@"
"""
# The firmware runs, finds nothing to boot, and waits for ever: what a hung kernel looks like from outside.
HANGS = """\
args=()
while (($#)); do
    case "$1" in
        -kernel | -initrd | -append) shift ;;
        kvm) args+=(tcg,thread=multi) ;;
        host) args+=(max) ;;
        *) args+=("$1") ;;
    esac
    shift
done
exec qemu-system-x86_64 "${args[@]}"
"""
WORKS = """\
args=("$@")
for i in "${!args[@]}"; do
    case "${args[i]}" in kvm) args[i]=tcg,thread=multi ;; host) args[i]=max,-erms,-fsrm ;; esac
done
exec qemu-system-x86_64 "${args[@]}"
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    return tmp_path / "qemu-stand-in"


def _write(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/bash\n{body}")
    path.chmod(0o755)
    return str(path)


def test_qemu_that_aborts_on_an_msr_is_named_with_it(rig: Rig, stand_in: Path) -> None:
    called = rig("run", "overcommit-oops", "--clock", "live", "--accel", "kvm", RIG_QEMU=_write(stand_in, ABORTS))

    assert called.status == 3, called.out
    assert "KVM does not work here" in called.err
    assert "MSR 0x38d" in called.err
    assert "try: use --accel tcg" in called.err


def test_auto_falls_back_to_tcg_and_says_why(rig: Rig, stand_in: Path) -> None:
    called = rig(
        "run", "overcommit-oops", "--clock", "live", "--set", "every=0.1s", "--json", RIG_QEMU=_write(stand_in, ABORTS)
    )

    environment = called.run()["environment"]
    assert environment["accelerator"] == "tcg"
    assert "MSR 0x38d" in environment["accelerator_reason"]


def test_kernel_that_does_not_come_up_is_given_up_in_bounded_time(rig: Rig, stand_in: Path) -> None:
    called = rig(
        "run", "overcommit-oops", "--clock", "live", "--accel", "kvm", "--timeout-scale", "0.3",
        RIG_QEMU=_write(stand_in, HANGS),
    )  # fmt: skip

    assert called.status == 3, called.out
    assert "/dev/kvm opens, but the kernel hangs: it printed nothing within 3 s" in called.err


def test_kvm_that_boots_the_kernel_is_taken(rig: Rig, stand_in: Path) -> None:
    called = rig(
        "run", "overcommit-oops", "--clock", "live", "--accel", "kvm", "--set", "every=0.1s", "--json",
        "--timeout-scale", "3", RIG_QEMU=_write(stand_in, WORKS),
    )  # fmt: skip

    run = called.run()
    assert run["environment"]["accelerator"] == "kvm", called.err
    assert run["verdict"] == "reproduced"


def test_kvm_on_the_warp_clock_is_a_usage_error(rig: Rig) -> None:
    called = rig("run", "overcommit-oops", "--clock", "warp", "--accel", "kvm")

    assert called.status == 64
    assert "Traceback" not in called.err
