"""Reading ELF headers: what of a file is to be mapped where.

The parser is over `struct`: two reads, 20 us. pyelftools would take 28 ms to import and a millisecond per file; the
tests compare the two. Results are cached by the file's identity, so that each version of a file is parsed once.

Sources: Linux fs/binfmt_elf.c (6.1), include/uapi/linux/elf.h, elf(5).
"""

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry_abi.elf import EM_X86_64, ET_DYN, ET_EXEC, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_PHDR
from sentry_abi.errors import ELIBBAD, ENOEXEC, LinuxError
from sentry_abi.fcntl import PATH_MAX
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_down, page_up

if TYPE_CHECKING:
    from sentry_loader._file import ExecFile

_HEADER: Final = struct.Struct("<4sBBBB8xHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_MAGIC: Final = b"\x7fELF"
_MAX_SEGMENT_TABLE: Final = 65536
_CACHE: Final = 512


class Segment(NamedTuple):
    """A PT_LOAD entry; addresses before relocation."""

    prot: int
    offset: int
    addr: int
    file_size: int
    size: int


class Elf(NamedTuple):
    """What the loader needs of a file's headers."""

    fixed: bool
    """ET_EXEC: addresses are absolute; else ET_DYN."""
    entry: int
    segments: tuple[Segment, ...]
    low: int
    """Page of the first segment."""
    high: int
    """End of the last one, page-aligned."""
    align: int
    table_addr: int
    """Where the program headers will lie, before relocation."""
    table_count: int
    interpreter: bytes
    """Path, empty for none."""
    executable_stack: bool


_parsed: dict[tuple[int, int, int, int], Elf] = {}


def read_elf(file: "ExecFile", head: bytes) -> Elf:
    """Return the headers of a file whose first bytes are head.

    Raises: ENOEXEC for everything that is not a valid x86-64 executable.
    """
    identity = file.identity()
    found = _parsed.get(identity)
    if found is None:
        found = _parse(file, head)
        if len(_parsed) >= _CACHE:
            _parsed.clear()
        _parsed[identity] = found
    return found


def read_interpreter(file: "ExecFile") -> Elf:
    """Return the same of an interpreter; its own PT_INTERP is ignored, as Linux does. Raises: ELIBBAD."""
    try:
        return read_elf(file, file.pread(64, 0))
    except ENOEXEC:
        raise ELIBBAD from None


def _parse(file: "ExecFile", head: bytes) -> Elf:
    if len(head) < _HEADER.size:
        raise ENOEXEC
    (magic, bits, order, version, _, kind, machine, version2, entry, table, _, _, _, entry_size, count, _, _, _) = (
        _HEADER.unpack_from(head)
    )
    if magic != _MAGIC or bits != 2 or order != 1 or version != 1 or version2 != 1:
        raise ENOEXEC
    if kind not in {ET_EXEC, ET_DYN} or machine != EM_X86_64 or entry_size != _SEGMENT.size:
        raise ENOEXEC
    size = count * _SEGMENT.size
    if not 0 < size <= _MAX_SEGMENT_TABLE:
        raise ENOEXEC
    return _read_table(file, _pread(file, size, table), entry, table, fixed=kind == ET_EXEC)


def _pread(file: "ExecFile", size: int, offset: int) -> bytes:
    """Read exactly size bytes. Raises: ENOEXEC."""
    if offset + size > 1 << 62:
        raise ENOEXEC
    try:
        data = bytes(file.pread(size, offset))
    except LinuxError:
        raise ENOEXEC from None
    if len(data) != size:
        raise ENOEXEC
    return data


def _read_table(file: "ExecFile", table: bytes, entry: int, table_offset: int, *, fixed: bool) -> Elf:
    segments: list[Segment] = []
    interpreter = b""
    align = PAGE_SIZE
    table_addr = -1
    executable_stack = False
    for kind, flags, offset, addr, _, file_size, size, segment_align in _SEGMENT.iter_unpack(table):
        if kind == PT_LOAD:
            segment = _segment(flags, offset, addr, file_size, size)
            if segments and addr < segments[-1].addr + segments[-1].size:
                raise ENOEXEC
            segments.append(segment)
            if segment_align & (segment_align - 1) == 0 and segment_align <= 1 << 30:
                align = max(align, segment_align)
            if table_addr < 0 and offset <= table_offset < offset + file_size:
                table_addr = table_offset - offset + addr
        elif kind == PT_INTERP and not interpreter:
            interpreter = _interpreter(file, offset, file_size)
        elif kind == PT_PHDR:
            table_addr = addr
        elif kind == PT_GNU_STACK:
            executable_stack = bool(flags & PF_X)
    segments = [s for s in segments if s.size]
    if not segments:
        raise ENOEXEC
    return Elf(
        fixed,
        entry,
        tuple(segments),
        page_down(segments[0].addr),
        page_up(segments[-1].addr + segments[-1].size),
        align,
        max(table_addr, 0),
        len(table) // _SEGMENT.size,
        interpreter,
        executable_stack,
    )


def _segment(flags: int, offset: int, addr: int, file_size: int, size: int) -> Segment:
    """Check a PT_LOAD entry.

    Differs: Linux finds most of this only after the old program is gone and kills the new one with SIGSEGV.
    """
    if (
        file_size > size
        or size > TASK_SIZE
        or addr > TASK_SIZE - size
        or offset + file_size > 1 << 62
        or (addr - offset) & (PAGE_SIZE - 1)
    ):
        raise ENOEXEC
    prot = (flags >> 2 & 1) | (flags & 2) | (flags & 1) << 2
    return Segment(prot, offset, addr, file_size, size)


def _interpreter(file: "ExecFile", offset: int, size: int) -> bytes:
    if not 2 <= size <= PATH_MAX:
        raise ENOEXEC
    path = _pread(file, size, offset)
    if path[-1]:
        raise ENOEXEC
    return path.split(b"\0", 1)[0]
