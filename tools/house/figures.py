"""docs/figures.json, the one place of measured figures, and the tables that are made of it.

A run of the benchmarks gives medians by row and runner: `{"getppid": {"native": 0.125, "notify": 5.839, ...}, ...}`, in
microseconds for operations and in seconds for programs. Its columns replace those of the same runners; the others keep
their figures and their date.
"""

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypedDict, cast

from tools.house.workspace import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FIGURES: Final = ROOT / "docs" / "figures.json"
PAGES: Final = (ROOT / "docs" / "performance.md", ROOT / "README.md")
BEGIN: Final = "<!-- figures of {}: written by tools/dev figures -->\n"
END: Final = "<!-- end of figures -->\n"
RUNNERS: Final = ("native", "notify", "ptrace", "kvm", "runsc ptrace", "runsc systrap")
"""The columns, in their order."""

Rows = dict[str, dict[str, float | None]]
"""Medians by row and runner; None where the runner failed."""


class Columns(TypedDict):
    """A table with a column for each runner, and the day on which each was measured."""

    measured: dict[str, str]
    rows: Rows


class Cost(TypedDict):
    """A part of a call's cost: microseconds, alone or added to another row's."""

    part: str
    us: float
    adds: bool
    how: str


class Call(TypedDict):
    """What one call costs, by part."""

    measured: str
    rows: list[Cost]


class Part(TypedDict):
    """A part of the start-up."""

    part: str
    ms: float


class StartUp(TypedDict):
    """What a start costs, in all and by part."""

    measured: str
    ms: float
    parts: list[Part]


Figures = TypedDict("Figures", {"operations": Columns, "programs": Columns, "call": Call, "start-up": StartUp})


class RunError(Exception):
    """A run that cannot be merged; the message says why."""


def merge(figures: Figures, run: Rows, day: str) -> None:
    """Put the columns of a run in the place of those of the same runners; a runner that always failed has none.

    Raises: RunError for rows that are in neither table, an unknown runner, and single rows of a column that is of
    another day.
    """
    table = next(
        (table for table in (figures["operations"], figures["programs"]) if run.keys() <= table["rows"].keys()), None
    )
    if table is None or not run:
        message = f"the rows are those of neither table: {', '.join(run)}"
        raise RunError(message)
    labels = sorted({label for cells in run.values() for label, value in cells.items() if value is not None})
    for label in labels:
        runner = label.replace("-", " ")
        before = table["measured"].get(runner)
        if runner not in RUNNERS:
            message = f"no such runner: {label}"
            raise RunError(message)
        if run.keys() != table["rows"].keys() and before != day:
            message = f"{runner}: {len(run)} rows of {len(table['rows'])}, and the others are of {before or 'no day'}"
            raise RunError(message)
        table["measured"][runner] = day
        for name, cells in run.items():
            table["rows"][name][runner] = cells.get(label)


def shown(value: float | None, decimals: int | None = None) -> str:
    """Return a figure for a table: so many decimals, or as many as its size deserves."""
    if value is None:
        return "failed"
    if decimals is None:
        if value < 1:
            return f"{value:.2g}".ljust(4, "0")
        decimals = 2 if value < 2 else 1 if value < 100 else 0
    return f"{value:.{decimals}f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("| --- |", "|---|").replace(" --- |", "---|") for line in lines)


def _columns(table: Columns, decimals: int | None = None) -> str:
    """Return a table of runners, then the days on which they were measured."""
    runners = [runner for runner in RUNNERS if runner in table["measured"]]
    rows = [
        [name, *("" if runner not in cells else shown(cells[runner], decimals) for runner in runners)]
        for name, cells in table["rows"].items()
    ]
    days: dict[str, list[str]] = {}
    for runner in runners:
        days.setdefault(table["measured"][runner], []).append(runner)
    measured = "; ".join(f"{', '.join(names)} on {day}" for day, names in days.items())
    return f"{_table(['', *runners], rows)}\nMeasured: {measured}.\n"


def texts(figures: Figures) -> dict[str, str]:
    """Return the text between each pair of marks."""
    operations, start = figures["operations"]["rows"], figures["start-up"]
    call = f"{shown(operations['getppid']['notify'])} us"
    clock = f"{1000 * (operations['clock (vDSO)']['notify'] or 0):.0f} ns"
    parts = [[part["part"], f"{part['ms']:g}"] for part in start["parts"]]
    costs = [[row["part"], f"{'+' * row['adds']}{row['us']:g}", row["how"]] for row in figures["call"]["rows"]]
    return {
        "operations": _columns(figures["operations"]),
        "programs": _columns(figures["programs"], 3),
        "a call": _table(["part", "us", "how it was found"], costs),
        "the start-up": _table(["part", "ms"], [*parts, ["in all", f"{start['ms']:g}"]]),
        "all": f"Start-up is {start['ms']:.0f} ms; a trivial call costs {call}, a clock reading {clock}"
        " ([docs/performance.md](docs/performance.md)).\n",
    }


def filled(page: str, figures: Figures) -> str:
    """Return a page with the text of today between its marks."""
    for name, text in texts(figures).items():
        begin = BEGIN.format(name)
        if begin in page:
            head, _, rest = page.partition(begin)
            page = f"{head}{begin}\n{text}\n{END}{rest.partition(END)[2]}"
    return page


def load() -> Figures:
    """Return the figures."""
    return cast("Figures", json.loads(FIGURES.read_text()))


def write(runs: "list[Path]", day: str | None = None) -> int:
    """Merge the runs, measured on a day or today, and write the figures and the pages; return 1 for a bad run."""
    figures = load()
    for path in runs:
        try:
            merge(figures, cast("Rows", json.loads(path.read_text())), day or datetime.now(UTC).date().isoformat())
        except (RunError, ValueError, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    for page in PAGES:
        page.write_text(filled(page.read_text(), figures))
    return 0


def check() -> int:
    """Compare the pages with the figures; return 1 if one differs or lacks its marks."""
    figures = load()
    pages = [page.read_text() for page in PAGES]
    missing = [name for name in texts(figures) if not any(BEGIN.format(name) in page for page in pages)]
    if not missing and all(page == filled(page, figures) for page in pages):
        return 0
    print("docs/performance.md or README.md is not what docs/figures.json says: tools/dev figures", file=sys.stderr)
    return 1
