"""A small run of the fuzzer in `fuzz/images.py`."""

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "fuzz" / "images.py"


def test_two_thousand_mutations() -> None:
    """Each ends in a graph or in an error of this library; memory stays where it was."""
    spec = importlib.util.spec_from_file_location("sentry_state_fuzz_images", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.run(500, 7)
    before = module.resident()
    ends = module.run(2000, 8)
    assert sum(ends.values()) == 2000
    assert ends.keys() >= {"loaded", "DamagedError", "MalformedError", "UnknownTypeError"}
    assert module.resident() - before < 64 << 20
