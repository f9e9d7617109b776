"""Build the native core of sentry_platform next to its sources, replacing an old one by rename."""

import os
import sysconfig
import tempfile
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent / "src" / "sentry_platform" / "_native"


def build() -> Path:
    """Compile in a temporary directory and move the result into the package; return its path."""
    ffi = FFI()
    ffi.cdef((HERE / "tracees.cdef.h").read_text())
    ffi.set_source(
        "sentry_platform._native._lib",
        '#include "ks_tracees.h"',
        sources=[str(HERE / "notify.c"), str(HERE / "stub.c")],
        include_dirs=[str(HERE)],
        extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
    )
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    with tempfile.TemporaryDirectory() as tmp:
        built = Path(ffi.compile(tmpdir=tmp, verbose=False))
        target = HERE / f"_lib{suffix}"
        fresh = target.with_suffix(".new")
        fresh.write_bytes(built.read_bytes())
        os.replace(fresh, target)
    return target


if __name__ == "__main__":
    build()
