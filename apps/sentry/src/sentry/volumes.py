"""--rootfs, --volume, --workdir, --env: from words to a tree of mounts, a place in it and an environment.

Every mistake of the user is a `UsageFailure` of one line that begins with the option.
"""

import os
from typing import TYPE_CHECKING, NamedTuple

from sentry.failures import UsageFailure
from sentry_abi.errors import ENOENT, LinuxError
from sentry_abi.mount import MS_NODEV, MS_NOSUID, MS_RDONLY
from sentry_auth import user_credentials
from sentry_fs import build_default_root
from sentry_vfs import FSContext, do_mkdirat, filename_lookup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_fs import Devfs
    from sentry_pgalloc import MemoryFile
    from sentry_vfs import MountNamespace, Path, VirtualFilesystem


class Volume(NamedTuple):
    """A directory of the host and its place in the guest's tree."""

    source: bytes
    target: bytes
    readonly: bool


def parse_volume(text: str) -> Volume:
    """Return what SRC:DST[:ro] says. Raises: UsageFailure."""
    source, *rest = text.split(":")
    if not source or not 1 <= len(rest) <= 2 or not rest[0].startswith("/"):
        message = f"--volume {text}: not SRC:DST or SRC:DST:ro, with an absolute DST"
        raise UsageFailure(message)
    mode = rest[1] if len(rest) == 2 else "rw"
    if mode not in {"ro", "rw"}:
        message = f"--volume {text}: {mode!r} is neither ro nor rw"
        raise UsageFailure(message)
    target = os.path.normpath(rest[0]).replace("//", "/")
    if target == "/":
        message = f"--volume {text}: the root is what --rootfs is for"
        raise UsageFailure(message)
    return Volume(os.fsencode(source), os.fsencode(target), mode == "ro")


def make_tree(
    vfs: "VirtualFilesystem", memory: "MemoryFile", cwd: bytes, rootfs: str | None, devfs: "Devfs"
) -> "MountNamespace":
    """Return the mounts over the host's root or another directory, with devfs on /dev. Raises: UsageFailure."""
    if rootfs is None:
        return build_default_root(vfs, memory, cwd=cwd, devfs=devfs)
    try:
        return build_default_root(vfs, memory, cwd=b"/", host_root=os.fsencode(rootfs), devfs=devfs)
    except LinuxError as error:
        message = f"--rootfs {rootfs}: {os.strerror(error.errno)}"
        raise UsageFailure(message) from error


def mount_volumes(vfs: "VirtualFilesystem", tree: "MountNamespace", words: "Iterable[str]") -> None:
    """Mount what --volume says, making directories that are missing. Raises: UsageFailure."""
    volumes = [(text, parse_volume(text)) for text in words]
    if not volumes:
        return
    from sentry_fs import HostVolume  # noqa: PLC0415  (most sandboxes have no volume)

    root, fs = user_credentials(0, 0), FSContext(tree.root)
    for text, volume in volumes:
        try:
            made = HostVolume(vfs, volume.source, readonly=volume.readonly)
        except LinuxError as error:
            message = f"--volume {text}: {os.fsdecode(volume.source)}: {os.strerror(error.errno)}"
            raise UsageFailure(message) from error
        try:
            place: Path | None = None
            for end in (*_ends(volume.target), len(volume.target)):
                path = volume.target[:end]
                try:
                    place = filename_lookup(None, path, fs, root)
                except ENOENT:
                    do_mkdirat(None, path, 0o755, fs, root)
                    place = filename_lookup(None, path, fs, root)
            assert place is not None
            tree.attach(made, made.root, place, MS_NOSUID | MS_NODEV | (MS_RDONLY if volume.readonly else 0))
        except LinuxError as error:
            message = f"--volume {text}: {os.fsdecode(volume.target)}: {os.strerror(error.errno)}"
            raise UsageFailure(message) from error
    fs.release()


def _ends(path: bytes) -> list[int]:
    """Return where each directory of an absolute path ends."""
    return [at for at in range(1, len(path)) if path[at] == 47]


def environment(words: "Iterable[str]") -> dict[bytes, bytes]:
    """Return the guest's environment: ours, with what --env says. Raises: UsageFailure."""
    found = dict(os.environb)
    for text in words:
        key, equals, value = text.partition("=")
        if not key or not equals:
            message = f"--env {text}: not KEY=VALUE"
            raise UsageFailure(message)
        found[os.fsencode(key)] = os.fsencode(value)
    return found
