"""The README's example runs."""

import re
from pathlib import Path


def test_example() -> None:
    """Run it."""
    text = (Path(__file__).parent.parent / "README.md").read_text()
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102  (our own README)
