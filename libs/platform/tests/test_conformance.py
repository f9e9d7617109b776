"""What every platform does alike; the guests are a few bytes of machine code."""

import mmap
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from sentry_abi.errors import EAGAIN, EINVAL
from sentry_arch import initial_regs
from sentry_platform import (
    EVENT,
    FAULT_EXEC,
    FAULT_READ,
    FAULT_WRITE,
    AddressSpace,
    Context,
    EventKind,
    MapError,
    Op,
    Platform,
    open_platform,
)
from sentry_platform._notify import NotifyPlatform
from sentry_platform._ptrace import PtracePlatform
from sentry_platform._stubs import StubPlatform

CODE: Final = 0x400000
DATA: Final = 0x10000000
LIMIT_NS: Final = 10_000_000_000
IGNORED: Final = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("SigIgn"))

SYSCALLS: Final = bytes.fromhex("0f05 ebfc")  # 1: syscall; jmp 1b
COUNTING: Final = bytes.fromhex("4889df 0f05 48ffc3 ebf6")  # 1: mov rdi, rbx; syscall; inc rbx; jmp 1b
SPIN: Final = bytes.fromhex("ebfe")
STORE: Final = bytes.fromhex("48c7040500000010 01000000 0f05")  # mov qword [0x10000000], 1; syscall
LOAD: Final = bytes.fromhex("488b042500000010 0f05")  # mov rax, [0x10000000]; syscall
INT80: Final = bytes.fromhex("cd80 0f05")
UD2: Final = bytes.fromhex("0f0b")

SEGV_MAPERR: Final = 1
SEGV_ACCERR: Final = 2
PAGE_FAULT: Final = 14
PF_PRESENT: Final = 1
PF_WRITE: Final = 2
PF_USER: Final = 4
PF_INSTR: Final = 16


def words(text: str) -> tuple[str, ...]:
    """Split a text into its words."""
    return tuple(text.split())


# Instructions with their memory operand at [rdi], or at the stack's top.
READS: Final = words("""
    8b07 668b07 8a07 0307 3b07 3907 833f01 8507 f60701 f727 f737 ff37 ff17 ff27 58 c3 ae 8f07 6b0702
    0fa31f 0fba2701 0faf07 0fb607 0f1007 f30f1007 660f6f07 f30f7e07 660f6e07 0fae17 dd07 d92f df2f
    """)
WRITES: Final = words("""
    8907 668907 8807 8c07 c70701000000 c60701 aa 48ab f3aa 50 6a01 6801000000 e800000000 c8100000
    0107 0907 1107 1907 2107 2907 3107 830701 810701000000 800701 ff07 ff0f fe07 f717 f71f d127 c12702 d32f 8707 8607
    0fb10f f00fb10f f00fc107 0fab0f 0fb30f 0fba2f01 0fba3701 0fba3f01 0fc70f 480fc70f 0fc307 0f9407 0fa40701 0fad07
    0f1107 f30f1107 660f2907 0f1707 0f2b07 660fe707 660f7f07 f30f7f07 660f7e07 660fd607 0fae1f 0fae07
    dd1f dd17 d917 d93f d937 dd37 dd3f db1f df17 df37 df3f
    """)
READS_OF_EXTENSIONS: Final = words("c5f81007 c5f96f07 62f17c481007 c5f89007 0f38f007 f20f38f007 c4e27d5907")
WRITES_OF_EXTENSIONS: Final = words("""
    c5f81107 c5f92907 c5f97e07 c5f9d607 c5fa7f07 c5f92b07 c5f8ae1f c5f89107 0f38f107 0fae27 0fae37 0fc727
    c4e37d190701 c4e37d390701 c4e3791d0700 c4e379140700 660f3a160700 660f3a170700 660f3a140700 660f3a150700
    62f17c481107 62f27e483107 62f27d488a07 62f37d481b0701 62f37d483b0701
    """)


class Memory:
    """A memory file of 1 GiB and the view of its first megabyte."""

    def __init__(self) -> None:
        """Make it."""
        self.fd = os.memfd_create("sentry-test")
        self.kind = "memory"
        os.ftruncate(self.fd, 1 << 30)
        self.view = mmap.mmap(self.fd, 1 << 20)


class Event(NamedTuple):
    """An event, unpacked."""

    kind: int
    context: int
    nr: int
    args: tuple[int, ...]
    ip: int


class Rig:
    """A platform, memory, and the way to run code."""

    def __init__(self, platform: Platform) -> None:
        """Set up."""
        self.platform = platform
        self.memory = Memory()
        self.space: AddressSpace = platform.new_space()

    def code(self, code: bytes, addr: int = CODE, space: AddressSpace | None = None) -> None:
        """Put code into memory and map it."""
        self.memory.view[addr - CODE : addr - CODE + len(code)] = code
        (space or self.space).apply([Op("map", addr & -4096, 4096, 5, self.memory, addr - CODE & -4096)])  # type: ignore[arg-type]  # kind is a str here

    def context(self, entry: int = CODE, space: AddressSpace | None = None, **registers: int) -> Context:
        """Return a context that is ready to run."""
        context = self.platform.new_context(space or self.space)
        context.set_fpu(b"")
        regs = initial_regs(entry, 0)
        for name, value in registers.items():
            setattr(regs, name, value)
        context.set_regs(regs)
        return context

    def next(self, answer: int = -1, value: int = 0, limit_ns: int = LIMIT_NS) -> Event:
        """Answer and wait for an event, at most ten seconds."""
        kind = self.platform.next_event(answer, value, time.monotonic_ns() + limit_ns)
        fields = EVENT.unpack_from(self.platform.event)
        return Event(kind, fields[0], fields[1], fields[2:8], fields[8])


@pytest.fixture(params=["notify", "ptrace"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Give a rig on each platform; afterwards no child is left."""
    made = Rig(open_platform(request.param))
    yield made
    made.platform.close()
    made.memory.view.close()
    os.close(made.memory.fd)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    assert IGNORED in Path("/proc/self/status").read_text(), "signal dispositions are as before"


def test_calls_carry_number_and_arguments(rig: Rig) -> None:
    """A call arrives with all six arguments, and its answer in rax."""
    rig.code(SYSCALLS)
    context = rig.context(rax=999, rdi=1, rsi=2, rdx=3, r10=4, r8=5, r9=1 << 63)
    context.resume()
    event = rig.next()
    assert (event.kind, event.context, event.nr) == (EventKind.SYSCALL, context.index, 999)
    assert event.args == (1, 2, 3, 4, 5, 1 << 63)
    event = rig.next(context.index, 39)
    assert event.nr == 39
    assert rig.next(context.index, -38 & 0xFFFF_FFFF).nr == 0xFFFF_FFDA - (1 << 32)


def test_registers_survive_a_call(rig: Rig) -> None:
    """All but rax, rcx and r11 are as before; registers can be read and rewritten in the middle of a call."""
    rig.code(SYSCALLS)
    context = rig.context(rax=1, rbx=0x1234, r15=0xFFFF_0000_FFFF, rsp=0x5000, fs_base=0x7000, gs_base=0x8000)
    context.resume()
    rig.next()
    regs = context.regs()
    assert (regs.rbx, regs.r15, regs.rsp, regs.fs_base, regs.gs_base) == (
        0x1234,
        0xFFFF_0000_FFFF,
        0x5000,
        0x7000,
        0x8000,
    )
    assert regs.rip == CODE + 2
    regs.rax, regs.rdi = 77, 88
    context.set_regs(regs)
    context.resume()
    event = rig.next()
    assert (event.nr, event.args[0]) == (77, 88)


def test_fresh_context_shows_nothing_of_the_sentry(rig: Rig) -> None:
    """Before its first run a context has no register that it was not given, and cannot run without."""
    rig.code(SYSCALLS)
    bare = rig.platform.new_context(rig.space)
    bare.resume()  # refused: neither registers nor extended state have been written
    context = rig.context(rax=5)
    context.resume()
    event = rig.next()
    assert event.context == context.index
    wanted = initial_regs(CODE + 2, 0)
    regs = context.regs()
    for name in (
        "rbx",
        "rbp",
        "r12",
        "r13",
        "r14",
        "r15",
        "rdi",
        "rsi",
        "rdx",
        "r8",
        "r9",
        "r10",
        "fs_base",
        "gs_base",
    ):
        assert getattr(regs, name) == getattr(wanted, name), name
    area = context.fpu()
    assert int.from_bytes(area[24:28], "little") == 0x1F80
    assert not any(area[32:416]), "x87 and XMM registers are clear"


def test_fpu_round_trip(rig: Rig) -> None:
    """An extended state that is set is the one that is read; a damaged one is refused."""
    rig.code(SYSCALLS)
    context = rig.context(rax=1)
    context.resume()
    rig.next()
    area = bytearray(context.fpu())
    area[160:176] = bytes(range(16))  # xmm0
    area[512:520] = (3).to_bytes(8, "little")
    context.set_fpu(bytes(area))
    assert context.fpu() == bytes(area)
    area[512:520] = (1 << 62).to_bytes(8, "little")
    for damaged in (bytes(area), bytes(area[:-8]), bytes(area) + bytes(8)):
        with pytest.raises(EINVAL):
            context.set_fpu(damaged)


def test_extended_state_has_one_form(rig: Rig) -> None:
    """Its size is the platform's; it names its components, and holds nothing beyond them; AMX is not among them."""
    context = rig.context()
    area = context.fpu()
    assert len(area) == rig.platform.fpu_size >= 576
    components = int.from_bytes(area[464:472], "little")
    present = int.from_bytes(area[512:520], "little")
    assert components & 3 == 3
    assert not components & ~0x2E7
    assert not present & ~components
    assert not any(area[472:512] + area[520:576]), "not compacted, nothing of the host's"


def test_every_platform_has_the_same_form() -> None:
    """What one saves another can load."""
    first, second = open_platform("notify"), None
    size = first.fpu_size
    first.close()
    second = open_platform("ptrace")
    assert second.fpu_size == size
    second.close()


def test_fault_says_where(rig: Rig) -> None:
    """A read of nothing faults; after a map the same instruction succeeds."""
    rig.code(LOAD)
    context = rig.context()
    context.resume()
    event = rig.next()
    assert (event.kind, event.context, event.nr) == (EventKind.FAULT, context.index, signal.SIGSEGV)
    assert event.args == (DATA, SEGV_MAPERR, PAGE_FAULT, PF_USER, DATA, FAULT_READ)
    assert event.ip == CODE
    rig.memory.view[0x8000:0x8008] = (4711).to_bytes(8, "little")
    rig.space.apply([Op("map", DATA, 4096, FAULT_READ, rig.memory, 0x8000)])  # type: ignore[arg-type]
    assert rig.next(context.index).nr == 4711


def test_write_to_read_only_is_an_access_fault(rig: Rig) -> None:
    """Copy-on-write rests on it: SEGV_ACCERR, and after `protect` the store goes through to the file."""
    rig.code(STORE)
    rig.space.apply([Op("map", DATA, 4096, 1, rig.memory, 0x8000)])  # type: ignore[arg-type]
    context = rig.context()
    context.resume()
    event = rig.next()
    assert event.kind == EventKind.FAULT
    assert event.args == (DATA, SEGV_ACCERR, PAGE_FAULT, PF_USER | PF_WRITE | PF_PRESENT, DATA, FAULT_WRITE)
    rig.space.apply([Op("protect", DATA, 4096, 3)])
    assert rig.next(context.index).kind == EventKind.SYSCALL
    assert rig.memory.view[0x8000] == 1


def test_fork_copies_the_mappings(rig: Rig) -> None:
    """A forked space has the same mappings, and changes of one do not show in the other."""
    rig.code(LOAD)
    rig.space.apply([Op("map", DATA, 4096, 1, rig.memory, 0x8000)])  # type: ignore[arg-type]
    rig.memory.view[0x8000] = 42
    other = rig.space.fork()
    rig.space.apply([Op("unmap", DATA, 4096)])
    context = rig.context(space=other)
    context.resume()
    assert rig.next().nr == 42
    first = rig.context()
    first.resume()
    assert rig.next().kind == EventKind.FAULT


def test_large_batches(rig: Rig) -> None:
    """More operations than fit in one batch page; the index of a failing one is right, those before it are in force."""
    ops = [Op("map", DATA + i * 8192, 4096, 1, rig.memory, 0x8000) for i in range(200)]  # type: ignore[arg-type]
    rig.space.apply(ops)
    bad = Op("map", DATA + 1, 4096, 1, rig.memory, 0)  # type: ignore[arg-type]
    with pytest.raises(MapError) as caught:
        rig.space.apply([*ops[:130], bad, *ops[:5]])
    assert (caught.value.index, caught.value.errno) == (130, 22)


def released(rig: Rig) -> AddressSpace:
    """Return a space that is no more."""
    space = rig.platform.new_space()
    space.release()
    return space


def test_interrupt_gives_one_event(rig: Rig) -> None:
    """A spinning guest stops once per request, however often it is made."""
    rig.code(SPIN)
    context = rig.context()
    context.resume()
    for _ in range(20):
        for _ in range(3):
            context.interrupt()
        assert rig.next().kind == EventKind.INTERRUPTED
        assert context.regs().rip == CODE
        context.resume()
        assert rig.next(limit_ns=1_000_000).kind == EventKind.TIMEOUT


def test_calls_are_exactly_once_under_interrupts(rig: Rig) -> None:
    """Interrupts at random moments neither lose nor repeat a call (fuzzed)."""
    rig.code(COUNTING)
    context = rig.context(rax=1, rbx=0)
    context.resume()
    rng = random.Random(1)  # noqa: S311  (repeatable)
    answer, expected, interrupted = -1, 0, 0
    while expected < 5000:
        event = rig.next(answer, 1)
        answer = -1
        if event.kind == EventKind.INTERRUPTED:
            interrupted += 1
            context.resume()
        else:
            assert event.kind == EventKind.SYSCALL
            assert event.args[0] == expected
            expected += 1
            if rng.random() < 0.3:
                context.answer(1)
            elif rng.random() < 0.2:
                regs = context.regs()
                regs.rax = 1
                context.set_regs(regs)
                context.resume()
            else:
                answer = context.index
                continue
        if rng.random() < 0.5:
            for _ in range(rng.randrange(200)):
                pass
            context.interrupt()
    assert interrupted > 50


def test_foreign_entries(rig: Rig) -> None:
    """Calls of other tables are events of their own, answered like any call."""
    rig.code(INT80)
    context = rig.context(rax=20)
    context.resume()
    event = rig.next()
    assert (event.kind, event.nr) == (EventKind.FOREIGN, 20)
    event = rig.next(context.index, 39)  # goes on behind it, with the answer as the next call's number
    assert (event.kind, event.nr) == (EventKind.SYSCALL, 39)
    x32 = rig.context(entry=CODE + 2, rax=1 << 30 | 39)
    x32.resume()
    event = rig.next()
    assert (event.kind, event.nr) == (EventKind.FOREIGN, 1 << 30 | 39)


def test_vsyscalls_are_ordinary_calls(rig: Rig) -> None:
    """The vsyscall page's calls arrive as any other, return to their caller, and can be held in the middle."""
    rig.code(bytes.fromhex("ffd3 4889c7 0f05"))  # call rbx; mov rdi, rax; syscall
    rig.space.apply([Op("map", DATA, 4096, 3, rig.memory, 0x8000)])  # type: ignore[arg-type]
    context = rig.context(rbx=0xFFFF_FFFF_FF60_0400, rsp=DATA + 4096, rdi=7)  # time(2)
    context.resume()
    event = rig.next()
    assert (event.kind, event.nr, event.args[0]) == (EventKind.SYSCALL, 201, 7)
    event = rig.next(context.index, 1234)
    assert (event.kind, event.nr, event.args[0]) == (EventKind.SYSCALL, 1234, 1234)
    other = rig.context(rbx=0xFFFF_FFFF_FF60_0400, rsp=DATA + 4096, rdi=7)
    other.resume()
    assert rig.next().nr == 201
    regs = other.regs()
    assert (regs.rip, regs.rsp) == (CODE + 2, DATA + 4096)
    regs.set_return_value(55)
    other.set_regs(regs)
    other.resume()
    assert rig.next().nr == 55


@pytest.mark.parametrize(
    ("code", "signo", "si_code", "addr", "vector", "error"),
    [
        ("0f0b", signal.SIGILL, 2, CODE, 6, 0),  # ud2
        ("cc", signal.SIGTRAP, 128, 0, 3, 0),  # int3
        ("31c9 31d2 f7f1", signal.SIGFPE, 1, CODE + 4, 0, 0),  # div ecx
        ("f4", signal.SIGSEGV, 128, 0, 13, 0),  # hlt
        ("cd81", signal.SIGSEGV, 128, 0, 13, 0x40A),  # int 0x81
        ("6840030000 d92c24 d9e8 d9ee def9 9b", signal.SIGFPE, 3, CODE + 14, 16, 0),  # fldcw; fld1; fldz; fdivp; fwait
        ("68001f0000 0fae1424 0f57c0 0f57c9 f3 0f5ec1", signal.SIGFPE, 7, CODE + 15, 19, 0),  # ldmxcsr; divss of 0 by 0
    ],
)
def test_trap(rig: Rig, code: str, signo: int, si_code: int, addr: int, vector: int, error: int) -> None:
    """An exception that is no page fault carries signal, code, address, vector and error code."""
    rig.code(bytes.fromhex(code))
    rig.space.apply([Op("map", DATA, 4096, 3, rig.memory, 0x8000)])  # type: ignore[arg-type]
    context = rig.context(rsp=DATA + 4096)
    context.resume()
    event = rig.next()
    assert (event.kind, event.context, event.nr) == (EventKind.TRAP, context.index, signo)
    assert event.args == (addr, si_code, vector, error, 0, 0)


def access_of(rig: Rig, code: str) -> int | None:
    """Run an instruction that accesses [rdi], where nothing is mapped; return the access, None if this CPU lacks it."""
    rig.code(bytes.fromhex(code) + UD2)
    context = rig.context(rdi=DATA, rsp=DATA + 0x800, rcx=1)
    context.resume()
    event = rig.next()
    context.release()
    if event.kind == EventKind.TRAP and event.nr == signal.SIGILL and event.ip == CODE:
        return None
    assert (event.kind, event.args[0] & -4096) == (EventKind.FAULT, DATA), code
    assert event.args[3] == (PF_USER | PF_WRITE if event.args[5] == FAULT_WRITE else PF_USER), code
    return event.args[5]


def test_reads_and_writes_are_distinguished(rig: Rig) -> None:
    """The access of a fault at an unmapped address is what the instruction does; all of them are of the base set."""
    assert {code: access_of(rig, code) for code in READS} == dict.fromkeys(READS, FAULT_READ)
    assert {code: access_of(rig, code) for code in WRITES} == dict.fromkeys(WRITES, FAULT_WRITE)


def test_accesses_of_extensions(rig: Rig) -> None:
    """The same of instructions that not every CPU has."""
    assert {access_of(rig, code) for code in READS_OF_EXTENSIONS} <= {FAULT_READ, None}
    assert {access_of(rig, code) for code in WRITES_OF_EXTENSIONS} <= {FAULT_WRITE, None}


def test_fetches(rig: Rig) -> None:
    """A jump to nothing, to data, and code that runs off its page are accesses of FAULT_EXEC."""
    context = rig.context(entry=DATA)
    context.resume()
    event = rig.next()
    assert event.args == (DATA, SEGV_MAPERR, PAGE_FAULT, PF_USER | PF_INSTR, DATA, FAULT_EXEC)
    rig.space.apply([Op("map", DATA, 4096, 3, rig.memory, 0x8000)])  # type: ignore[arg-type]
    context.resume()
    event = rig.next()
    assert event.args == (DATA, SEGV_ACCERR, PAGE_FAULT, PF_USER | PF_INSTR | PF_PRESENT, DATA, FAULT_EXEC)
    rig.code(b"\x0f", CODE + 4095)
    other = rig.context(entry=CODE + 4095)
    other.resume()
    event = rig.next()
    assert event.args == (CODE + 4096, SEGV_MAPERR, PAGE_FAULT, PF_USER | PF_INSTR, CODE + 4096, FAULT_EXEC)
    rig.space.apply([Op("map", CODE + 4096, 4096, 3, rig.memory, 0x8000)])  # type: ignore[arg-type]
    other.resume()
    event = rig.next()
    assert event.args[1:4] == (SEGV_ACCERR, PAGE_FAULT, PF_USER | PF_INSTR | PF_PRESENT)
    assert event.args[5] == FAULT_EXEC


def test_an_operand_in_a_page_that_is_no_code(rig: Rig) -> None:
    """A fetch that lacks only its operand is one, where the page can be read and the instruction does not write."""
    rig.code(b"\xb8", CODE + 4095)  # mov eax, number
    rig.space.apply([Op("map", CODE + 4096, 4096, 1, rig.memory, 0x8000)])  # type: ignore[arg-type]
    context = rig.context(entry=CODE + 4095)
    context.resume()
    event = rig.next()
    assert event.args[1:4] == (SEGV_ACCERR, PAGE_FAULT, PF_USER | PF_INSTR | PF_PRESENT)
    assert event.args[5] == FAULT_EXEC


def test_code_at_the_end_of_its_page(rig: Rig) -> None:
    """A store to the next page, which the instruction itself could reach into, is a read while that is unmapped."""
    rig.code(bytes.fromhex("8907"), CODE + 4094)  # mov [rdi], eax
    context = rig.context(entry=CODE + 4094, rdi=CODE + 4096)
    context.resume()
    event = rig.next()
    assert event.args == (CODE + 4096, SEGV_MAPERR, PAGE_FAULT, PF_USER, CODE + 4096, FAULT_READ)
    rig.space.apply([Op("map", CODE + 4096, 4096, 1, rig.memory, 0x8000)])  # type: ignore[arg-type]
    context.resume()
    event = rig.next()
    assert event.args[1:4] == (SEGV_ACCERR, PAGE_FAULT, PF_USER | PF_WRITE | PF_PRESENT)
    rig.space.apply([Op("protect", CODE + 4096, 4096, 3)])
    context.resume()
    assert rig.next().args[5] == FAULT_EXEC, "then the code runs on into the page"


def test_faults_beyond_the_file(rig: Rig) -> None:
    """A page behind the end of its file is a FAULT with SIGBUS, a read or a write as the instruction says."""
    rig.space.apply([Op("map", DATA, 4096, 3, rig.memory, 1 << 30)])  # type: ignore[arg-type]
    for code, access, error in ((LOAD, FAULT_READ, PF_USER), (STORE, FAULT_WRITE, PF_USER | PF_WRITE)):
        rig.code(code)
        context = rig.context()
        context.resume()
        event = rig.next()
        assert (event.kind, event.nr) == (EventKind.FAULT, signal.SIGBUS)
        assert event.args == (DATA, 2, PAGE_FAULT, error, DATA, access)


def test_the_platform_own_pages_are_no_secret_of_the_guest(rig: Rig) -> None:
    """A write to the stub faults as one to an address where nothing is mapped."""
    rig.code(bytes.fromhex("48893f"))  # mov [rdi], rdi
    context = rig.context(rdi=0x7FFF_FFFF_0000)
    context.resume()
    assert rig.next().args[1:4] == (SEGV_MAPERR, PAGE_FAULT, PF_USER | PF_WRITE)


def test_threads_of_one_space(rig: Rig) -> None:
    """Eight threads run at once, each with its own events."""
    rig.code(COUNTING)
    contexts = {}
    for i in range(8):
        context = rig.context(rax=1, rbx=i << 32)
        contexts[context.index] = i
        context.resume()
    seen = dict.fromkeys(contexts, 0)
    answer = -1
    for _ in range(2000):
        event = rig.next(answer, 1)
        assert event.args[0] == contexts[event.context] << 32 | seen[event.context]
        seen[event.context] += 1
        answer = event.context
    assert all(seen.values())


def test_death_from_outside(rig: Rig) -> None:
    """A stub that the host kills is GONE, once, and the platform goes on."""
    rig.code(SPIN)
    victim = rig.context()
    victim.resume()
    assert isinstance(rig.platform, StubPlatform)
    tid = rig.platform.host_tid(victim)
    os.kill(tid, signal.SIGKILL)
    event = rig.next()
    assert (event.kind, event.context) == (EventKind.GONE, victim.index)
    victim.release()
    other = rig.context()
    other.resume()
    other.interrupt()
    assert rig.next().kind == EventKind.INTERRUPTED


def test_halt_stops_at_once(rig: Rig) -> None:
    """After `halt` a thread executes nothing any more."""
    rig.code(bytes.fromhex("48ff0425 00000010 ebf6"))  # 1: inc qword [DATA]; jmp 1b
    rig.space.apply([Op("map", DATA, 4096, 3, rig.memory, 0x8000)])  # type: ignore[arg-type]
    context = rig.context()
    context.resume()
    time.sleep(0.01)
    context.halt()
    before = bytes(rig.memory.view[0x8000:0x8008])
    time.sleep(0.01)
    assert before == bytes(rig.memory.view[0x8000:0x8008]) != bytes(8)
    context.release()


def test_bind_moves_to_another_space(rig: Rig) -> None:
    """Execve into a new space: the old thread is gone, the context lives on with its index and CPU time."""
    rig.code(SPIN + SYSCALLS)
    context = rig.context(rax=1)
    index = context.index
    context.resume()
    time.sleep(0.02)
    context.interrupt()
    rig.next()
    used = context.cpu_time_ns()
    assert used > 5_000_000
    for nr in range(2, 6):
        space = rig.platform.new_space()
        rig.code(SYSCALLS, 0x480000, space)
        context.bind(space)
        context.resume()  # refused: nothing has been set yet
        assert not context.running()
        context.set_fpu(b"")
        regs = initial_regs(0x480000, 0)
        regs.rax = nr
        context.set_regs(regs)
        context.resume()
        event = rig.next()
        assert (event.context, event.nr, context.index) == (index, nr, index)
        assert used <= context.cpu_time_ns() < used + 1_000_000_000
    context.halt()
    assert context.cpu_time_ns() >= used
    context.release()
    with pytest.raises(EAGAIN):
        rig.context().bind(released(rig))


def test_wake_watch_and_timeout(rig: Rig) -> None:
    """The wait ends for kicks, for descriptors once per watch, for deadlines, for signals of the host."""
    start = time.monotonic()
    assert rig.next(limit_ns=5_000_000).kind == EventKind.TIMEOUT
    assert time.monotonic() - start >= 0.005
    rig.platform.wake(5)
    event = rig.next()
    assert (event.kind, event.args[1]) == (EventKind.WAKE, 5)
    ours, theirs = os.pipe()
    assert rig.platform.watch(ours, 1)
    os.write(theirs, b"x")
    event = rig.next()
    assert (event.kind, event.nr, event.args[0]) == (EventKind.FD, ours, 1)
    assert rig.next(limit_ns=5_000_000).kind == EventKind.TIMEOUT
    rig.platform.unwatch(ours)
    os.close(ours)
    os.close(theirs)
    with open(__file__, "rb") as file:  # noqa: PTH123  (a descriptor is wanted)
        assert not rig.platform.watch(file.fileno(), 1), "a regular file is always ready"
    before = signal.getsignal(signal.SIGUSR1)
    rig.platform.catch(signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    event = rig.next()
    assert (event.kind, event.args[0]) == (EventKind.WAKE, 1 << signal.SIGUSR1 - 1)
    signal.signal(signal.SIGUSR1, before)


def test_a_thousand_births(rig: Rig) -> None:
    """Spaces and threads come and go without leaving anything."""
    rig.code(SYSCALLS)
    for _ in range(100):
        space = rig.space.fork()
        context = rig.context(rax=3, space=space)
        context.resume()
        assert rig.next().nr == 3
        context.release()
        space.release()
    rig.next(limit_ns=20_000_000)
    with open(f"/proc/self/task/{os.getpid()}/children", "rb") as children:  # noqa: PTH123  (hot enough)
        assert len(children.read().split()) < 10


def test_cpu_time_and_resident_size(rig: Rig) -> None:
    """A spinning guest's CPU time grows; a space's resident size is what is mapped and touched."""
    rig.code(SPIN)
    context = rig.context()
    context.resume()
    time.sleep(0.03)
    context.interrupt()
    rig.next()
    assert 5_000_000 < context.cpu_time_ns() < 1_000_000_000
    assert rig.space.resident_bytes() < 1 << 20


def test_refusals_are_one_line() -> None:
    """Whatever the host refuses, a platform explains it in one line."""
    for platform in (NotifyPlatform, PtracePlatform):
        assert "\n" not in platform.explain(1) + platform.explain(22) + platform.explain(16) + platform.explain(12)
