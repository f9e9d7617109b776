"""The gate of the figures: pages say what docs/figures.json says, and a run replaces the columns of its runners."""

import json
from copy import deepcopy
from pathlib import Path

import pytest

from tools.house import figures
from tools.house.figures import RunError, load, merge, shown, texts


def test_this_tree_shows_its_figures() -> None:
    """What `tools/dev check` asks for."""
    assert figures.check() == 0


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Give copies of the figures, docs/performance.md and README.md, in the place of the tree's."""
    made = []
    for page in (figures.FIGURES, *figures.PAGES):
        made.append(tmp_path / page.name)
        made[-1].write_text(page.read_text())
    monkeypatch.setattr(figures, "FIGURES", made[0])
    monkeypatch.setattr(figures, "PAGES", tuple(made[1:]))
    return made


@pytest.mark.parametrize(
    ("page", "old", "new"),
    [
        (0, '"notify": 2.8,', '"notify": 2.9,'),
        (1, "| cpu | 1.80 |", "| cpu | 1.79 |"),
        (2, "clock reading", "clock"),
        (2, "<!-- ", ""),
    ],
)
def test_a_planted_difference_is_found(
    page: int, old: str, new: str, copies: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the figures, in a table, in the sentence of the README, and missing marks."""
    assert old in copies[page].read_text()
    copies[page].write_text(copies[page].read_text().replace(old, new, 1))
    assert figures.check() == 1
    assert "tools/dev figures" in capsys.readouterr().err


def test_a_run_replaces_the_columns_of_its_runners(copies: list[Path], tmp_path: Path) -> None:
    """Its cells and day change in the file and the pages; recorded columns stay, and rows that a later run lacks."""
    before = load()
    run: figures.Rows = {
        name: {"native": 0.125, "notify": 5.839, "runsc-systrap": None, "kvm": 0.5}
        for name in before["operations"]["rows"]
    }
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert figures.write([tmp_path / "run.json"], "2031-01-02") == 0
    after = load()["operations"]
    assert after["rows"]["getppid"] == before["operations"]["rows"]["getppid"] | {
        "native": 0.125, "notify": 5.839, "kvm": 0.5,
    }  # fmt: skip
    assert after["measured"]["notify"] == after["measured"]["kvm"] == "2031-01-02"
    assert after["measured"]["runsc ptrace"] == before["operations"]["measured"]["runsc ptrace"]
    text = copies[1].read_text()
    assert "| getppid | 0.12 | 5.8 | 3.2 | 0.50 | 63.0 | 3.6 |" in text
    assert "Measured: native, notify, kvm on 2031-01-02; ptrace, runsc ptrace, runsc systrap on" in text
    assert "a trivial call costs 5.8 us" in copies[2].read_text()
    assert figures.check() == 0
    (tmp_path / "run.json").write_text('{"signal": {"notify": 50.04}, "cpu": {"notify": null}}')
    assert figures.write([tmp_path / "run.json"], "2031-01-02") == 0
    assert load()["operations"]["rows"]["signal"]["notify"] == 50.04
    assert "| cpu | 0.12 | failed | 1.80 |" in copies[1].read_text()


@pytest.mark.parametrize("wrong", ["a row less", "another row", "another runner", "no row"])
def test_a_run_that_cannot_be_merged(wrong: str, copies: list[Path], tmp_path: Path) -> None:
    """It is refused, and nothing is written."""
    run: figures.Rows = {name: {"notify": 1.0} for name in load()["programs"]["rows"]}
    if wrong == "a row less":
        del run["tar"]
    elif wrong == "another row":
        run["other"] = {"notify": 1.0}
    elif wrong == "no row":
        run.clear()
    else:
        run["tar"] = {"qemu": 1.0}
    with pytest.raises(RunError):
        merge(deepcopy(load()), run, "2031-01-02")
    (tmp_path / "run.json").write_text(json.dumps(run))
    before = [page.read_text() for page in copies]
    assert figures.write([tmp_path / "run.json"]) == 1
    assert [page.read_text() for page in copies] == before


def test_decimals() -> None:
    """Two digits below 1, two decimals below 2, one below 100; a runner that failed is no number."""
    assert [shown(value) for value in (0.0771, 0.3, 0.5, 1.8, 2.84, 63, 115.4)] == [
        "0.077", "0.30", "0.50", "1.80", "2.8", "63.0", "115",
    ]  # fmt: skip
    assert shown(0.2, 3) == "0.200"
    assert shown(None) == "failed"
    assert set(texts(load())) == {"operations", "programs", "a call", "the start-up", "all"}
