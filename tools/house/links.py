"""The links gate: every relative link in a Markdown file leads somewhere."""

import re
import subprocess
from pathlib import Path

from tools.house.workspace import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def broken(file: Path) -> list[str]:
    """Return the links of one file that lead nowhere."""
    lines = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        for target in LINK.findall(line):
            path = target.partition("#")[0]
            if path and "://" not in path and not path.startswith("mailto:") and not (file.parent / path).exists():
                lines.append(f"{file.relative_to(ROOT)}:{number}: {target} leads nowhere")
    return lines


def check() -> int:
    """Print broken links; return 1 if there is one."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    lines = [line for name in listed if (ROOT / name).exists() for line in broken(ROOT / name)]
    print(*lines, sep="\n", end="\n" if lines else "")
    if not lines:
        print(f"links: {len(listed)} documents in order")
    return int(bool(lines))
