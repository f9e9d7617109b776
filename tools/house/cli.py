"""The commands of `tools/dev`."""

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.house import calls, figures, floors, hostcalls, isolated, layout, links, names, newlib, release, soak
from tools.house.workspace import BIN, ROOT, call, packages

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    help="Gates and chores of the sentry workspace.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Names = Annotated[list[str] | None, typer.Argument(help="Libraries or apps by folder name; all when none is named.")]
WARNINGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-D_GNU_SOURCE")


def finish(status: int) -> None:
    """End the command with an exit status."""
    raise typer.Exit(status)


def folders(names: list[str] | None) -> list[str]:
    """Return the folders of the named packages, relative to the root; the whole workspace for none.

    Raises: typer.BadParameter for an unknown name.
    """
    known = {package.name: str(package.folder.relative_to(ROOT)) for package in packages()} | {"tests": "tests"}
    for name in names or ():
        if name not in known:
            message = f"{name} is none of {', '.join(sorted(known))}"
            raise typer.BadParameter(message)
    return [known[name] for name in names or ()]


def c_warnings() -> int:
    """Compile our C for its warnings alone, which are errors; return 1 if there is one."""
    status = 0
    for source in sorted(ROOT.glob("libs/*/src/*/_native/*.c")):
        status |= call("/usr/bin/env", "gcc", *WARNINGS, f"-I{source.parent}", source)
    return int(status != 0)


@app.command("format")
def format_() -> None:
    """Rewrite the Python sources in the one format."""
    finish(call("ruff", "format"))


@app.command()
def lint(*, fix: Annotated[bool, typer.Option(help="Mend what ruff can mend.")] = False) -> None:
    """Look for mistakes: ruff with all rules, gcc's warnings as errors."""
    finish(call("ruff", "check", *(["--fix"] if fix else [])) or c_warnings())


@app.command()
def types() -> None:
    """Check types: mypy strict, tests too."""
    finish(call("mypy"))


@app.command("floors")
def floors_(
    *,
    graph: Annotated[bool, typer.Option(help="Print the house as text instead.")] = False,
    write: Annotated[bool, typer.Option(help="Write the house into ARCHITECTURE.md instead.")] = False,
) -> None:
    """Check that imports between libraries go down only, and that no package has a circle of imports inside."""
    finish(floors.draw() if graph else floors.write() if write else floors.check())


@app.command("layout")
def layout_() -> None:
    """Check that every library is complete and declares what it imports."""
    finish(layout.check())


@app.command("links")
def links_() -> None:
    """Check the links between documents."""
    finish(links.check())


@app.command("hostcalls")
def hostcalls_() -> None:
    """Check that clocks, entropy and CPUs of the host are read from the Host record only."""
    finish(hostcalls.check())


@app.command("calls")
def calls_() -> None:
    """Write docs/calls.md and the index of handlers from the modules of handlers."""
    finish(calls.write())


@app.command("figures")
def figures_(
    runs: Annotated[list[Path] | None, typer.Argument(help="JSON of a benchmark run, to be merged first.")] = None,
    day: Annotated[str | None, typer.Option(help="The day of the run, if it was not today: 2026-11-24.")] = None,
) -> None:
    """Write the tables of docs/performance.md and the sentence of the README from docs/figures.json."""
    finish(figures.write(runs or [], day))


@app.command("release")
def release_() -> None:
    """Show the versions and what has changed since; fail where a change needs a new version or a heading is missing."""
    finish(release.run())


@app.command("names")
def names_(
    *, write: Annotated[bool, typer.Option(help="Write the snapshots anew instead of comparing.")] = False
) -> None:
    """Compare the public names of each library with the snapshot in its tests."""
    finish(names.write() if write else names.check())


@app.command()
def check() -> None:
    """Run every gate that needs no test: format, lint, types, floors, layout, links, and what is generated."""
    gates: list[tuple[str, Callable[[], int]]] = [
        ("format", lambda: call("ruff", "format", "--check", "--quiet")),
        ("lint", lambda: call("ruff", "check", "--quiet") or c_warnings()),
        ("types", lambda: call("mypy")),
        ("floors", floors.check),
        ("layout", layout.check),
        ("links", links.check),
        ("hostcalls", hostcalls.check),
        ("calls", calls.check),
        ("figures", figures.check),
        ("release", release.check),
    ]
    failed = []
    for name, gate in gates:
        begun = time.monotonic()
        status = gate()
        print(f"{name}: {'failed' if status else 'passed'} ({time.monotonic() - begun:.1f} s)", flush=True)
        if status:
            failed.append(name)
    if failed:
        print(f"check failed: {', '.join(failed)}")
    finish(int(bool(failed)))


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
def test(
    words: Annotated[
        list[str] | None, typer.Argument(help="Names of libraries, apps or `tests`, then pytest's own.")
    ] = None,
) -> None:
    """Run the tests of all or of the named packages; from the first option or path on, all goes to pytest."""
    words = words or []
    cut = next((place for place, word in enumerate(words) if word.startswith("-") or "/" in word), len(words))
    chosen, options = folders(words[:cut]), words[cut:]
    environment = {}
    if not os.access(ROOT, os.W_OK):  # another user's checkout
        options = ["-p", "no:cacheprovider", *options]
        environment["HYPOTHESIS_STORAGE_DIRECTORY"] = str(Path(tempfile.gettempdir()) / f"hypothesis-{os.getuid()}")
    finish(call(BIN / "python", "-m", "pytest", *chosen, *options, **environment))


@app.command()
def coverage(names: Names = None) -> None:
    """Measure the branch coverage of the libraries by their own tests."""
    chosen = [p for p in packages() if p.landed and p.folder.parent.name == "libs" and (not names or p.name in names)]
    data = ROOT / ".coverage"
    sources = ",".join(str(p.source) for p in chosen)
    status = call(
        BIN / "python", "-m", "coverage", "run", f"--data-file={data}", f"--source={sources}", "-m", "pytest", "-q",
        *(str(p.folder / "tests") for p in chosen),
    )  # fmt: skip
    call(BIN / "python", "-m", "coverage", "report", f"--data-file={data}", "--show-missing", "--skip-covered")
    finish(status)


def scripts(kind: str, names: list[str] | None) -> list[Path]:
    """Return the scripts in the folders `kind` of all or of the named packages, and of the root."""
    places = folders(names) or ["libs/*", "apps/*", "."]
    return sorted(path for place in places for path in ROOT.glob(f"{place}/{kind}/*.py"))


@app.command()
def fuzz(names: Names = None) -> None:
    """Run the long random tests: every script in a `fuzz` folder."""
    finish(max((call(BIN / "python", path) for path in scripts("fuzz", names)), default=0))


@app.command()
def bench(names: Names = None) -> None:
    """Run the benchmarks: every script in a `benchmarks` folder."""
    finish(max((call(BIN / "python", path) for path in scripts("benchmarks", names)), default=0))


@app.command("isolated")
def isolated_(names: Names = None) -> None:
    """Check that each library can be installed and tested alone, from built wheels."""
    folders(names)
    finish(isolated.run(names or []))


@app.command()
def new_lib(name: str, purpose: str) -> None:
    """Make the skeleton of a new library."""
    finish(newlib.create(name, purpose))


@app.command("lock")
def lock_() -> None:
    """Write poetry.lock anew after a change of dependencies."""
    # Done by the launcher: a lock that is behind the project files cannot be installed, so nothing of this would start.
    print("poetry.lock is up to date")


@app.command("soak", context_settings={"allow_interspersed_args": False})
def soak_(
    command: Annotated[
        list[str] | None, typer.Argument(help="What to run; sh -c 'seq 100 | wc -l' if nothing.")
    ] = None,
    runs: Annotated[int, typer.Option(help="How many sandboxes in a row.")] = 500,
    limit: Annotated[float, typer.Option(help="Seconds after which a run hangs.")] = 30,
    platform: Annotated[str, typer.Option(help="Platform of the sandboxes.")] = "auto",
) -> None:
    """Run one command in many sandboxes in a row; end at the first that hangs, differs or leaves something behind."""
    finish(soak.run(command or ["sh", "-c", "seq 100 | wc -l"], ["--platform", platform], runs, limit))
