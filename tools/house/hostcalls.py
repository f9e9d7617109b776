"""The host gate: clocks, entropy and CPUs come from the `Host` record, so that another record replaces them all."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.house.workspace import ROOT, packages

FORBIDDEN: Final[dict[str, frozenset[str]]] = {
    "time": frozenset(
        f"{name}{ns}"
        for name in ("time", "monotonic", "perf_counter", "process_time", "clock_gettime")
        for ns in ("", "_ns")
    ),
    "os": frozenset({"urandom", "getrandom", "cpu_count", "process_cpu_count", "sched_getaffinity", "times"}),
}
MODULES: Final = frozenset({"random", "secrets", "uuid", "datetime"})
EXEMPT: Final = {
    "host": "makes the record",
    "platform": "its timer, watcher and cycle counter are the host's own",
    "state": "measures its own saving and loading",
}


def forbidden(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of what a module takes from the host by itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in FORBIDDEN.get(node.value.id, ()):
                yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and not node.level:
            if node.module in MODULES:
                yield node.lineno, node.module
            for alias in node.names:
                if alias.name in FORBIDDEN.get(node.module or "", ()):
                    yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in MODULES:
                    yield node.lineno, alias.name
                elif alias.name in FORBIDDEN and alias.asname:
                    yield node.lineno, f"{alias.name} under another name"


def problems(sources: list[Path]) -> list[str]:
    """Return a line for each use below folders of sources, their `testing.py` excepted."""
    lines = []
    for source in sources:
        for file in sorted(source.rglob("*.py")):
            if file.name == "testing.py":
                continue
            where = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
            found = forbidden(ast.parse(file.read_text(), str(file)))
            lines += [f"{where}:{number}: {name}: take it from the Host record" for number, name in found]
    return lines


def check() -> int:
    """Print every complaint; return 1 if there is one."""
    lines = problems([package.source for package in packages() if package.name not in EXEMPT])
    print(*lines, sep="\n", end="\n" if lines else "")
    return int(bool(lines))
