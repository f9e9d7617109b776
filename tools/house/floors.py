"""The floors: imports go down only, libraries on one floor do not import each other, none is without a floor.

The table stands in the root pyproject.toml. import-linter's own `exhaustive` works with containers only and passes a
package that no contract names, so the contract for the libraries is a type of our own.
"""

import tempfile
from pathlib import Path
from typing import Any, cast

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
    """Return import-linter's configuration for what the workspace holds now."""
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
    # The type of the table that it is given, nothing at run time.
    lines += ["ignore_imports =", "    sentry.kernel.kernel -> sentry.syscalls.binder"]
    return "\n".join(lines) + "\n"


def check() -> int:
    """Run import-linter; return its exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "importlinter.ini"
        file.write_text(configuration())
        return call(BIN / "lint-imports", "--config", file, "--no-cache", PYTHONPATH=str(ROOT))
