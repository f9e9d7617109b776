"""docs/calls.md: every system call and how it stands, from the table itself."""

import subprocess
import sys

from tools.house.workspace import BIN, ROOT

PAGE = ROOT / "docs" / "calls.md"
HEAD = """# System calls

Every call of x86-64 Linux up to number 462: handled, handled in part, or absent with the reason. Written by
`tools/dev calls` from the table (`apps/sentry/src/sentry/syscalls/table.py`); `tools/dev check` fails when this page
is not what the table says. An absent call answers ENOSYS, is listed at the end under `--debug`, and goes to
`--debug-log`.

"""
LIST = """
from sentry.syscalls.table import ABSENT, GROUPS
from sentry_abi.numbers import AMD64
handled = {name: group.subject for group in GROUPS for name in group.handlers}
partial = {name: note for group in GROUPS for name, note in group.partial.items()}
count = len(handled)
print(f"{count} are handled, {len(AMD64) - count} are not.\\n")
print("| number | call | |")
print("|---|---|---|")
for number, name in sorted(AMD64.items()):
    if name in partial:
        note = f"in part: {partial[name]}"
    elif name in handled:
        note = handled[name]
    else:
        note = f"absent: {ABSENT[name]}"
    print(f"| {number} | {name} | {note} |")
"""


def page() -> str:
    """Return what the page should say."""
    done = subprocess.run([BIN / "python", "-c", LIST], check=True, capture_output=True, text=True)
    return HEAD + done.stdout


def write() -> int:
    """Write the page."""
    PAGE.write_text(page())
    return 0


def check() -> int:
    """Compare the page; return 1 if it is not what the table says."""
    if PAGE.exists() and PAGE.read_text() == page():
        return 0
    print("docs/calls.md is not what the table says: tools/dev calls writes it", file=sys.stderr)
    return 1
