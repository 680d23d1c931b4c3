# SPDX-License-Identifier: MIT
"""Which line begins a report, and which lines look like it but do not.

The order of the tables matters: the first rule whose start is found in the line is the line's rule.
"""

from __future__ import annotations

import re
from functools import cache

from rig.klog.crash.rules import Rule

__all__ = ["continues", "find_start"]

# A line without any of these words begins nothing: one search instead of one for each rule.
_WORDS = re.compile(
    r"BUG|WARNING:|INFO:|[uU]nable to handle kernel|protection fault|stack segment: |Kernel panic|PANIC: "
    r"double"
    r"|divide[ _]error: |invalid opcode: |int3: |UBSAN: |unregister_netdevice: waiting|VFS: (?:Close|Busy)"
    r"|Internal error:|Unhandled fault:|Alignment trap:|panic:|panicked|trusty: panic|fatal error:|SYZF"
    r"|^Booting the "
    r"kernel|Oops"
    r"|hard LOCKUP"
)


@cache
def _rules() -> tuple[tuple[re.Pattern[str], Rule], ...]:
    """The rules, read and compiled when the first crash needs them: a log of OOM reports does not."""
    from rig.klog.crash import faults, locks, others, panics, sanitizers, stalls, warnings

    tables = (
        sanitizers.RULES,
        faults.RULES,
        locks.RULES,
        stalls.RULES,
        warnings.RULES,
        others.RULES,
        panics.RULES,
        (Rule("bug", r"^(?P<what>BUG: .+)", "{what}"),),
    )
    return tuple((re.compile(rule.start), rule) for table in tables for rule in table)


# Words of programs and of kernel messages that report nothing.
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
)
# What the oops machinery says within one report.
_CONTINUES = re.compile(
    r"invalid opcode: |kernel BUG at rust/helpers|Internal error:|\bOops\b.{0,60}: [0-9a-f#\[]|PANIC: "
    r"double fault|KASAN: "
    r"(?:null-ptr|maybe wild|probably)"
    r"|unregister_netdevice: waiting for"
)


def find_start(text: str) -> tuple[Rule, re.Match[str]] | None:
    """Return the rule of the report that a line begins, and the match; None for a line that begins none."""
    if _WORDS.search(text) is None or _HARMLESS.search(text) is not None:
        return None
    for pattern, rule in _rules():
        match = pattern.search(text)
        if match is not None:
            return rule, match
    return None


def continues(text: str) -> bool:
    """Whether a line that could begin a report belongs to the one before it, where there is one."""
    return _CONTINUES.search(text) is not None
