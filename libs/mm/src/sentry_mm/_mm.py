"""What an address space is: its VMAs, the memory behind them, its accounts. Linux: struct mm_struct.

The operations are functions of an `MMState` in the other modules; `MemoryManager` has them as methods.
"""

from typing import TYPE_CHECKING

from sentry_mm._sorted import Sorted

if TYPE_CHECKING:
    from sentry_futex import Manager
    from sentry_mm._limits import Limits
    from sentry_mm._mappable import Counted, Mappable, Pages
    from sentry_mm._pma import Pma
    from sentry_mm._vma import Vma
    from sentry_pgalloc import MemoryFile
    from sentry_platform import AddressSpace, Op


class MMState:
    """The data of one address space.

    VMAs and PMAs are cut independently: mprotect cuts no PMA, copy-on-write cuts no VMA. A VMA without a PMA under it
    is PROT_NONE memory that was never used, or lies beyond the end of its file.
    """

    __slots__ = (
        "arg_end",
        "arg_start",
        "auxv",
        "batch",
        "brk_end",
        "brk_start",
        "code_end",
        "code_start",
        "cow_end",
        "cow_size",
        "data_bytes",
        "data_end",
        "data_start",
        "def_flags",
        "dropped",
        "env_end",
        "env_start",
        "exe",
        "futexes",
        "limits",
        "locked_bytes",
        "memory",
        "mmap_base",
        "pmas",
        "read_pages",
        "search_from",
        "skipped_hole",
        "space",
        "spurious",
        "stack_bytes",
        "stack_start",
        "total_bytes",
        "users",
        "view",
        "vmas",
        "write_pages",
    )

    def __init__(self, space: "AddressSpace", memory: "MemoryFile", limits: "Limits", futexes: "Manager") -> None:
        """Begin with nothing mapped and one user."""
        self.futexes = futexes
        self.space = space
        self.memory = memory
        self.limits = limits
        self.users = 1
        """Tasks, and others that look at it. Linux: mm_users."""
        self.vmas: Sorted[Vma] = Sorted()
        self.pmas: Sorted[Pma] = Sorted()
        self.view = memory.view
        self.batch: list[Op] | None = None
        """Operations that `commit` will do; None outside of a batch."""
        self.dropped: list[tuple[Pages, int, int]] = []
        """References (backing, offset, length) to drop once the batch is done."""
        # page number -> (offset in the memory file minus address, end address of the piece)
        self.read_pages: dict[int, tuple[int, int]] = {}
        self.write_pages: dict[int, tuple[int, int]] = {}
        self.cow_end = self.cow_size = 0
        """Where the last copy of a write fault ended, and its size: it doubles while faults follow each other."""
        self.spurious = (0, 0)
        """Address of the last fault without a cause, and how often it came again."""
        self.mmap_base = self.search_from = self.skipped_hole = 0
        self.clear_accounts()

    def clear_accounts(self) -> None:
        """Reset the accounts and the addresses of the program, for a new program. The layout is the caller's."""
        self.total_bytes = self.data_bytes = self.stack_bytes = self.locked_bytes = 0
        self.def_flags = 0
        """Flags of new VMAs (mlockall)."""
        self.brk_start = self.brk_end = self.stack_start = 0
        self.code_start = self.code_end = self.data_start = self.data_end = 0
        self.arg_start = self.arg_end = self.env_start = self.env_end = 0
        self.auxv = b""
        self.exe: Counted | None = None
        """The place of the program (mm_exe_file); its setter passes one reference on."""

    def vmas_of(self, file: "Mappable") -> int:
        """Return how many VMAs map file."""
        return sum(vma.file is file for vma in self.vmas.items)

    def invalidate(self, file: "Mappable", from_offset: int) -> None:
        """Unmap the pages of file from from_offset on. Abstract: `MemoryManager` has the function."""
        raise NotImplementedError
