"""A million random system calls from guests on each platform that works here: the sentry survives in bounded memory."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
CALLS = 1_000_000
LIMIT_KB = 400_000
CHILDREN = 50
SANDBOXES = 16
LIMIT_S = 120.0


def build(folder: Path) -> Path:
    """Compile the guest program."""
    program = folder / "random"
    source = ROOT / "tests" / "guests" / "hostile" / "random.c"
    subprocess.run(["gcc", "-std=gnu17", "-O1", "-w", "-static", "-o", str(program), str(source)], check=True)
    return program


def works(platform: str) -> bool:
    """Return whether a platform runs a program here."""
    argv = [str(ROOT / ".venv/bin/sentry"), "do", "--platform", platform, "--", "/bin/true"]
    return subprocess.run(argv, capture_output=True, timeout=LIMIT_S, check=False).returncode == 0


def peak_kb(pid: int) -> int:
    """Return the most that a process had resident, in KiB; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), 0)


def once(program: Path, platform: str, seed: int) -> tuple[int, int]:
    """Run one sandbox; return how many calls were made and the sentry's peak in KiB.

    Raises: RuntimeError  it hangs, dies, or takes too much
    """
    argv = [str(ROOT / ".venv/bin/sentry"), "do", "--platform", platform, "--", str(program), str(seed), str(CHILDREN)]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    peak, deadline = 0, time.monotonic() + LIMIT_S
    with process:
        while process.poll() is None:
            peak = max(peak, peak_kb(process.pid))
            if peak > LIMIT_KB or time.monotonic() > deadline:
                process.kill()
                msg = f"{platform}, seed {seed}: " + (f"{peak} KiB" if peak > LIMIT_KB else f"not over in {LIMIT_S} s")
                raise RuntimeError(msg)
            time.sleep(0.02)
        out, err = process.communicate()
    lines = out.split()
    if process.returncode or lines[-1:] != [b"alive"]:
        msg = f"{platform}, seed {seed}: status {process.returncode}, {err[-500:].decode(errors='replace')}"
        raise RuntimeError(msg)
    return int(lines[0]), peak


def million(program: Path, platform: str) -> str:
    """Make a million calls on a platform, several sandboxes at once, since they mostly wait. Return a line of figures.

    Raises: RuntimeError  as `once`
    """
    made, peak, begun = 0, 0, time.monotonic()
    with ThreadPoolExecutor(SANDBOXES) as pool:
        for first in count(1, SANDBOXES):
            seeds = range(first, first + SANDBOXES)
            for calls, most in pool.map(lambda seed: once(program, platform, seed), seeds):
                made += calls
                peak = max(peak, most)
            if made >= CALLS:
                break
    return f"{platform}: {made} calls in {time.monotonic() - begun:.0f} s, peak {peak / 1024:.0f} MiB"


def main() -> int:
    """Run the platforms one after the other; return 1 if one fails."""
    with TemporaryDirectory(prefix="fuzz-", dir="/var/tmp") as folder:
        program = build(Path(folder))
        for platform in ("notify", "ptrace"):
            if not works(platform):
                print(f"{platform}: does not work here")
                continue
            try:
                print(million(program, platform), flush=True)
            except RuntimeError as error:
                print(error)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
