"""From a file to a ready address space, in two steps; the point of no return of execve lies between them.

`prepare` reads and checks everything: scripts, headers, interpreter, sizes of the arguments. It touches no address
space, so that a failing execve leaves the caller as it was. `Image.map_into` then maps all in one apply.

Sources: Linux fs/exec.c, fs/binfmt_elf.c load_elf_binary, fs/binfmt_script.c, arch/x86/kernel/process.c
arch_randomize_brk (6.1).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry_abi import elf as abi
from sentry_abi.errors import ELIBBAD, ELOOP, ENOENT, ENOEXEC, ENOMEM
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_down, page_up
from sentry_abi.mman import MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE
from sentry_loader._elf import Elf, read_elf, read_interpreter
from sentry_loader._script import LINE, parse_script
from sentry_loader._stack import build_stack, check_arguments

if TYPE_CHECKING:
    from sentry_loader._file import ExecFile
    from sentry_mm import Mappable, MemoryManager

_MAX_DEPTH: Final = 5
_PIE_BASE: Final = page_down(TASK_SIZE // 3 * 2)
_COMM: Final = 15
_MASK: Final = (1 << 64) - 1


class Hardware(NamedTuple):
    """What the auxiliary vector says of the machine."""

    hwcap: int
    hwcap2: int
    minsigstksz: int


class Ids(NamedTuple):
    """Ids for the auxiliary vector, as the new program's user namespace shows them."""

    uid: int = 0
    euid: int = 0
    gid: int = 0
    egid: int = 0
    secure: bool = False


class LoadedImage(NamedTuple):
    """What the new program starts with."""

    entry: int
    stack_pointer: int
    comm: bytes
    exe: "ExecFile"


def host_hardware() -> Hardware:
    """Return what the auxiliary vector of this process says: guest code runs on the same CPU.

    Without /proc: no capabilities, and the smallest signal stack that Linux promises.
    """
    found = {}
    try:
        with open("/proc/self/auxv", "rb") as file:  # noqa: PTH123  (pathlib is an import more)
            data = file.read(4096)
    except OSError:
        data = b""
    for at in range(0, len(data) - 15, 16):
        found[int.from_bytes(data[at : at + 8], "little")] = int.from_bytes(data[at + 8 : at + 16], "little")
    return Hardware(found.get(abi.AT_HWCAP, 0), found.get(abi.AT_HWCAP2, 0), found.get(abi.AT_MINSIGSTKSZ, 2048))


class Image:
    """A program that has been checked and can be mapped."""

    __slots__ = (
        "argv",
        "elf",
        "envp",
        "exe",
        "extra_auxv",
        "hardware",
        "ids",
        "interpreter",
        "interpreter_file",
        "path",
        "random",
        "vdso",
    )

    def __init__(self, exe: "ExecFile", elf: Elf, path: bytes, argv: Sequence[bytes], envp: Sequence[bytes]) -> None:
        """Store the parts; `prepare` fills in the rest."""
        self.exe = exe
        self.elf = elf
        self.path = path
        self.argv = argv
        self.envp = envp
        self.interpreter: Elf | None = None
        self.interpreter_file: ExecFile | None = None
        self.ids = Ids()
        self.hardware = Hardware(0, 0, 2048)
        self.random = b""
        self.extra_auxv: tuple[tuple[int, int], ...] = ()
        """Entries of the auxiliary vector besides those of the loader."""
        self.vdso: Mappable | None = None
        """Two pages, parameters and image; mapped into the program if given."""

    @property
    def comm(self) -> bytes:
        """The task's new name: last component of the path that was executed, cut to 15 bytes."""
        return self.path.rsplit(b"/", 1)[-1][:_COMM]

    def _number(self, index: int, bits: int) -> int:
        """Return random number `index`, bits long; 0 without randomness."""
        return int.from_bytes(self.random[16 + 8 * index : 24 + 8 * index], "little") & ((1 << bits) - 1)

    def map_into(self, mm: "MemoryManager") -> LoadedImage:
        """Map everything and write the stack in one apply, together with an open batch (`mm.reset`).

        Raises: LinuxError; the address space is then useless and its process must be killed.
        """
        if mm.batch is None:
            mm.begin()
        loaded = self._map(mm)
        mm.commit()
        return loaded

    def _map(self, mm: "MemoryManager") -> LoadedImage:
        elf = self.elf
        mm.set_layout(16 << 30, self._number(0, 28))
        stack_top = TASK_SIZE - (self._number(1, 22) << 12)
        mm.stack_start = stack_top - 8
        mm.map_stack(stack_top, executable=elf.executable_stack)
        bias = self._bias(mm, elf)
        self._map_segments(mm, self.exe, elf, bias)
        entry = elf.entry + bias
        base = 0
        if self.interpreter is not None and self.interpreter_file is not None:
            base = mm.find_free(self.interpreter.high - self.interpreter.low) - self.interpreter.low
            self._map_segments(mm, self.interpreter_file, self.interpreter, base)
            entry = self.interpreter.entry + base
        if entry >= TASK_SIZE:
            raise ENOEXEC  # not an address of user space: it must not get into the registers
        self._set_brk(mm, bias)
        vdso = self._map_vdso(mm)
        pointer = self._write_stack(mm, stack_top, bias, base, vdso)
        return LoadedImage(entry, pointer, self.comm, self.exe)

    def _bias(self, mm: "MemoryManager", elf: Elf) -> int:
        """Return what is added to the addresses of the program itself."""
        if elf.fixed:
            return 0
        if self.interpreter is None:
            base = mm.find_free(elf.high - elf.low + elf.align - PAGE_SIZE)
            return ((base + elf.align - 1) & -elf.align) - elf.low
        base = _PIE_BASE + (self._number(2, 28) << 12)
        return (base & -elf.align) - elf.low

    @staticmethod
    def _map_segments(mm: "MemoryManager", file: "ExecFile", elf: Elf, bias: int) -> None:
        """Map the segments of a file. Raises: LinuxError."""
        mappable = file.mappable()
        name = file.where
        for prot, offset, addr, file_size, size in elf.segments:
            start = page_down(addr + bias)
            file_end = addr + bias + file_size
            end = page_up(addr + bias + size)
            middle = page_up(file_end) if file_size else start
            if middle > start:
                mm.mmap(start, middle - start, prot, MAP_FIXED | MAP_PRIVATE, mappable, page_down(offset), name=name)
                if prot & PROT_WRITE and file_end < middle and size > file_size:
                    mm.zero_out(file_end, middle - file_end)
            if end > middle:
                mm.mmap(middle, end - middle, prot, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS)

    def _map_vdso(self, mm: "MemoryManager") -> int:
        """Map parameter page and vDSO; return the address of the vDSO, 0 without one."""
        if self.vdso is None:
            return 0
        start = mm.find_free(2 * PAGE_SIZE)
        mm.mmap(start, PAGE_SIZE, PROT_READ, MAP_FIXED | MAP_SHARED, self.vdso, 0, max_prot=PROT_READ, name=b"[vvar]")
        mm.mmap(
            start + PAGE_SIZE,
            PAGE_SIZE,
            PROT_READ | PROT_EXEC,
            MAP_FIXED | MAP_PRIVATE,
            self.vdso,
            PAGE_SIZE,
            name=b"[vdso]",
        )
        return start + PAGE_SIZE

    def _set_brk(self, mm: "MemoryManager", bias: int) -> None:
        elf = self.elf
        code = [x for x in elf.segments if x.prot & 4] or elf.segments
        data = elf.segments[-1]
        mm.code_start = min(x.addr for x in elf.segments) + bias
        mm.code_end = max(x.addr + x.file_size for x in code) + bias
        mm.data_start = data.addr + bias
        mm.data_end = data.addr + data.file_size + bias
        start = elf.high + bias
        if not elf.fixed and self.interpreter is None:
            start = _PIE_BASE  # an interpreter run directly lies among mappings, where a heap could not grow
        mm.brk_start = mm.brk_end = start + (self._number(3, 13) << 12)

    def _write_stack(self, mm: "MemoryManager", top: int, bias: int, base: int, vdso: int) -> int:
        elf, ids = self.elf, self.ids
        auxv = [(abi.AT_SYSINFO_EHDR, vdso)] if vdso else []
        auxv += [
            (abi.AT_MINSIGSTKSZ, self.hardware.minsigstksz),
            (abi.AT_HWCAP, self.hardware.hwcap),
            (abi.AT_PAGESZ, PAGE_SIZE),
            (abi.AT_CLKTCK, 100),
            (abi.AT_PHDR, (elf.table_addr + bias) & _MASK),
            (abi.AT_PHENT, 56),
            (abi.AT_PHNUM, elf.table_count),
            (abi.AT_BASE, base),
            (abi.AT_FLAGS, 0),
            (abi.AT_ENTRY, (elf.entry + bias) & _MASK),
            (abi.AT_UID, ids.uid),
            (abi.AT_EUID, ids.euid),
            (abi.AT_GID, ids.gid),
            (abi.AT_EGID, ids.egid),
            (abi.AT_SECURE, int(ids.secure)),
            (abi.AT_HWCAP2, self.hardware.hwcap2),
            *self.extra_auxv,
        ]
        image = build_stack(top, self.argv, self.envp, self.path, self.random[:16], self._number(4, 13), auxv)
        mm.copy_out(image.pointer, image.data)
        mm.stack_start = image.pointer
        mm.arg_start, mm.arg_end = image.arg_start, image.arg_end
        mm.env_start, mm.env_end = image.env_start, image.env_end
        mm.auxv = image.auxv
        return image.pointer


def prepare(
    file: "ExecFile",
    path: bytes,
    argv: Sequence[bytes],
    envp: Sequence[bytes],
    open_exec: "Callable[[bytes], ExecFile]",
    *,
    random: bytes,
    ids: Ids | None = None,
    hardware: Hardware | None = None,
    stack_limit: int = 8 << 20,
    path_inaccessible: bool = False,
    vdso: "Mappable | None" = None,
    extra_auxv: Sequence[tuple[int, int]] = (),
) -> Image:
    """Check a program and its interpreters; return what can be mapped.

    path: what execve was given; it becomes AT_EXECFN, the task's name, and an argument of a script's interpreter.
    open_exec: opens an interpreter as execve opens a program, with its errors. stack_limit: soft RLIMIT_STACK, bytes.
    random: 56 bytes of randomness for addresses and AT_RANDOM. path_inaccessible: path names a descriptor that execve
    closes, so that no script can be run by it. extra_auxv: entries of the auxiliary vector besides the loader's own.
    Raises: ENOEXEC, ELIBBAD, ELOOP, E2BIG, ENOENT, and what open_exec raises.
    """
    arguments = list(argv) or [b""]
    check_arguments(arguments, envp, path, stack_limit)
    script = path
    for _ in range(_MAX_DEPTH + 1):
        head = bytes(file.pread(LINE, 0))
        if not head.startswith(b"#!"):
            break
        name, argument = parse_script(head)
        if path_inaccessible:
            raise ENOENT
        arguments[:1] = [name, script] if argument is None else [name, argument, script]
        check_arguments(arguments, envp, path, stack_limit)
        script = name
        file = open_exec(name)
    else:
        raise ELOOP
    image = Image(file, read_elf(file, head), path, arguments, envp)
    if image.elf.interpreter:
        image.interpreter_file = open_exec(image.elf.interpreter)
        image.interpreter = read_interpreter(image.interpreter_file)
    _check_fit(image)
    image.vdso = vdso
    image.extra_auxv = tuple(extra_auxv)
    image.ids = ids or Ids()
    image.hardware = host_hardware() if hardware is None else hardware
    image.random = random
    return image


def _check_fit(image: Image) -> None:
    """Refuse addresses that no address space has. Raises: ENOEXEC, ENOMEM, ELIBBAD."""
    elf = image.elf
    if elf.high - elf.low > TASK_SIZE >> 2:
        raise ENOMEM
    if elf.fixed and elf.low < 65536:
        raise ENOEXEC
    if image.interpreter is not None and image.interpreter.fixed:
        raise ELIBBAD
