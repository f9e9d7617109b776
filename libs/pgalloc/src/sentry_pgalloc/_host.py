"""The bindings of the native part: errors become exceptions."""

import os

from sentry_pgalloc._native._lib import ffi, lib


def _check(result: int, what: str) -> None:
    if result < 0:
        raise OSError(-result, f"{what}: {os.strerror(-result)}")


def map_window(fd: int, length: int) -> tuple[int, memoryview]:
    """Map length bytes of fd shared; return the address and a writable view of the whole.

    Raises: OSError.
    """
    base = ffi.new("uint64_t *")
    _check(lib.ks_pgalloc_map(fd, length, base), "mmap of the memory file")
    address = int(base[0])
    return address, memoryview(ffi.buffer(ffi.cast("char *", address), length)).cast("B")


def unmap_window(base: int, length: int) -> None:
    """Undo map_window; a view of the window must not be touched any more."""
    _check(lib.ks_pgalloc_unmap(base, length), "munmap of the memory file")


def punch(fd: int, offset: int, length: int) -> None:
    """Give the pages of a range back to the host: they read as zeros.

    Raises: OSError.
    """
    _check(lib.ks_pgalloc_punch(fd, offset, length), "fallocate(PUNCH_HOLE)")


def zero_pages(address: int, count: int) -> int:
    """Return how many pages from address on, at most count, are all zeros."""
    return lib.ks_pgalloc_zero_pages(address, count)


def data_pages(address: int, count: int) -> int:
    """Return how many pages from address on, at most count, are not all zeros."""
    return lib.ks_pgalloc_data_pages(address, count)
