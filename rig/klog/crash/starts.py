# SPDX-License-Identifier: MIT
"""Decide whether a line begins a report, or only looks as if it did.

The order of the tables matters: the first rule whose start is found in the line is the line's rule.
"""

from __future__ import annotations

import re
from functools import cache

from rig.klog.crash import faults, locks, others, panics, sanitizers, stalls, warnings
from rig.klog.crash.rules import Rule
from rig.klog.keywords import shortest
from rig.klog.kinds import Kind

__all__ = ["KEYWORDS", "RULES", "continues", "find_start"]

RULES: tuple[Rule, ...] = (
    *sanitizers.RULES,
    *faults.RULES,
    *locks.RULES,
    *stalls.RULES,
    *warnings.RULES,
    *others.RULES,
    *panics.RULES,
    Rule(Kind.BUG, r"^(?P<what>BUG: .+)", "{what}", keywords=("BUG: ",)),
)
KEYWORDS = shortest(word for rule in RULES for word in rule.keywords)


@cache
def _starts() -> tuple[tuple[frozenset[str], re.Pattern[str], Rule], ...]:
    """Return (keywords, compiled start, rule) for each rule, in order.

    The keywords are those of KEYWORDS that the rule's own keywords contain. Compiled when the first line needs them.
    """
    return tuple(
        (
            frozenset(word for word in KEYWORDS if any(word in own for own in rule.keywords)),
            re.compile(rule.start),
            rule,
        )
        for rule in RULES
    )


# Messages of programs and of the kernel that contain a rule's words but report no failure.
_HARMLESS = re.compile(
    r"[A-Za-z_]BUG:|[A-Za-z_]INFO:|_panic:|xlog_status:|evtlog_status:|onpanic:|lockdep is turned off"
    r"|Stall ended before|INFO: NMI handler|recovery required on readonly|took too long|is not present "
    r"in /proc/kallsyms"
    r"|no syscalls can create|ALSA.*fatal error:|fatal error: cannot create timer"
    r"|protection fault .*error:\w+ in |^traps: .* (?:general protection|trap |invalid opcode|divide "
    r"error|int3)"
    r"|Parsing ELF|Decompressing Linux|Unknown parameter|---\[ end (?:Kernel panic|trace)"
    r"|WARNING: (?:/etc/ssh/|workqueue cpumask|[Tt]he mand mount|Unprivileged eBPF|fbcon|See https"
    r"|kernel not compiled)"
    r"|Command line:|Kernel command line"
    # A symbolizer repeats the first line for each inlined function; the last of these lines names the outermost one.
    r"| \[inline\](?: at addr [0-9a-f]+)?$"
)
# Lines that match a rule but that the kernel also prints within an oops report.
_CONTINUES = re.compile(
    r"invalid opcode: |kernel BUG at rust/helpers|Internal error:|\bOops\b.{0,60}: [0-9a-f#\[]|PANIC: "
    r"double fault|KASAN: "
    r"(?:null-ptr|maybe wild|probably)"
    r"|unregister_netdevice: waiting for"
)


def find_start(text: str) -> tuple[Rule, re.Match[str]] | None:
    """Return the rule of the report that a line begins, and the match; None for a line that begins none."""
    found = {word for word in KEYWORDS if word in text}
    if not found or _HARMLESS.search(text) is not None:
        return None
    for words, pattern, rule in _starts():
        if not words.isdisjoint(found):
            match = pattern.search(text)
            if match is not None:
                return rule, match
    return None


def continues(text: str) -> bool:
    """Return whether a line that could begin a report belongs to an open report instead."""
    return _CONTINUES.search(text) is not None
