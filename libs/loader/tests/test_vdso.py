"""The vDSO: the code is what the source assembles to, and the host's own loader takes the image."""

import ctypes
import mmap
import subprocess
from pathlib import Path

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from sentry_loader import vdso

SOURCE = Path(vdso.__file__).with_name("vdso.S")


def test_code_is_the_source(tmp_path: Path) -> None:
    """`CODE` and the places of the functions are what the assembler makes of vdso.S."""
    made, code = tmp_path / "vdso.o", tmp_path / "vdso.bin"
    define = f"-Wa,--defsym,CODE_OFFSET={vdso.CODE_OFFSET}"
    subprocess.run(["gcc", "-c", "-x", "assembler", define, "-o", made, SOURCE], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", made, code], check=True)
    assert code.read_bytes() == vdso.CODE
    names = subprocess.run(["nm", made], check=True, capture_output=True, text=True).stdout
    places = {line.split()[2]: int(line.split()[0], 16) for line in names.splitlines()}
    assert {name: places[name] for name in vdso.SYMBOLS} == vdso.SYMBOLS


def test_image_reads_as_elf(tmp_path: Path) -> None:
    """Pyelftools finds name, symbols and segments."""
    path = tmp_path / "vdso.so"
    path.write_bytes(vdso.image())
    with path.open("rb") as file:
        elf = ELFFile(file)
        dynamic = next(s for s in elf.iter_segments() if isinstance(s, DynamicSegment))
        names_it = [str(vars(t)["soname"]) for t in dynamic.iter_tags("DT_SONAME")]
        assert names_it == ["linux-vdso.so.1"]
        names = {s.name for s in dynamic.iter_symbols()}
    assert {"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_getcpu", "clock_gettime"} <= names


def test_the_dynamic_linker_takes_it(tmp_path: Path) -> None:
    """Dlopen of the image finds a versioned symbol."""
    path = tmp_path / "vdso.so"
    path.write_bytes(vdso.image())
    library = ctypes.CDLL(str(path))
    assert library.__vdso_clock_gettime


def test_clock_code_computes_time() -> None:
    """With parameters in front of it, the code gives base plus cycles times mult, or asks the kernel."""
    pages = mmap.mmap(-1, 8192, prot=7)
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    pages[4096:8192] = vdso.image()
    offset = address + 4096 + vdso.CODE_OFFSET
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    gettime = kind(offset + vdso.SYMBOLS["clock_gettime"])
    out = (ctypes.c_int64 * 2)()
    # The counter is before its base: no cycles have passed.
    base_tsc = (1 << 63) - 1
    vdso.PARAMETERS.pack_into(pages, 0, 2, 1, base_tsc, 1 << 31, 7 * 10**9 + 5, 3 * 10**9 + 8)
    for clock, wanted in ((0, (7, 5)), (5, (7, 5)), (1, (3, 8)), (4, (3, 8)), (6, (3, 8)), (7, (3, 8))):
        assert gettime(clock, ctypes.addressof(out)) == 0
        assert tuple(out) == wanted, clock
    # Half a nanosecond per cycle from now on: time goes on.
    vdso.PARAMETERS.pack_into(pages, 0, 4, 1, 0, 1 << 31, 0, 0)
    times = []
    for _ in range(1000):
        gettime(1, ctypes.addressof(out))
        times.append(out[0] * 10**9 + out[1])
    assert times == sorted(times)
    assert times[-1] > times[0]
    # Not ready: the kernel is asked (the host's, here).
    vdso.PARAMETERS.pack_into(pages, 0, 6, 0, 0, 0, 0, 0)
    assert gettime(0, ctypes.addressof(out)) == 0
    assert out[0] > 1_700_000_000
    assert gettime(2, ctypes.addressof(out)) == 0, "CPU time is the kernel's to know"
    del gettime
