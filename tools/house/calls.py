"""docs/calls.md, the page of system calls, and the index of handlers, from the handlers themselves."""

import subprocess
import sys
import textwrap

from tools.house.workspace import BIN, ROOT

PAGE = ROOT / "docs" / "calls.md"
HANDLERS = ROOT / "apps" / "sentry" / "src" / "sentry" / "syscalls"
INDEX = HANDLERS / "_index.py"
HEAD = """# System calls

Every call of x86-64 Linux up to number 462: handled, handled in part, or absent with the reason. Written by
`tools/dev calls` from the table (`apps/sentry/src/sentry/syscalls/table.py`); `tools/dev check` fails when this page
is not what the table says. An absent call answers ENOSYS, is listed at the end under `--debug`, and goes to
`--debug-log`.

"""
LIST = """
from sentry.syscalls.absent import ABSENT
from sentry.syscalls.subjects import subjects
from sentry_abi.numbers import AMD64
groups = subjects().values()
handled = {name: group.subject for group in groups for name in group.handlers}
partial = {name: note for group in groups for name, note in group.partial.items()}
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


INDEX_HEAD = '''"""Which call is handled in which module. Written by `tools/dev calls` from the modules themselves."""

from typing import Final

SUBJECTS: Final = {
'''
SCAN = """
import importlib, sys
for name in sys.argv[1:]:
    print(name, *sorted(importlib.import_module(f"sentry.syscalls.{name}").calls.handlers))
"""


def page() -> str:
    """Return what the page should say."""
    done = subprocess.run([BIN / "python", "-c", LIST], check=True, capture_output=True, text=True)
    return HEAD + done.stdout


def index() -> str:
    """Return what the index should say."""
    modules = sorted(path.stem for path in HANDLERS.glob("*.py") if "calls = Calls(" in path.read_text())
    done = subprocess.run([BIN / "python", "-c", SCAN, *modules], check=True, capture_output=True, text=True)
    lines = []
    for line in done.stdout.splitlines():
        module, _, names = line.partition(" ")
        wrapped = textwrap.wrap(names, 108)
        if len(wrapped) == 1 and len(module) + len(names) < 108:
            lines.append(f'    "{module}": "{names}",')
        else:
            lines.append(f'    "{module}": (')
            lines += [f'        "{part} "' for part in wrapped[:-1]]
            lines += [f'        "{wrapped[-1]}"', "    ),"]
    return INDEX_HEAD + "\n".join(lines) + "\n}\n"


def write() -> int:
    """Write the index, then the page."""
    INDEX.write_text(index())
    PAGE.write_text(page())
    return 0


def check() -> int:
    """Compare both; return 1 if one is not what the handlers say."""
    if INDEX.read_text() == index() and PAGE.exists() and PAGE.read_text() == page():
        return 0
    print(
        "docs/calls.md or syscalls/_index.py is not what the handlers say: tools/dev calls writes them", file=sys.stderr
    )
    return 1
