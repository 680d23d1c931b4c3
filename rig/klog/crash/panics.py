# SPDX-License-Identifier: MIT
"""Rules for panics. Source: kernel/panic.c panic()."""

from __future__ import annotations

from rig.klog.crash import choose
from rig.klog.crash.blame import first_trace
from rig.klog.crash.rules import Rule
from rig.klog.kinds import Kind

__all__ = ["RULES"]

_P = r"Kernel panic - not syncing: "
_OVERFLOW = ("stack-overflow in {f}",)

RULES = (
    Rule(
        Kind.PANIC,
        _P + r"stack-protector: Kernel stack is corrupted in: (?P<f>[A-Za-z_]\w*)[.+]",
        "kernel panic: stack is corrupted in {f}",
        needs_trace=False,
    ),
    Rule(
        Kind.PANIC,
        _P + r"stack-protector: Kernel stack is corrupted in: [a-f0-9]+",
        "kernel panic: stack is corrupted in {f}",
        (first_trace,),
        (),
        r"stack_chk",
    ),
    Rule(
        Kind.PANIC,
        _P + r"corrupted stack end detected inside scheduler",
        "kernel panic: corrupted stack end in {f}",
        (first_trace,),
        _OVERFLOW,
        r"schedule|retint_kernel",
        choose.looping,
    ),
    Rule(
        Kind.PANIC,
        _P + r"kernel stack overflow",
        "kernel stack overflow in {f}",
        (first_trace,),
        _OVERFLOW,
        r"bad_stack",
        choose.looping,
    ),
    Rule(Kind.PANIC, _P + r"Attempted to kill init!", "kernel panic: Attempted to kill init!"),
    Rule(
        Kind.PANIC,
        _P + r"Couldn't open N_TTY ldisc for \S+ --- error -\d+",
        "kernel panic: Couldn't open N_TTY ldisc",
    ),
    # The kernel panics for these reasons only after another report. Without that report, the log lost its beginning.
    Rule(
        Kind.PANIC,
        _P + r"(?P<what>Fatal exception|panic_on_warn set|hung_task: blocked tasks)",
        "kernel panic: {what}",
    ),
    Rule(Kind.PANIC, _P + r"(?P<what>.*)", "kernel panic: {what}"),
    Rule(Kind.PANIC, r"Kernel panic(?P<what>.*)", "kernel panic{what}", corrupt="the first line is cut"),
)
