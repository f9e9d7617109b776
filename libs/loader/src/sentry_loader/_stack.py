"""The initial stack: strings, auxiliary vector, pointers.

From the top down, as Linux lays it out: eight zero bytes, the file name, environment strings, argument strings, a
random gap, the platform's name, sixteen random bytes; then, 16-byte aligned, argc, argv, NULL, envp, NULL, the
auxiliary vector.

Sources: Linux fs/exec.c (bprm_stack_limits, copy_strings), fs/binfmt_elf.c create_elf_tables,
arch/x86/include/asm/elf.h (6.1).
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from sentry_abi.elf import (
    AT_EXECFN,
    AT_NULL,
    AT_PLATFORM,
    AT_RANDOM,
    AT_SECURE,
)
from sentry_abi.errors import E2BIG

MAX_ARG_STRLEN: Final = 128 << 10
_ARG_MAX: Final = 128 << 10
_SIX_MIB: Final = 6 << 20

_PLATFORM: Final = b"x86_64\0"


class StackImage(NamedTuple):
    """Bytes to be written at `pointer`, and where things are in them."""

    pointer: int
    data: bytes
    arg_start: int
    arg_end: int
    env_start: int
    env_end: int
    auxv: bytes


def check_arguments(argv: Sequence[bytes], envp: Sequence[bytes], path: bytes, stack_limit: int) -> None:
    """Check that the arguments fit: a quarter of the stack limit, at least 128 KiB, at most 6 MiB. Raises: E2BIG."""
    limit = max(min(_SIX_MIB, stack_limit // 4), _ARG_MAX) - 8 * (max(len(argv), 1) + len(envp))
    used = len(path) + 1
    for text in (*argv, *envp):
        size = len(text) + 1
        if size > MAX_ARG_STRLEN:
            raise E2BIG
        used += size
    if used > limit:
        raise E2BIG


def _addresses(texts: Sequence[bytes], start: int) -> list[int]:
    found = []
    for text in texts:
        found.append(start)
        start += len(text) + 1
    return found


def build_stack(
    top: int,
    argv: Sequence[bytes],
    envp: Sequence[bytes],
    path: bytes,
    random: bytes,
    gap: int,
    auxv: Sequence[tuple[int, int]],
) -> StackImage:
    """Return the image of a stack that ends at top.

    random: the sixteen bytes of AT_RANDOM. gap: bytes left free below the strings, under 8 KiB. auxv: what comes
    before AT_RANDOM, AT_EXECFN and AT_PLATFORM, which are added here because they point into the stack, each at the
    place that Linux gives it.
    """
    arguments = b"".join(text + b"\0" for text in argv)
    environment = b"".join(text + b"\0" for text in envp)
    name = path + b"\0"
    exec_name = top - 8 - len(name)
    env_start = exec_name - len(environment)
    arg_start = env_start - len(arguments)
    low = (arg_start - gap) & -16
    platform = low - len(_PLATFORM)
    random_at = platform - 16
    vector: list[int] = []
    for key, value in auxv:
        vector += (key, value)
        if key == AT_SECURE:
            vector += (AT_RANDOM, random_at)
    vector += (AT_EXECFN, exec_name, AT_PLATFORM, platform, AT_NULL, 0)
    words = [
        len(argv),
        *_addresses(argv, arg_start),
        0,
        *_addresses(envp, env_start),
        0,
    ]
    pointer = (random_at - 8 * (len(words) + len(vector))) & -16
    table = struct.pack(f"<{len(words) + len(vector)}Q", *words, *vector)
    data = b"".join((
        table.ljust(random_at - pointer, b"\0"),
        random,
        _PLATFORM,
        bytes(arg_start - low),
        arguments,
        environment,
        name,
        bytes(8),
    ))  # fmt: skip
    return StackImage(
        pointer, data, arg_start, env_start, env_start, exec_name, struct.pack(f"<{len(vector)}Q", *vector)
    )
