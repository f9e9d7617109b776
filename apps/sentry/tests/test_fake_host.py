"""A kernel on another host record: the same times, ids and random bytes in each run."""

import os
from pathlib import Path

import pytest

from sentry.kernel import vdso
from sentry.kernel.kernel import CreateProcessArgs, InitKernelArgs, Kernel
from sentry.procfs import mount_proc
from sentry.syscalls.table import amd64
from sentry_auth import user_credentials
from sentry_fs import HostFile, HostFilesystem, build_default_root
from sentry_host.testing import FakeHost
from sentry_pgalloc import MemoryFile
from sentry_platform import open_platform
from sentry_vfs import FDTable, FSContext

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
    kernel = Kernel(open_platform("auto"), MemoryFile(), host.record)
    creds = user_credentials(os.getuid(), os.getgid())
    try:
        mnt = build_default_root(kernel.vfs, kernel.memory, cwd=b"/")
        kernel.init(InitKernelArgs(amd64(), mnt, creds, host.record.online_cpus))
        mount_proc(kernel)
        files = FDTable()
        with out.open("wb") as file:
            files.install_at(HostFile(file.fileno(), kernel.watcher, HostFilesystem(kernel.vfs)), 1)
            argv = [b"/bin/sh", b"-c", SCRIPT.encode()]
            limits = host.record.limits.copy()
            kernel.create_process(CreateProcessArgs(argv, [b"PATH=/bin"], creds, files, FSContext(mnt.root), limits))
            kernel.start()
            kernel.wait_exited()
    finally:
        kernel.close()
    return out.read_text()


def test_two_runs_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stamps, device numbers, mount ids, inode numbers and entropy come from the record alone."""
    monkeypatch.setattr(vdso, "clock_source", lambda: "")  # the vDSO counts the host's cycles
    first, second = run(tmp_path / "first"), run(tmp_path / "second")
    assert first == second
    ids, *rest = first.splitlines()
    boot, uuid = ids.split()
    assert boot != uuid
    assert len(boot) == 36
    assert any(" /tmp " in line for line in rest)
    assert "2020-09-13" in rest[-2], "the fake host's time: 1,600,000,000 seconds and 1,000"
    assert "2020-09-13" in rest[-1]
