"""Programs of the host and programs made up here, loaded into an address space that exists only in this process."""

import io
import os
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_abi.errors import E2BIG, EFAULT, EIO, ELIBBAD, ELOOP, ENOENT, ENOEXEC, ENOMEM, LinuxError
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_down, page_up
from sentry_loader import (
    Elf,
    Hardware,
    Ids,
    Image,
    build_stack,
    host_hardware,
    parse_script,
    prepare,
    read_elf,
    read_interpreter,
)
from sentry_loader import _elf as elf_module
from sentry_loader._state import register
from sentry_mm import Extent, MemoryManager, Uncounted
from sentry_mm.testing import FakeSpace, check
from sentry_pgalloc import MemoryFile, MemoryKind
from sentry_state import Reader, Registry, Writer

RANDOM = bytes(range(56))
PATHS = ("/bin/sh", "/bin/bash", "/usr/bin/python3", "/usr/bin/env", "/usr/bin/perl")
HOST = [Path(p) for p in PATHS if Path(p).exists()]
LD = b"/lib64/ld-linux-x86-64.so.2"


class Program(Uncounted):
    """An executable file: bytes in a host file, open until its test has ended."""

    kind: Literal["host"] = "host"
    serial = 0
    opened: ClassVar[list[int]] = []
    where = b""

    def __init__(self, content: bytes, name: bytes = b"program") -> None:
        """Write the bytes to a file without a name."""
        self.fd = os.memfd_create("program", os.MFD_CLOEXEC)
        Program.opened.append(self.fd)
        os.write(self.fd, content)
        self.size = len(content)
        self.name = name
        Program.serial += 1
        self.number = Program.serial
        self.broken = False

    @classmethod
    def close_from(cls, first: int) -> None:
        """Close the files of all programs but the first so many."""
        while len(cls.opened) > first:
            os.close(cls.opened.pop())

    def pread(self, size: int, offset: int) -> bytes:
        """See ExecFile."""
        if self.broken:
            raise EIO
        return os.pread(self.fd, size, offset)

    def identity(self) -> tuple[int, int, int, int]:
        """See ExecFile."""
        return 0, self.number, 0, self.size

    def mappable(self) -> "Program":
        """See ExecFile."""
        return self

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """See Mappable."""
        length = min(length, page_up(self.size) - offset)
        return [Extent(self, offset, length)] if length > 0 else []

    def mapped_size(self) -> int:
        """See Mappable."""
        return self.size

    def mapping_identity(self) -> object:
        """See Mappable."""
        return self


class Limits:
    """The limits of a usual process."""

    def soft(self, resource: int, /) -> int:
        """Return 8 MiB of stack and no other limit."""
        return 8 << 20 if resource == 3 else (1 << 64) - 1


class World:
    """A memory file, a space, an address space; all references must balance in the end."""

    def __init__(self) -> None:
        """Begin empty."""
        self.memory = MemoryFile(1 << 40)
        self.space = FakeSpace()
        self.mm = MemoryManager(self.space, self.memory, Limits())

    def run(self, image: Image) -> tuple[int, int]:
        """Map an image and check that host and lists agree; return entry and stack pointer."""
        loaded = image.map_into(self.mm)
        check(self.mm, self.space)
        return loaded.entry, loaded.stack_pointer

    def close(self) -> None:
        """Release and check."""
        self.mm.release()
        assert self.memory.ranges() == []
        self.memory.close()


@pytest.fixture(autouse=True)
def closed_programs() -> Iterator[None]:
    """Close the programs of a test."""
    first = len(Program.opened)
    yield
    Program.close_from(first)


@pytest.fixture(autouse=True, scope="module")
def closed_parameters() -> Iterator[None]:
    """Close the programs that are parameters of tests."""
    yield
    Program.close_from(0)


@pytest.fixture
def world() -> Iterator[World]:
    """Return a world; check it afterwards."""
    it = World()
    yield it
    it.close()


def header(kind: int = 2, machine: int = 62, entry: int = 0x401000, count: int = 1, **other: int) -> bytes:
    """Return an ELF header whose program headers follow at 64."""
    return struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH",
        b"\x7fELF",
        other.get("bits", 2),
        other.get("order", 1),
        other.get("version", 1),
        0,
        kind,
        machine,
        other.get("version2", 1),
        entry,
        other.get("table", 64),
        0,
        0,
        64,
        other.get("entry_size", 56),
        count,
        0,
        0,
        0,
    )


def segment(kind: int, flags: int, offset: int, addr: int, size: int, **other: int) -> bytes:
    """Return a program header."""
    return struct.pack(
        "<IIQQQQQQ", kind, flags, offset, addr, 0, size, other.get("mem", size), other.get("align", 4096)
    )


def elf(*segments: bytes, body: bytes = b"", **kwargs: int) -> Program:
    """Return a file with these program headers and, from 4096 on, this body."""
    head = header(count=len(segments), **kwargs) + b"".join(segments)
    return Program(head.ljust(4096, b"\0") + body)


def nothing(path: bytes) -> Program:
    """Open no interpreter."""
    raise ENOENT(path)


def host(path: bytes) -> Program:
    """Open a file of the host."""
    try:
        return Program(Path(os.fsdecode(path)).read_bytes(), path)
    except OSError:
        raise ENOENT from None


def simple(**kwargs: int) -> Program:
    """Return a small static program: text, then data with a bss of two pages."""
    return elf(
        segment(1, 5, 0, 0x400000, 4096),
        segment(1, 6, 4096, 0x402000, 100, mem=8292),
        body=b"d" * 4096,
        **kwargs,
    )


# -- the oracle -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", HOST, ids=str)
def test_headers_are_what_pyelftools_reads(path: Path) -> None:
    """Segments, entry, interpreter, table and stack permission of the host's own programs."""
    with path.open("rb") as stream:
        oracle = ELFFile(stream)
        found = read_elf(Program(path.read_bytes()), path.read_bytes()[:256])
        loads = [s for s in oracle.iter_segments() if s["p_type"] == "PT_LOAD"]
        assert found.entry == oracle["e_entry"]
        assert found.fixed == (oracle["e_type"] == "ET_EXEC")
        assert found.table_count == oracle["e_phnum"]
        assert [(s.offset, s.addr, s.file_size, s.size) for s in found.segments] == [
            (s["p_offset"], s["p_vaddr"], s["p_filesz"], s["p_memsz"]) for s in loads
        ]
        assert [s.prot for s in found.segments] == [
            (s["p_flags"] >> 2 & 1) | (s["p_flags"] & 2) | (s["p_flags"] & 1) << 2 for s in loads
        ]
        interp = [s.data().rstrip(b"\0") for s in oracle.iter_segments() if s["p_type"] == "PT_INTERP"]
        assert found.interpreter == (interp[0] if interp else b"")
        table = [s["p_vaddr"] for s in oracle.iter_segments() if s["p_type"] == "PT_PHDR"]
        assert not table or found.table_addr == table[0]


@pytest.mark.parametrize("path", HOST, ids=str)
def test_host_programs_load(path: Path, world: World) -> None:
    """One apply maps program, interpreter and stack; the entry is the interpreter's; text is the file's."""
    name = str(path).encode()
    content = path.read_bytes()
    image = prepare(Program(content, name), name, [name, b"x"], [b"A=b"], host, random=RANDOM)
    entry, _ = world.run(image)
    assert world.space.applies == 1
    assert image.interpreter is not None
    base = entry - image.interpreter.entry
    assert world.mm.copy_in(base, 4) == b"\x7fELF"
    text = next(s for s in image.elf.segments if s.prot & 4)
    bias = world.mm.code_start - min(s.addr for s in image.elf.segments)
    assert world.mm.copy_in(text.addr + bias, 64) == content[text.offset : text.offset + 64]
    data = image.elf.segments[-1]
    end = data.addr + bias + data.file_size
    assert world.mm.copy_in(end - 8, 8) == content[data.offset + data.file_size - 8 : data.offset + data.file_size]
    assert world.mm.copy_in(end, data.size - data.file_size) == bytes(data.size - data.file_size)
    assert world.mm.brk(0) == world.mm.brk_start >= page_up(data.addr + bias + data.size)


def test_exec_in_place_is_one_apply(world: World) -> None:
    """reset() and map_into() together: what was mapped before is gone."""
    world.run(prepare(simple(), b"/a", [b"a"], [], nothing, random=RANDOM))
    old = world.mm.mmap(0, 4096, 3, 0x22)
    applies = world.space.applies
    world.mm.reset()
    world.run(prepare(simple(), b"/b", [b"b"], [], nothing, random=RANDOM[::-1]))
    assert world.space.applies == applies + 1
    assert not any(m.start <= old < m.end for m in world.space.mappings)


# -- placement ------------------------------------------------------------------------------------------


def test_static_program(world: World) -> None:
    """Its addresses mean what they say; the tail of its data page and its bss are zero and writable."""
    entry, pointer = world.run(prepare(simple(), b"/bin/static", [b"s"], [], nothing, random=RANDOM))
    assert entry == 0x401000
    assert world.mm.copy_in(0x402000, 100) == b"d" * 100
    assert world.mm.copy_in(0x402064, 8192) == bytes(8192)
    world.space.store(world.mm, 0x404000, 1)
    assert pointer % 16 == 0
    assert world.mm.code_start == 0x400000
    assert world.mm.data_end == 0x402064


def test_positions_follow_the_random_numbers(world: World) -> None:
    """Without randomness everything is where Linux puts it first; with it, elsewhere and aligned."""
    pie = elf(segment(1, 5, 0, 0, 4096, align=0x200000), segment(3, 4, 200, 200, 8), kind=3)
    os.pwrite(pie.fd, b"/ld.so\0\0", 200)
    ld = elf(segment(1, 5, 0, 0, 4096), kind=3, entry=16)
    image = prepare(pie, b"/p", [b"p"], [], lambda _: ld, random=bytes(56))
    entry, pointer = world.run(image)
    assert world.mm.code_start == page_down(TASK_SIZE // 3 * 2) & -0x200000
    assert TASK_SIZE - 4096 < pointer < TASK_SIZE
    assert entry == world.mm.mmap_base - 4096 + 16
    other = World()
    other.run(prepare(pie, b"/p", [b"p"], [], lambda _: ld, random=RANDOM))
    assert other.mm.code_start % 0x200000 == 0
    assert other.mm.code_start != world.mm.code_start
    other.close()


def test_an_interpreter_run_by_hand(world: World) -> None:
    """ld.so itself, and static PIE: among the mappings; the heap where a program would be."""
    ld = elf(segment(1, 5, 0, 0x1000, 4096, align=0x10000), kind=3, entry=0x1010)
    entry, _ = world.run(prepare(ld, b"/ld.so", [b"ld.so"], [], nothing, random=RANDOM))
    assert entry > 0x7E0000000000
    assert world.mm.brk_start < 0x600000000000


def test_executable_stack_is_granted(world: World) -> None:
    """PT_GNU_STACK with PF_X."""
    program = elf(segment(1, 5, 0, 0x400000, 4096), segment(0x6474E551, 7, 0, 0, 0))
    world.run(prepare(program, b"/x", [b"x"], [], nothing, random=RANDOM))
    assert world.mm.vmas.items[-1].prot == 7


def test_a_segment_without_file_part(world: World) -> None:
    """Pure bss, read-only data with a tail, and an empty segment that does not count."""
    program = elf(
        segment(1, 4, 0, 0x400000, 100, mem=200),
        segment(1, 6, 0, 0x401000, 0, mem=8192),
        segment(1, 6, 0, 0x500000, 0),
    )
    world.run(prepare(program, b"/x", [b"x"], [], nothing, random=RANDOM))
    assert world.mm.copy_in(0x401000, 8192) == bytes(8192)
    assert world.mm.brk_start >= 0x403000


# -- the stack ------------------------------------------------------------------------------------------


def _words(mm: MemoryManager, at: int, count: int) -> list[int]:
    return list(struct.unpack(f"<{count}Q", mm.copy_in(at, 8 * count)))


def test_stack_is_laid_out_as_linux_does(world: World) -> None:
    """argc, argv, envp, auxiliary vector; strings in order at the top; every pointer right."""
    argv, envp = [b"prog", b"", b"two words"], [b"HOME=/", b"X=" + b"y" * 100]
    ids = Ids(1, 2, 3, 4, secure=True)
    hardware = Hardware(0x1234, 2, 3632)
    image = prepare(simple(), b"/bin/prog", argv, envp, nothing, ids=ids, hardware=hardware, random=RANDOM)
    _, pointer = world.run(image)
    mm = world.mm
    assert _words(mm, pointer, 1) == [3]
    pointers = _words(mm, pointer + 8, 7)
    assert (pointers[3], pointers[6]) == (0, 0)
    assert [mm.cstring(p, 200) for p in (*pointers[:3], *pointers[4:6])] == argv + envp
    pairs = list(struct.iter_unpack("<QQ", mm.auxv))
    assert mm.copy_in(pointer + 64, len(mm.auxv)) == mm.auxv
    assert [k for k, _ in pairs] == [51, 16, 6, 17, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 23, 25, 26, 31, 15, 0]
    auxv = dict(pairs)
    assert [auxv[k] for k in (51, 16, 26, 6, 17, 4, 5, 7, 8, 9)] == [3632, 0x1234, 2, 4096, 100, 56, 2, 0, 0, 0x401000]
    assert [auxv[k] for k in (11, 12, 13, 14, 23)] == [1, 2, 3, 4, 1]
    assert auxv[3] == 0x400040
    assert mm.copy_in(auxv[25], 16) == RANDOM[:16]
    assert mm.cstring(auxv[31], 100) == b"/bin/prog"
    assert mm.cstring(auxv[15], 100) == b"x86_64"
    assert mm.copy_in(mm.arg_start, mm.arg_end - mm.arg_start) == b"prog\0\0two words\0"
    assert mm.env_start == mm.arg_end
    assert mm.env_end == auxv[31]
    assert mm.copy_in(auxv[31] + 10, 8) == bytes(8)


class TwoPages(Uncounted):
    """A parameter page and a vDSO, as a file."""

    def __init__(self, memory: MemoryFile) -> None:
        """Allocate them."""
        self.memory = memory
        self.offset = memory.allocate(8192, MemoryKind.SYSTEM)
        memory.view[self.offset + 4096 : self.offset + 4100] = b"vdso"

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return the pages."""
        return [Extent(self.memory, self.offset + offset, min(length, 8192 - offset))]

    def mapped_size(self) -> int:
        """Return the size."""
        return 8192

    def mapping_identity(self) -> object:
        """Return what is equal for all mappings."""
        return self


def test_vdso_address_comes_first(world: World) -> None:
    """AT_SYSINFO_EHDR when there is one, and the image is there."""
    pages = TwoPages(world.mm.memory)
    image = prepare(simple(), b"/p", [b"p"], [], nothing, random=RANDOM, vdso=pages)
    world.run(image)
    tag, address = struct.unpack_from("<QQ", world.mm.auxv)
    assert tag == 33
    assert world.mm.copy_in(address, 4) == b"vdso"
    assert world.mm.copy_in(address - 4096, 4) == bytes(4)
    with pytest.raises(EFAULT):
        world.mm.copy_out(address - 4096, b"x")
    world.memory.decref(pages.offset, 8192)


@given(
    st.lists(st.binary(max_size=30), max_size=20), st.lists(st.binary(max_size=30), max_size=20), st.integers(0, 8191)
)
def test_stack_pointer_is_aligned_whatever_the_strings(argv: list[bytes], envp: list[bytes], gap: int) -> None:
    """The ABI's one promise, and that the image ends exactly at the top."""
    argv = [a.replace(b"\0", b"") for a in argv]
    envp = [e.replace(b"\0", b"") for e in envp]
    image = build_stack(0x7FFF00000000, argv, envp, b"/p", bytes(16), gap, [(23, 0)])
    assert image.pointer % 16 == 0
    assert image.pointer + len(image.data) == 0x7FFF00000000
    words = struct.unpack_from(f"<{len(argv) + 1}Q", image.data)
    for address, text in zip(words[1:], argv, strict=True):
        at = address - image.pointer
        assert image.data[at : at + len(text) + 1] == text + b"\0"


def test_an_empty_vector_becomes_one_empty_string(world: World) -> None:
    """Linux 5.18 and later never start a program with argc 0."""
    _, pointer = world.run(prepare(simple(), b"/p", [], [], nothing, random=RANDOM))
    assert _words(world.mm, pointer, 1) == [1]


@pytest.mark.parametrize(
    ("argv", "envp", "limit"),
    [
        ([b"x" * (128 << 10)], [], 8 << 20),
        ([b"x" * 1000] * 3000, [], 8 << 20),
        ([b"x"], [b"y" * 1000] * 140, 1 << 12),
        ([b""] * 400_000, [], 8 << 20),
    ],
)
def test_too_many_arguments(argv: list[bytes], envp: list[bytes], limit: int) -> None:
    """One string of 128 KiB, a quarter of the stack, the least of 128 KiB, and pointers alone."""
    with pytest.raises(E2BIG):
        prepare(simple(), b"/p", argv, envp, nothing, stack_limit=limit, random=RANDOM)


def test_host_hardware_is_the_hosts() -> None:
    """The values of this very process; none without /proc."""
    found = host_hardware()
    assert found.hwcap & 1 << 25  # SSE
    assert found.minsigstksz >= 2048


# -- scripts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"#!/bin/sh\n", (b"/bin/sh", None)),
        (b"#! \t/bin/sh  \n", (b"/bin/sh", None)),
        (b"#!/bin/sh -e -x  \nrest", (b"/bin/sh", b"-e -x")),
        (b"#!/bin/sh", (b"/bin/sh", None)),
        (b"#!/bin/sh\tone two\t", (b"/bin/sh", b"one two")),
        (b"#!/bin/sh\0junk\n", (b"/bin/sh", None)),
        (b"#!" + b"a" * 254, None),
        (b"#!" + b" " * 254, None),
        (b"#!/bin/sh " + b"a" * 300, (b"/bin/sh", b"a" * 245)),
        (b"#!\n", None),
        (b"#!  \n", None),
        (b"#!", None),
    ],
)
def test_first_lines(line: bytes, expected: tuple[bytes, bytes | None] | None) -> None:
    """One interpreter, one argument, 256 bytes."""
    if expected is None:
        with pytest.raises(ENOEXEC):
            parse_script(line[:256])
    else:
        assert parse_script(line[:256]) == expected


def test_scripts_of_scripts(world: World) -> None:
    """Argv grows at each level, the name stays the first path's; six levels are too many."""
    files = {b"/a": Program(b"#!/b -x y\n"), b"/b": Program(b"#!/c\n"), b"/c": simple()}
    image = prepare(Program(b"#!/a\n"), b"./me", [b"old", b"1"], [], files.__getitem__, random=RANDOM)
    assert image.argv == [b"/c", b"/b", b"-x y", b"/a", b"./me", b"1"]
    assert image.comm == b"me"
    world.run(image)
    loop = Program(b"#!/loop\n")
    with pytest.raises(ELOOP):
        prepare(loop, b"/loop", [b"x"], [], lambda _: loop, random=RANDOM)
    chain = {b"/%d" % n: Program(b"#!/%d\n" % (n + 1)) for n in range(5)} | {b"/5": simple()}
    assert prepare(chain[b"/0"], b"/0", [b"x"], [], chain.__getitem__, random=RANDOM).argv[0] == b"/5"
    with pytest.raises(ENOENT):
        prepare(Program(b"#!/a\n"), b"/dev/fd/5", [b"x"], [], nothing, path_inaccessible=True, random=RANDOM)
    with pytest.raises(ENOENT):
        prepare(Program(b"#!/a\n"), b"/s", [b"x"], [], nothing, random=RANDOM)


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        Program(b""),
        Program(b"abc"),
        Program(b"\x7fELF"),
        Program(header()),
        Program(header(count=0)),
        Program(header(count=2000) + bytes(4096)),
        Program(header(machine=183) + bytes(4096)),
        Program(header(kind=1) + bytes(4096)),
        Program(header(bits=1) + bytes(4096)),
        Program(header(order=2) + bytes(4096)),
        Program(header(version=2) + bytes(4096)),
        Program(header(entry_size=32) + bytes(4096)),
        Program(header(table=1 << 63) + bytes(4096)),
        Program(header(table=1 << 40) + bytes(4096)),
        elf(segment(4, 4, 0, 0, 10)),
        elf(segment(1, 5, 0, 0x400000, 100, mem=50)),
        elf(segment(1, 5, 0, 0x400001, 100)),
        elf(segment(1, 5, 0, TASK_SIZE, 4096)),
        elf(segment(1, 5, 0, 0x400000, 100, mem=1 << 50)),
        elf(segment(1, 5, 0, 0x1000, 100)),
        elf(segment(1, 5, 0, 0x400000, 9000), segment(1, 5, 0, 0x402000, 100)),
        elf(segment(1, 5, 0, 0x500000, 100), segment(1, 5, 0, 0x400000, 100)),
        elf(segment(1, 5, 0, 0x400000, 0)),
        elf(segment(1, 5, 1 << 63, 0x400000, 100)),
        elf(segment(3, 4, 0, 0, 1)),
        elf(segment(3, 4, 0, 0, 5000)),
        elf(segment(3, 4, 65, 0, 8), segment(1, 5, 0, 0x400000, 100)),
        elf(segment(3, 4, 1 << 40, 0, 8)),
    ],
)
def test_unsound_files_are_not_executables(program: Program) -> None:
    """ENOEXEC, before anything is touched."""
    with pytest.raises(ENOEXEC):
        prepare(program, b"/p", [b"p"], [], nothing, random=RANDOM)


def test_a_host_that_cannot_read(world: World) -> None:
    """An error of the file system in the middle of a header is ENOEXEC, at its first byte itself."""
    program = simple()
    head = program.pread(256, 0)
    program.broken = True
    with pytest.raises(ENOEXEC):
        read_elf(program, head)
    with pytest.raises(EIO):
        prepare(program, b"/p", [b"p"], [], nothing, random=RANDOM)
    assert len(world.mm.vmas) == 0


def test_interpreters_that_are_none() -> None:
    """A broken one is ELIBBAD, as is one that insists on an address; a span too large is ENOMEM."""
    program = elf(segment(3, 4, 200, 0, 8), segment(1, 5, 0, 0x400000, 4096))
    os.pwrite(program.fd, b"/ld.so\0\0", 200)
    for bad in (Program(b"#!/bin/sh"), Program(b""), simple()):
        with pytest.raises(ELIBBAD):
            prepare(program, b"/p", [b"p"], [], lambda _, it=bad: it, random=RANDOM)  # type: ignore[misc]
    wide = elf(segment(1, 5, 0, 0x400000, 100), segment(1, 5, 0, 0x6000_0000_0000, 100))
    with pytest.raises(ENOMEM):
        prepare(wide, b"/p", [b"p"], [], nothing, random=RANDOM)


def test_an_entry_outside_of_user_space() -> None:
    """It never reaches the registers."""
    world = World()
    program = elf(segment(6, 4, 0, (1 << 64) - 8, 8), segment(1, 5, 0, 0x400000, 4096), entry=(1 << 64) - 8)
    with pytest.raises(ENOEXEC):
        prepare(program, b"/p", [b"p"], [], nothing, random=RANDOM).map_into(world.mm)
    world.close()
    world = World()
    world.run(
        prepare(
            elf(segment(6, 4, 0, (1 << 64) - 8, 8), segment(1, 5, 0, 0, 4096), kind=3),
            b"/p",
            [],
            [],
            nothing,
            random=RANDOM,
        )
    )
    world.close()


def test_no_room_after_the_point_of_no_return() -> None:
    """A host that maps nothing: the error comes out, references balance."""
    world = World()
    image = prepare(simple(), b"/p", [b"p"], [], nothing, random=RANDOM)
    world.space.fail_at = 0
    with pytest.raises(ENOMEM):
        image.map_into(world.mm)
    world.close()


def test_each_version_of_a_file_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By identity; the cache is bounded."""
    program = simple()
    head = program.pread(256, 0)
    first = read_elf(program, head)
    program.broken = True
    assert read_elf(program, head) is first
    monkeypatch.setattr(elf_module, "_CACHE", 1)
    other = simple()
    assert read_interpreter(other) == first
    assert len(elf_module._parsed) == 1


SIMPLE = simple().pread(8192, 0)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_mutated_headers_load_or_are_refused(data: st.DataObject) -> None:
    """Whatever bytes a header has: LinuxError from prepare or map_into, or a program whose host view is consistent."""
    content = bytearray(Path("/bin/sh").read_bytes() if data.draw(st.booleans()) else SIMPLE)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(16, 64 + 13 * 56))
        size = data.draw(st.sampled_from([1, 2, 8]))
        value = data.draw(
            st.one_of(st.integers(0, 255), st.integers(0, (1 << 64) - 1), st.sampled_from([0x400000, 4096]))
        )
        content[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    world, first = World(), len(Program.opened)
    try:
        image = prepare(Program(bytes(content)), b"/p", [b"p"], [], host, random=RANDOM)
        assert isinstance(image.elf, Elf)
        image.map_into(world.mm)
        check(world.mm, world.space)
    except LinuxError:
        pass
    finally:
        world.close()
        Program.close_from(first)


def test_readme() -> None:
    """The README's example runs."""
    text = (Path(__file__).parent.parent / "README.md").read_text()
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102  (our own README)
    assert shutil.which("sh")
    assert PAGE_SIZE == 4096


def test_hardware_is_saved() -> None:
    """A kernel keeps it for later programs."""
    registry = Registry()
    register(registry)
    with Writer(file := io.BytesIO(), registry=registry) as writer:
        writer.save("hardware", host_hardware())
    assert Reader(io.BytesIO(file.getvalue()), registry=registry).load("hardware") == host_hardware()
