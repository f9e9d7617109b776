"""The host gate: this tree passes, and a planted use of the host fails."""

from pathlib import Path

import pytest

from tools.house import hostcalls


def test_this_tree_reads_the_host_through_its_record() -> None:
    """What `tools/dev check` asks for."""
    assert hostcalls.check() == 0


@pytest.mark.parametrize(
    "source",
    [
        "import time\nnow = time.monotonic_ns\n",
        "from time import time_ns as now\n",
        "import os\n\n\ndef key():\n    return os.urandom(8)\n",
        "import os\ncount = len(os.sched_getaffinity(0))\n",
        "import secrets\n",
        "import time as clock\n",
    ],
)
def test_a_planted_use_is_found(source: str, tmp_path: Path) -> None:
    """Whatever the way in which it is imported."""
    (tmp_path / "planted.py").write_text(source)
    assert len(hostcalls.problems([tmp_path])) == 1


def test_what_is_allowed(tmp_path: Path) -> None:
    """The record's own fields, other functions of the same modules, and support for tests."""
    (tmp_path / "good.py").write_text("import os, time\nhost.random_bytes(8)\nos.open\ntime.sleep\n")
    (tmp_path / "testing.py").write_text("import time\ntime.time()\n")
    assert hostcalls.problems([tmp_path]) == []
