# SPDX-License-Identifier: MIT
"""What `rig exec` and `rig shell` share: the options of a program's root, and words behind `--`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import typer

from rig.cli.options import GuestOptions
from rig.errors import UsageError

__all__ = ["BehindDashes", "RootOptions"]

COMMAND = "rig.command"
"""Where the words behind `--` are kept for the command's function."""


class BehindDashes(typer.core.TyperCommand):
    """A command whose options end at `--`: what is behind it is the guest's."""

    missing: ClassVar[UsageError | None] = None
    """Raised where there is no `--`; None where a command may do without."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND] = tuple(args[at + 1 :])
            args = args[:at]
        # A word before `--` that is no option: the program of a user who left out the dashes, or half of a value.
        ctx.allow_extra_args, ctx.allow_interspersed_args = True, False
        rest: list[str] = super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            raise UsageError(
                f"'{ctx.args[0]}' stands before --",
                where=ctx.command_path,
                remedy="leave it out, or write it behind them"
                if COMMAND in ctx.meta
                else f"write the program behind it: {ctx.command_path} -- {shlex.join(ctx.args)}",
            )
        if self.missing is not None and COMMAND not in ctx.meta and not ctx.resilient_parsing:
            raise self.missing
        return rest

    @staticmethod
    def words(ctx: typer.Context) -> tuple[str, ...]:
        """Return the words behind `--`."""
        words: tuple[str, ...] = ctx.meta.get(COMMAND, ())
        return words


@dataclass(frozen=True)
class RootOptions:
    """Where the files of a root filesystem come from, and what memory and disk it has."""

    deb: Annotated[list[str], typer.Option(metavar="PACKAGE", help="A Debian package for the root filesystem.")] = (
        field(default_factory=list)
    )
    root: Annotated[
        str | None,
        typer.Option(metavar="DIR|TAR|ARCHIVE", help="The root filesystem: a directory, a tar, a docker or OCI image."),
    ] = None
    copy: Annotated[
        list[str],
        typer.Option(metavar="FILE[:PATH]", help="A file or directory to copy into the guest, as FILE or FILE:PATH."),
    ] = field(default_factory=list)
    cgroup: Annotated[
        list[str],
        typer.Option(metavar="FILE=VALUE", help="A setting of `exec`, the program's cgroup, as in memory.max=256M."),
    ] = field(default_factory=list)
    zram: Annotated[str | None, typer.Option(metavar="SIZE", help="Swap in compressed memory, as in 128M.")] = None
    disk: Annotated[
        str | None,
        typer.Option(metavar="SIZE[:DIR]", help="A disk for files (ext4, live clock) at DIR, as in 1G:/var/lib."),
    ] = None

    @property
    def mount_point(self) -> str | None:
        """Where the disk is mounted; None without a disk. Raises UsageError for a text that is not SIZE[:DIR]."""
        return self._disk()[1]

    def settings(self, guest: GuestOptions) -> tuple[str, ...]:
        """Return the guest's settings and these as NAME=VALUE. Raises UsageError as mount_point does."""
        added = {"zram": self.zram, "disk": self._disk()[0]}
        if self.disk is not None and guest.clock is None:
            # An idle warp guest skips to its next timer, so a wait for the disk would take as long as that timer is
            # away: a guest that waited 7 s for its disk counted 343 s.
            added["clock"] = "live"
        return (*guest.settings(), *(f"{name}={value}" for name, value in added.items() if value is not None))

    def _disk(self) -> tuple[str | None, str | None]:
        # Not imported above: rig exec starts to look for QEMU before it imports what a request needs.
        from rig.program.request import parse_disk

        return (None, None) if self.disk is None else parse_disk(self.disk)
