"""Random calls whose results do not depend on the machine: the host and each working platform give the same answers.

`fuzz/same.py [FIRST [SEEDS [GROUP ...]]]` runs SEEDS seeds from FIRST on for each group of tests/guests/random/same.c.
The group `inet` (TCP and UDP) runs only when it is named: what becomes of a connection in rare orders still differs.
One difference is known and stays: the host's pipe shares pages with the file that was spliced into it, and shows what
is written to the file later (io, seed 80). The orders of errors are those of Linux 6.17 and later: an older host
differs in a few.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
SENTRY = ROOT / ".venv/bin/sentry"
GROUPS = ("names", "io", "events", "sockets", "memory", "signals", "ids", "processes", "ipc")
CALLS = 400
SEEDS = 100
LIMIT_S = 120.0
AT_ONCE = 2


def build(folder: Path) -> Path:
    """Compile the guest program."""
    program = folder / "same"
    source = ROOT / "tests" / "guests" / "random" / "same.c"
    subprocess.run(["gcc", "-std=gnu17", "-O1", "-w", "-static", "-o", str(program), str(source)], check=True)
    return program


def answers(argv: list[str], scratch: Path) -> list[str]:
    """Run a command in an empty folder, deep enough that `..` stays in it; return what it prints, and how it ended."""
    with TemporaryDirectory(dir=scratch) as folder:
        place = Path(folder, "a/b/c/d")
        place.mkdir(parents=True)
        done = subprocess.run(
            argv, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False
        )
    return [*done.stdout.decode(errors="replace").splitlines(), f"status {done.returncode}"]


def compare(program: Path, platform: str, group: str, seed: int) -> str:
    """Return the first difference between the host and the sandbox, empty if there is none."""
    argv = [str(program), str(seed), str(CALLS), group]
    host = answers(argv, program.parent)
    ours = answers([str(SENTRY), "do", "--platform", platform, "--", *argv], program.parent)
    if host == ours:
        return ""
    pairs = zip(host, ours, strict=False)
    at = next((number for number, (one, other) in enumerate(pairs) if one != other), min(len(host), len(ours)) - 1)
    before = "\n".join(host[max(0, at - 3) : at])
    return f"{platform}, {group}, seed {seed}:\n{before}\n  host    {host[at]}\n  sandbox {ours[at]}"


def main() -> int:
    """Compare all groups on the platforms that work; return 1 if there is a difference."""
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    seeds = range(first, first + (int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS))
    groups = sys.argv[3:] or GROUPS
    found = 0
    with TemporaryDirectory(prefix="fuzz-", dir="/var/tmp") as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        program = build(Path(folder))
        for platform in ("notify", "ptrace"):
            probe = [SENTRY, "do", "--platform", platform, "--", "/bin/true"]
            if subprocess.run(probe, check=False, timeout=LIMIT_S).returncode:
                continue
            begun, before = time.monotonic(), found
            for group in groups:
                for difference in pool.map(partial(compare, program, platform, group), seeds):
                    found += bool(difference)
                    print(difference, end="\n" if difference else "", flush=True)
            runs, took = len(groups) * len(seeds), time.monotonic() - begun
            print(f"{platform}: {runs} runs of {CALLS} calls in {took:.0f} s, {found - before} differ", flush=True)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
