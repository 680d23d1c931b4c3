# SPDX-License-Identifier: MIT
"""KVM is probed before it is used. Stand-ins for QEMU play a working KVM and several that fail."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rig.cli import main
from rig.image.store import Store
from rig.machine import accel, prove
from rig.machine.boot import Patience
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
    case "${args[i]}" in kvm) args[i]=tcg,thread=multi ;; host | host,*) args[i]=max,-erms,-fsrm ;; esac
done
exec qemu-system-x86_64 "${args[@]}"
"""
WANTS_NO_ARCH_CAPABILITIES = (
    """\
if [[ " $* " == *" kvm "* && " $* " != *host,-arch-capabilities* ]]; then
    echo "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x0" >&2
    kill -ABRT $$
fi
"""
    + WORKS
)
# An instruction takes about 1 us (2^10 ns) of the guest's time, so a timer interrupt comes every few thousand of them: the
# kernel prints its messages, but most of its boot goes into interrupts and takes minutes.
SLOW = WORKS.replace("x86_64 ", "x86_64 -icount shift=10,sleep=on ").replace("thread=multi", "thread=single")
# The guest stops after some instructions, as when KVM reports an exit that QEMU cannot handle (kvm_cpu_exec).
INTERNAL_ERROR = (
    """\
[[ " $* " == *" kvm "* ]] && echo "KVM internal error. Suberror: 3" >&2
"""
    + HANGS
)

# The trial goes well, and the guest of the run then fails as when KVM_RUN returns an error (kvm_cpu_exec).
FAILS_AFTER_THE_TRIAL = (
    """\
if [[ " $* " == *" kvm "* && " $* " == *" -incoming "* && " $* " != *kvm-proof* ]]; then
    echo "error: kvm run failed Bad address" >&2
    exit 1
fi
"""
    + WORKS
)


@pytest.fixture
def rig_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Return a function that runs rig in this process with a stand-in for QEMU.

    The host's own KVM may be of a kind that rig never tries (PVM), so what rig knows about it is replaced too.
    """
    # A cached snapshot counts as proof that KVM works. No test may find a snapshot of another stand-in, and none of
    # these may stay in the cache.
    own = f"rig.test={uuid.uuid4().hex}"

    def call(body: str, *words: str) -> tuple[int, str, str]:
        program = tmp_path / f"qemu-stand-in-{len(list(tmp_path.iterdir()))}"
        program.write_text(f"#!/bin/bash\n{body}")
        program.chmod(0o755)
        monkeypatch.setenv("RIG_QEMU", str(program))
        monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
        monkeypatch.setattr(accel.host, "unusable_kvm", lambda: None)
        # What is remembered belongs to the stand-in: it names itself as the QEMU behind it.
        monkeypatch.setattr(accel, "_read", lambda content: None)
        monkeypatch.setattr("sys.argv", ["rig", *words, "--append", own])
        with pytest.raises(SystemExit) as raised:
            main()
        printed = capsys.readouterr()
        return int(raised.value.code or 0), printed.out, printed.err

    yield call
    store = Store()
    for entry in store.entries("snapshot"):
        if own in json.dumps(entry.about):
            store.remove(entry)


LIVE = ("run", "overcommit-oops", "--clock", "live", "--set", "every=0.1s")


def _run(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)
    return found


def test_qemu_that_aborts_on_an_msr_is_named_with_it(rig_with: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = rig_with(ABORTS, *LIVE, "--accel", "kvm")

    assert status == 3, out
    assert "KVM does not work here" in err
    assert "MSR 0x38d" in err
    assert "try: use --accel tcg" in err


def test_auto_falls_back_to_tcg_and_says_why(rig_with: Callable[..., tuple[int, str, str]]) -> None:
    _, out, _ = rig_with(ABORTS, *LIVE, "--json")

    environment = _run(out)["environment"]
    assert environment["accelerator"] == "tcg"
    assert "MSR 0x38d" in environment["accelerator_reason"]


def test_kernel_that_does_not_come_up_is_given_up_in_bounded_time(
    rig_with: Callable[..., tuple[int, str, str]],
) -> None:
    status, out, err = rig_with(HANGS, *LIVE, "--accel", "kvm", "--timeout-scale", "0.3")

    assert status == 3, out
    assert "/dev/kvm opens, but the kernel hangs: it printed nothing within 3 s" in err


def test_guest_that_qemu_stops_with_an_internal_error_is_told_so(
    rig_with: Callable[..., tuple[int, str, str]],
) -> None:
    status, out, err = rig_with(INTERNAL_ERROR, *LIVE, "--accel", "kvm", "--timeout-scale", "0.3")

    assert status == 3, out
    assert "QEMU stops the guest: KVM internal error. Suberror: 3" in err


def test_kvm_that_boots_the_kernel_is_taken(rig_with: Callable[..., tuple[int, str, str]]) -> None:
    _, out, err = rig_with(WORKS, *LIVE, "--accel", "kvm", "--json", "--timeout-scale", "3")

    run = _run(out)
    assert run["environment"]["accelerator"] == "kvm", err
    assert run["verdict"] == "reproduced"


def test_kvm_that_works_without_a_feature_is_taken_without_it(
    rig_with: Callable[..., tuple[int, str, str]],
) -> None:
    _, out, err = rig_with(WANTS_NO_ARCH_CAPABILITIES, *LIVE, "--accel", "kvm", "--json", "--timeout-scale", "3")

    run = _run(out)
    assert run["environment"]["accelerator"] == "kvm", err
    assert "with -cpu host,-arch-capabilities" in run["environment"]["accelerator_reason"]
    assert "host,-arch-capabilities" in run["command"]


def test_kvm_that_fails_after_its_trial_gives_way_to_tcg_with_the_reason(
    rig_with: Callable[..., tuple[int, str, str]],
) -> None:
    _, out, err = rig_with(FAILS_AFTER_THE_TRIAL, *LIVE, "--json", "--timeout-scale", "3")

    run = _run(out)
    assert run["environment"]["accelerator"] == "tcg", err
    assert "KVM failed after its trial" in run["environment"]["accelerator_reason"]
    assert "kvm run failed Bad address" in run["environment"]["accelerator_reason"]
    assert run["verdict"] == "reproduced"


def test_kernel_that_is_only_slow_is_told_to_be_slow(
    rig_with: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine such a kernel may print nothing for more than ten seconds at a time.
    monkeypatch.setattr(prove, "PATIENCE", Patience(silent=60, total=15))

    status, out, err = rig_with(SLOW, *LIVE, "--accel", "kvm")

    assert status == 3, out
    assert "it is too slow: the kernel still boots after 15 s" in err


def test_kvm_on_the_warp_clock_is_a_usage_error(rig: Rig) -> None:
    called = rig("run", "overcommit-oops", "--clock", "warp", "--accel", "kvm")

    assert called.status == 64
    assert "Traceback" not in called.err
