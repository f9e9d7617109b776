"""The model test at length: 10,000 programs of up to 120 steps, half a minute per thousand."""

import importlib.util
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = 10_000


def main() -> None:
    """Run the property of tests/test_model.py with more and longer programs."""
    path = Path(__file__).parent.parent / "tests" / "test_model.py"
    spec = importlib.util.spec_from_file_location("test_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    inner = module.test_processes_see_what_the_model_says.hypothesis.inner_test
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run = given(st.lists(module.steps, min_size=20, max_size=120))(inner)
    settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=checks)(run)()
    print(f"{EXAMPLES} programs, every step checked")


if __name__ == "__main__":
    main()
