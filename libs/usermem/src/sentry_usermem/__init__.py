"""Guest memory: the protocol, copies with EFAULT at the exact byte, structures, scatter lists, atomics. Floor 4."""

from sentry_abi.fcntl import MAX_RW_COUNT
from sentry_usermem._atomic import SharedWords, add_u32, cas_u32, load_u32, store_u32, swap_u32
from sentry_usermem._guest import (
    IOV_MAX,
    Buffer,
    ByteMemory,
    GuestMemory,
    IoVec,
    gather,
    import_iovec,
    read_array,
    read_strings,
    read_struct,
    scatter,
    write_struct,
)

__all__ = [
    "IOV_MAX",
    "MAX_RW_COUNT",
    "Buffer",
    "ByteMemory",
    "GuestMemory",
    "IoVec",
    "SharedWords",
    "add_u32",
    "cas_u32",
    "gather",
    "import_iovec",
    "load_u32",
    "read_array",
    "read_strings",
    "read_struct",
    "scatter",
    "store_u32",
    "swap_u32",
    "write_struct",
]
