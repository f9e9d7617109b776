"""What path walks, attributes, opening and moving bytes cost, in microseconds: the part of a call that is ours."""

import timeit
from collections.abc import Callable

from sentry_fs import build_default_root
from sentry_fs.testing import VFS, World
from sentry_pgalloc import MemoryFile
from sentry_vfs import FDTable, PipeFilesystem, do_filp_open, do_unlinkat, filename_lookup, make_pipe, path_lookup


def measure(name: str, call: Callable[[], object], number: int = 20_000) -> None:
    """Print the best of five."""
    best = min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6
    print(f"{name:40} {best:8.2f}")


def main() -> None:
    """Measure on the host's own tree."""
    memory = MemoryFile()
    world = World(build_default_root(VFS, memory, cwd=b"/usr"))
    vfs, ctx, creds, table = VFS, world.ctx, world.creds, FDTable()
    buffer = memoryview(bytearray(65536))

    def stat(path: bytes) -> bytes:
        return filename_lookup(None, path, ctx, creds).dentry.positive().stat()

    def open_close(path: bytes) -> None:
        table.close(table.install(do_filp_open(None, path, 0, 0, ctx, creds)))

    def create_unlink() -> None:
        table.close(table.install(do_filp_open(None, b"/tmp/f", 0o102, 0o644, ctx, creds)))
        do_unlinkat(None, b"/tmp/f", ctx, creds)

    def walk_again(path: bytes) -> None:
        vfs.generation += 1
        filename_lookup(None, path, ctx, creds)

    measure("stat, host file", lambda: stat(b"/etc/passwd"))
    measure("stat, file in memory", lambda: stat(b"/dev/null"))
    measure("stat, missing", lambda: path_lookup(None, b"/etc/missing", ctx, creds))
    measure("walk of 4 names, nothing kept", lambda: walk_again(b"/usr/lib/python3/dist-packages"))
    measure("open and close, host file", lambda: open_close(b"/etc/passwd"))
    measure("create and unlink", create_unlink)
    host = do_filp_open(None, b"/etc/passwd", 0, 0, ctx, creds)
    measure("pread 4 KiB, host file", lambda: host.pread([buffer[:4096]], 0))
    file = do_filp_open(None, b"/tmp/data", 0o102, 0o644, ctx, creds)
    file.write([bytes(65536)])
    measure("pread 4 KiB, file in memory", lambda: file.pread([buffer[:4096]], 0))
    measure("pwrite 4 KiB, file in memory", lambda: file.pwrite([buffer[:4096]], 0))
    measure("pwrite 64 KiB, file in memory", lambda: file.pwrite([buffer], 0))
    reader, writer = make_pipe(PipeFilesystem(VFS), 0, 0)

    def through(size: int) -> None:
        writer.write([buffer[:size]])
        reader.read([buffer[:size]])

    for size in (1, 4096, 65536):
        measure(f"{size} bytes through a pipe", lambda size=size: through(size))  # type: ignore[misc]  # the loop's own


if __name__ == "__main__":
    main()
