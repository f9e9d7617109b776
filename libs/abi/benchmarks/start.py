"""What the modules cost to import, and an error to raise and catch. Run with the workspace's Python."""

import subprocess
import sys
import timeit
from pathlib import Path

import sentry_abi
from sentry_abi.errors import ENOENT, from_host
from sentry_abi.structs import STAT

ROUNDS = 200_000


def fail() -> None:
    """Raise as a handler does."""
    raise ENOENT


def caught() -> None:
    """Raise and catch."""
    try:
        fail()
    except ENOENT:
        return


modules = sorted(path.stem for path in Path(sentry_abi.__file__).parent.glob("[!_]*.py"))
code = "import struct, typing; from time import perf_counter; begun = perf_counter()\n"
code += f"from sentry_abi import {', '.join(modules)}\nprint(perf_counter() - begun)"
argv = [sys.executable, "-c", code]
times = [
    float(subprocess.run(argv, capture_output=True, check=True).stdout)  # noqa: S603  (our own code)
    for _ in range(5)
]
print(f"import of all {len(modules)} modules {min(times) * 1e3:.1f} ms")
gone, fields = FileNotFoundError(2, "gone"), (0,) * 16
for what, function in (
    ("raise and catch", caught),
    ("from_host", lambda: from_host(gone)),
    ("pack a stat", lambda: STAT.pack(*fields)),
):
    print(f"{what} {min(timeit.repeat(function, number=ROUNDS, repeat=3)) / ROUNDS * 1e6:.2f} us")
