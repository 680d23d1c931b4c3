# SPDX-License-Identifier: MIT
"""Copy files and directories between the host and a live guest, by SFTP."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath

import paramiko

from rig.errors import GuestError, UsageError
from rig.machine.ssh import Shell, convert_errors

__all__ = ["copy_from_guest", "copy_to_guest"]


def copy_to_guest(shell: Shell, source: str, target: str, *, whole: bool = False) -> int:
    """Copy a file or directory of the host to `target`, as cp -r does, and return the number of files.

    whole: `target` is a directory, which is made if it is missing.
    Symbolic links are followed; sockets, pipes and devices are refused.
    Raises UsageError for a source that does not exist or cannot be read, GuestError for a failure in the guest.
    """
    path = Path(source)
    if not path.exists():
        raise UsageError("there is no such file", where=source, remedy="write :PATH for a path of the guest")
    with convert_errors(f"the copy to {target}"), shell.sftp() as sftp:
        if whole:
            _make_directories(sftp, target)
        if _is_directory(sftp, target):
            target = f"{target.rstrip('/')}/{path.resolve().name}"
        return _put(sftp, path, target)


def copy_from_guest(shell: Shell, source: str, target: str, *, shown: str) -> int:
    """Copy a file or directory of the guest to `target` of the host, as cp -r does, and return the number of files.

    shown: the source as the user wrote it, for errors.
    The guest is not trusted: names that would leave the target's directory are refused, and links are not followed.
    Raises UsageError for a source that does not exist, GuestError for a failure or a name that is refused.
    """
    into = Path(target)
    if into.is_dir():
        into /= PurePosixPath(source).name
    with convert_errors(f"the copy from {source}"), shell.sftp() as sftp:
        try:
            sftp.lstat(source)
        except FileNotFoundError:
            raise UsageError(
                "the guest has no such file", where=shown, remedy="rig ssh -- ls lists a directory"
            ) from None
        return _get(sftp, source, into)


def _is_directory(sftp: paramiko.SFTPClient, path: str) -> bool:
    try:
        return stat.S_ISDIR(sftp.stat(path).st_mode or 0)
    except FileNotFoundError:
        return False


def _make_directories(sftp: paramiko.SFTPClient, path: str) -> None:
    for each in (*reversed(PurePosixPath(path).parents), PurePosixPath(path)):
        if str(each) != "/" and not _is_directory(sftp, str(each)):
            sftp.mkdir(str(each))


def _put(sftp: paramiko.SFTPClient, source: Path, target: str) -> int:
    if source.is_dir():
        if not _is_directory(sftp, target):
            sftp.mkdir(target)
        return sum(_put(sftp, each, f"{target}/{each.name}") for each in sorted(source.iterdir()))
    if not source.is_file():
        raise UsageError("is not a file or directory", where=source, remedy="copy files and directories only")
    sftp.put(str(source), target)
    sftp.chmod(target, source.stat().st_mode & 0o777)
    return 1


def _get(sftp: paramiko.SFTPClient, source: str, target: Path) -> int:
    status = sftp.lstat(source)
    mode = status.st_mode or 0
    if stat.S_ISDIR(mode):
        target.mkdir(exist_ok=True)
        count = 0
        for name in sorted(sftp.listdir(source)):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise GuestError(f"the guest lists a file of the name {name!r}", where=source)
            count += _get(sftp, f"{source}/{name}", target / name)
        return count
    if not stat.S_ISREG(mode):
        return 0
    if target.is_symlink():
        raise UsageError("is a symbolic link", where=target, remedy="remove it, or name another target")
    sftp.get(source, str(target))
    target.chmod(mode & 0o777)
    return 1
