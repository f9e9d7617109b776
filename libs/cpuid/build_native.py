"""Build this library's native part: `_native/*.c` becomes the module `_native._lib` (cffi, API mode).

All `*.cdef.h` declare what Python sees, all `ks_*.h` are included. Compiles in a temporary directory and puts the
result in place by rename: object files never land in the source tree, and a process that runs the old module keeps
it. The same file serves every library that has native code.
"""

import os
import sys
import sysconfig
import tempfile
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent
FLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden"]


def build() -> Path | None:
    """Compile and install the module; return its path, or None when the library has no C source yet."""
    sources = sorted(ROOT.glob("src/*/_native/*.c"))
    if not sources:
        return None
    native = sources[0].parent
    ffi = FFI()
    for declarations in sorted(native.glob("*.cdef.h")):
        ffi.cdef(declarations.read_text())
    headers = sorted(native.glob("ks_*.h"))
    ffi.set_source(
        f"{native.parent.name}._native._lib",
        "".join(f'#include "{header.name}"\n' for header in headers),
        sources=[str(source) for source in sources],
        include_dirs=[str(native)],
        define_macros=[("_GNU_SOURCE", None)],
        # cffi's own generated code does not compile without a warning: -Werror is for ours, in `tools/dev lint`.
        extra_compile_args=FLAGS,
        extra_link_args=["-Wl,-z,relro,-z,now"],
    )
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(ffi.compile(tmpdir=scratch))
        target = native / f"_lib{sysconfig.get_config_var('EXT_SUFFIX')}"
        staged = target.with_name(f".{target.name}.{os.getpid()}")
        staged.write_bytes(made.read_bytes())
        staged.chmod(0o755)
        staged.rename(target)
    return target


if __name__ == "__main__":
    print(build() or "nothing to build", file=sys.stderr)  # noqa: T201  (a script)
