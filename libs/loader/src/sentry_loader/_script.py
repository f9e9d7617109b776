"""The first line of a script: `#!interpreter [one argument]`.

Source: Linux fs/binfmt_script.c load_script (6.1). Differs from gVisor as Linux does: 256 bytes are read,
blanks at the end of the argument are dropped, and a line cut short is an error only when the interpreter's path
itself may be cut.
"""

from typing import Final

from sentry_abi.errors import ENOEXEC

LINE: Final = 256
_BLANKS: Final = b" \t"


def parse_script(head: bytes) -> tuple[bytes, bytes | None]:
    """Return the interpreter's path and the argument, None for none, of a file that begins with "#!".

    head: the first LINE bytes of the file, or all of a shorter one. Raises: ENOEXEC.
    """
    line = head[2:LINE].split(b"\0", 1)[0]
    if b"\n" in line:
        line = line.split(b"\n", 1)[0]
    elif len(line) == LINE - 2 and not any(c in _BLANKS for c in line.lstrip(_BLANKS)):
        raise ENOEXEC  # the path may go on
    elif len(line) == LINE - 2:
        line = line[:-1]  # Linux keeps the last byte for a terminator
    line = line.strip(_BLANKS)
    if not line:
        raise ENOEXEC
    for index, char in enumerate(line):
        if char in _BLANKS:
            return line[:index], line[index:].lstrip(_BLANKS)
    return line, None
