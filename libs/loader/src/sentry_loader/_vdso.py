"""The vDSO: clock calls that a program makes without the kernel, from a page of parameters that the kernel updates.

The image is an ELF shared object in one page, built once per kernel; its code is `vdso.S`, assembled. In front of it
lies the parameter page; both are mapped into every program and found through AT_SYSINFO_EHDR. Until the parameters are
ready, and for clocks that they do not cover, the code makes the call.

Sources: vdso(7), Linux arch/x86/entry/vdso (names, version LINUX_2.6, soname); elf(5).
"""

from struct import Struct, pack
from typing import Final

CODE: Final = bytes.fromhex(
    "83ff077733b8d20000000fa3f87212b8210000000fa3f8731f41ba18000000eb0641ba20000000e86e000000720a4889"
    "064889560831c0c3b8e40000000f05c34885f675274885ff742241ba18000000e845000000721548890789d031d2b9e8"
    "030000f7f14889470831c0c3b8600000000f05c341ba18000000e81b00000072094885ff7403488907c3b8c90000000f"
    "05c3b8350100000f05c34c8d055febffff458b0841f6c1017539418378040074360faee80f3148c1e2204809d0492b40"
    "08730231c049f76010480facd0204b030410453b0875ca31d2b900ca9a3b48f7f1f8c3f390ebbaf9c3"
)
"""What `vdso.S` assembles to with CODE_OFFSET as below."""
CODE_OFFSET: Final = 1024
SYMBOLS: Final = {"clock_gettime": 0x00, "gettimeofday": 0x40, "time": 0x74, "getcpu": 0x92}
"""Where the functions begin in CODE."""

PARAMETERS: Final = Struct("=IIQQQQ")
"""The parameter page.

Sequence, ready, base_tsc, mult (ns per cycle, 32.32), base of the real time, base of the monotonic time.
"""

SONAME: Final = b"linux-vdso.so.1"
VERSION: Final = b"LINUX_2.6"

_PT_LOAD: Final = 1
_PT_DYNAMIC: Final = 2
_R: Final = 4
_RX: Final = 5
_FUNC_GLOBAL: Final = 0x12
_FUNC_WEAK: Final = 0x22


def elf_hash(name: bytes) -> int:
    """Return the hash of the System V ABI."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF000_0000
        value = (value ^ high >> 24) & ~high
    return value


def image() -> bytes:
    """Return the vDSO, one page."""
    strings = bytearray(b"\0")

    def string(text: bytes) -> int:
        at = len(strings)
        strings.extend(text + b"\0")
        return at

    soname, version = string(SONAME), string(VERSION)
    names = [(f"__vdso_{name}".encode(), at, _FUNC_GLOBAL) for name, at in SYMBOLS.items()]
    names += [(name.encode(), at, _FUNC_WEAK) for name, at in SYMBOLS.items()]
    symbols = bytes(24) + b"".join(
        pack("=IBBHQQ", string(name), kind, 0, 1, CODE_OFFSET + at, 0) for name, at, kind in names
    )
    count = len(names) + 1
    # One bucket, and a chain through all symbols.
    table = pack(f"={3 + count}I", 1, count, 1, *[0, *range(2, count), 0])
    versions = pack(f"={count}H", 0, *[2] * len(names))
    definitions = pack("=HHHHIIIII", 1, 1, 1, 1, elf_hash(SONAME), 20, 28, soname, 0)
    definitions += pack("=HHHHIIIII", 1, 0, 2, 1, elf_hash(VERSION), 20, 0, version, 0)

    parts: dict[str, int] = {}
    body = bytearray(64 + 2 * 56)
    for name, data in (
        ("symbols", symbols),
        ("hash", table),
        ("strings", bytes(strings)),
        ("versions", versions),
        ("definitions", definitions),
    ):
        body.extend(bytes(-len(body) % 8))
        parts[name] = len(body)
        body.extend(data)
    body.extend(bytes(-len(body) % 8))
    parts["dynamic"] = len(body)
    dynamic = (
        (14, soname),
        (4, parts["hash"]),
        (6, parts["symbols"]),
        (5, parts["strings"]),
        (10, len(strings)),
        (11, 24),
        (0x6FFF_FFF0, parts["versions"]),
        (0x6FFF_FFFC, parts["definitions"]),
        (0x6FFF_FFFD, 2),
        (0, 0),
    )
    body.extend(b"".join(pack("=QQ", tag, value) for tag, value in dynamic))
    dynamic_size = len(dynamic) * 16
    body.extend(bytes(CODE_OFFSET - len(body)))
    body.extend(CODE)
    size = len(body)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += pack("=HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    header += pack("=IIQQQQQQ", _PT_LOAD, _RX, 0, 0, 0, size, size, 4096)
    header += pack("=IIQQQQQQ", _PT_DYNAMIC, _R, *[parts["dynamic"]] * 3, dynamic_size, dynamic_size, 8)
    body[: len(header)] = header
    return bytes(body).ljust(4096, b"\0")
