"""The floors: imports go down only, libraries on one floor do not import each other, none is without a floor.

The table is in the root pyproject.toml. import-linter's own `exhaustive` works with containers only and passes a
package that no contract names, so the contract for the libraries is a type of our own. Inside each package the modules
have an order too: no circle of imports, those for type checking counted.
"""

import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import grimp
from importlinter import ContractCheck, output
from importlinter.contracts.layers import Layer, LayersContract

from tools.house.workspace import BIN, ROOT, call, packages, root_project


class FloorsContract(LayersContract):
    """Layers that also fail on a package of the workspace that no layer names."""

    def check(self, graph: Any, verbose: bool) -> ContractCheck:  # noqa: ANN401, FBT001  (import-linter's signature)
        """Check that every package has a floor, then the imports."""
        placed = {tail.name for layer in cast("list[Layer]", self.layers) for tail in layer.module_tails}
        found = {path.parent.name for path in ROOT.glob("*/*/src/*/__init__.py")}
        if homeless := sorted(found - placed):
            return ContractCheck(kept=False, metadata={"homeless": homeless})
        return super().check(graph, verbose)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say which packages have no floor, or which imports go up."""
        if homeless := check.metadata.get("homeless"):
            output.print_error(f"without a floor in pyproject.toml [tool.sentry.floors]: {', '.join(homeless)}")
        else:
            super().render_broken_contract(check)


def configuration() -> str:
    """Return import-linter's configuration for the workspace as it is."""
    floors = root_project()["tool"]["sentry"]["floors"]
    landed = {package.module for package in packages() if package.landed}
    layers = ["sentry"]
    for floor in sorted(floors, key=int, reverse=True):
        here = [f"sentry_{name}" for name in floors[floor] if f"sentry_{name}" in landed]
        if here:
            layers.append(" | ".join(here))
    lines = ["[importlinter]", "root_packages =", *(f"    {name}" for name in sorted(landed))]
    lines += ["contract_types =", "    floors: tools.house.floors.FloorsContract"]
    lines += ["[importlinter:contract:floors]", "name = Imports go down, every library has a floor", "type = floors"]
    lines += ["layers =", *(f"    {layer}" for layer in layers)]
    lines += ["[importlinter:contract:app]", "name = The app's own layers", "type = layers"]
    lines += ["containers =", "    sentry", "exhaustive = true", "layers ="]
    lines += [f"    {layer}" for layer in root_project()["tool"]["sentry"]["app"]]
    return "\n".join(lines) + "\n"


Imports = Mapping[str, Iterable[str]]
"""Modules by name, and what each imports directly."""


def imports_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the imports between the modules of installed packages, those for type checking too."""
    graph = grimp.build_graph(*sorted(names), cache_dir=None)
    return {module: sorted(graph.find_modules_directly_imported_by(module)) for module in sorted(graph.modules)}


def circles(imports: Imports) -> list[list[str]]:
    """Return the groups of modules that import each other in a circle, each sorted (strongly connected components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in imports[module]:
            if other not in order:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == order[module]:
            circle = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for module in imports:
        if module not in order:
            visit(module)
    return sorted(found)


def levels(imports: Imports) -> list[list[str]]:
    """Return the modules by level: those on level 0 import no other, those on n something on n - 1. No circles."""
    level: dict[str, int] = {}

    def of(module: str) -> int:
        if module not in level:
            level[module] = max((of(other) + 1 for other in imports[module]), default=0)
        return level[module]

    for module in imports:
        of(module)
    return [sorted(m for m in level if level[m] == n) for n in range(max(level.values(), default=-1) + 1)]


def within(imports: Imports, package: str) -> dict[str, list[str]]:
    """Return the imports inside a package, its modules named without it; `__init__` modules left out."""
    head = f"{package}."
    inside = [m for m in imports if m.startswith(head) and not any(o.startswith(f"{m}.") for o in imports)]
    return {m.removeprefix(head): [o.removeprefix(head) for o in imports[m] if o in inside] for m in inside}


SHOWN = ("sentry.kernel", "sentry.syscalls")
"""Packages whose inside ARCHITECTURE.md shows."""
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN = "<!-- house: written by tools/dev floors --write -->\n"
END = "<!-- end of house -->\n"


def house(imports: Imports, inside: Iterable[str]) -> str:
    """Return the house as text: floors of packages, then modules of the named packages by level, the ground last."""
    floors = root_project()["tool"]["sentry"]["floors"]
    lines = [f"app  sentry: {' / '.join(root_project()['tool']['sentry']['app'])}"]
    lines += [f"{floor:>3}  {', '.join(floors[floor])}" for floor in sorted(floors, key=int, reverse=True)]
    for package in inside:
        lines += ["", package]
        rows = reversed(list(enumerate(levels(within(imports, package)))))
        lines += [f"{number:>3}  {', '.join(row)}" for number, row in rows]
    return "\n".join(lines) + "\n"


def all_imports() -> dict[str, list[str]]:
    """Return the imports between the modules of the workspace."""
    return imports_of(package.module for package in packages() if package.landed)


def draw() -> int:
    """Print the whole house; without an order there is none to print."""
    imports = all_imports()
    if circles(imports):
        return check_circles(imports)
    floors = root_project()["tool"]["sentry"]["floors"]
    names = sorted(f"sentry_{name}" for row in floors.values() for name in row)
    print(house(imports, [*SHOWN, "sentry.procfs", *names]), end="")
    return 0


def page(text: str, imports: Imports) -> str:
    """Return ARCHITECTURE.md with the house of today in it."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    drawn = "".join(f"    {line}\n" if line else "\n" for line in house(imports, SHOWN).splitlines())
    return f"{head}{BEGIN}\n{drawn}\n{END}{tail}"


def write() -> int:
    """Write the house into ARCHITECTURE.md."""
    PAGE.write_text(page(PAGE.read_text(), all_imports()))
    return 0


def check_circles(imports: Imports) -> int:
    """Print the circles of imports inside the packages; return 1 if there is one."""
    found = circles(imports)
    for circle in found:
        print(f"a circle of imports: {', '.join(circle)}", file=sys.stderr)
    print(f"circles inside packages: {len(found)}")
    return int(bool(found))


def check() -> int:
    """Look for circles, compare ARCHITECTURE.md, then run import-linter; return 1, or its exit status."""
    imports = all_imports()
    status = check_circles(imports)
    if not status and PAGE.read_text() != page(PAGE.read_text(), imports):
        print("ARCHITECTURE.md does not show the house of today: tools/dev floors --write", file=sys.stderr)
        status = 1
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "importlinter.ini"
        file.write_text(configuration())
        return call(BIN / "lint-imports", "--config", file, "--no-cache", PYTHONPATH=str(ROOT)) or status
