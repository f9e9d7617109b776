"""A kernel on another host record: the same times, ids and random bytes in each run."""

from pathlib import Path

from sentry.testing import new_kernel, process_args
from sentry_host.testing import FakeHost

SCRIPT = """
read boot < /proc/sys/kernel/random/boot_id
read uuid < /proc/sys/kernel/random/uuid
echo $boot $uuid
while read line; do echo "$line"; done < /proc/self/mountinfo
: > /tmp/new
exec stat -c '%d %i %W %X.%x %y %z' /tmp/new /dev/null
"""


def run(out: Path) -> str:
    """Run the script on a fresh fake host; return what it printed."""
    host = FakeHost(10**12)
    kernel, mnt = new_kernel("auto", host.record)
    try:
        with out.open("wb") as file:
            kernel.create_process(process_args(kernel, mnt, [b"/bin/sh", b"-c", SCRIPT.encode()], file.fileno()))
            kernel.start()
            kernel.wait_exited()
    finally:
        kernel.close()
    return out.read_text()


def test_two_runs_are_the_same(tmp_path: Path) -> None:
    """Time stamps, device numbers, mount ids, inode numbers and entropy come from the record alone."""
    first, second = run(tmp_path / "first"), run(tmp_path / "second")
    assert first == second
    ids, *rest = first.splitlines()
    boot, uuid = ids.split()
    assert boot != uuid
    assert len(boot) == 36
    assert any(" /tmp " in line for line in rest)
    assert "2020-09-13" in rest[-2], "the fake host's time: 1,600,000,000 seconds and 1,000"
    assert "2020-09-13" in rest[-1]
