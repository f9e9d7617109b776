"""Finding a command as execvp(3) does, and why one cannot be run, in words and as a failure."""

import os
from typing import TYPE_CHECKING

from sentry.failures import Failure, ProgramMissingFailure, ProgramUnusableFailure
from sentry_abi.errors import EACCES, ENOENT, ENOTDIR, LinuxError
from sentry_vfs import EXECUTE, d_path, filename_lookup, path_permission

if TYPE_CHECKING:
    from sentry_auth import Credentials
    from sentry_vfs import FSContext


def find_program(fs: "FSContext", creds: "Credentials", name: bytes, path: bytes) -> bytes:
    """Return the path of a command as execvp(3) finds it.

    Raises: ProgramMissingFailure, ProgramUnusableFailure.
    """
    if b"/" in name:
        try:
            filename_lookup(None, name, fs, creds)
        except LinuxError as error:
            raise unusable(name, error) from error
        return name if name.startswith(b"/") else d_path(fs.cwd).rstrip(b"/") + b"/" + name
    denied: LinuxError | None = None
    for directory in path.split(b":"):
        candidate = (directory or b".") + b"/" + name
        try:
            where = filename_lookup(None, candidate, fs, creds)
            if where.dentry.positive().is_dir:
                continue
            path_permission(where, EXECUTE, creds)
        except (ENOENT, ENOTDIR):
            continue
        except LinuxError as error:
            denied = error
            continue
        return candidate if candidate.startswith(b"/") else d_path(fs.cwd).rstrip(b"/") + b"/" + candidate
    raise unusable(name, denied or ENOENT())


def unusable(name: bytes, error: LinuxError, *, found: bool = False) -> Failure:
    """Return the failure of a program that execve(2) refuses; `found`: if a file is missing, it is its interpreter."""
    text = os.fsdecode(name)
    if isinstance(error, ENOENT | ENOTDIR):
        if found:
            return ProgramMissingFailure(f"{text}: its interpreter is not found")
        return ProgramMissingFailure(f"{text}: not found")
    if isinstance(error, EACCES):
        return ProgramUnusableFailure(f"{text}: permission denied")
    return ProgramUnusableFailure(f"{text}: cannot be executed: {describe(error)}")


def describe(error: LinuxError) -> str:
    """Return an error in words, as the C library has them."""
    return os.strerror(error.errno)
