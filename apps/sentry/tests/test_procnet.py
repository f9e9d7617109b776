"""/proc/net: the sockets of the task's network namespace, and nothing imported for them before there is one."""

import subprocess
import sys
from pathlib import Path

import pytest

from sentry.kernel.namespaces import NetNamespace
from sentry.testing import new_kernel, process_args
from sentry_auth import INITIAL

WAIT = """
import os, sys, time
def wait(name):
    for _ in range(1000):
        if os.path.exists(name): return
        time.sleep(0.01)
"""
LISTEN = (
    WAIT
    + """
import socket
made = [socket.socket(family, kind) for family in (socket.AF_INET, socket.AF_INET6) for kind in (1, 2)]
for one in made:
    if one.family == socket.AF_INET6: one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(("", 4321))
made[0].listen(); made[2].listen()
name = socket.socket(socket.AF_UNIX); name.bind("\\0its name")
open("/tmp/made", "w")
wait("/tmp/inside"); wait("/tmp/outside")
"""
)
SHOW = (
    WAIT
    + """
wait("/tmp/made")
for table in ("tcp", "tcp6", "udp", "udp6", "unix"):
    for row in open("/proc/net/" + table).read().splitlines()[1:]:
        words = row.split()
        print(sys.argv[1], table, *((words[5], *words[7:]) if table == "unix" else (words[1], words[3])), flush=True)
print(sys.argv[1], "end", flush=True)
open("/tmp/" + sys.argv[1], "w")
"""
)
ROWS = """\
inside tcp 00000000:10E1 0A
inside tcp6 00000000000000000000000000000000:10E1 0A
inside udp 00000000:10E1 07
inside udp6 00000000000000000000000000000000:10E1 07
inside unix 01 @its name
inside end
"""


@pytest.mark.parametrize("platform", ["notify", "ptrace"])
def test_the_sockets_of_the_namespace(platform: str, tmp_path: Path) -> None:
    """A process in init's network namespace sees another's sockets, one in a network of its own sees none."""
    kernel, mnt = new_kernel(platform)
    output = tmp_path / "out"
    with output.open("wb") as file:
        for name, code in (("made", LISTEN), ("inside", SHOW), ("outside", SHOW)):
            argv = [b"/usr/bin/python3", b"-c", code.encode(), name.encode()]
            group, _ = kernel.create_process(process_args(kernel, mnt, argv, file.fileno()))
            if name == "outside":
                net = NetNamespace(INITIAL)
                net.host = kernel.state
                group.leader.ns = group.leader.ns._replace(net=net)
        kernel.start()
        kernel.wait_exited()
    kernel.close()
    lines = output.read_text().splitlines(keepends=True)
    assert "".join(line for line in lines if line.startswith("inside")) == ROWS
    assert [line for line in lines if not line.startswith("inside")] == ["outside end\n"]


READ = """
import sys
from sentry import SandboxSpec, run
tables = ["/proc/net/" + name for name in ("tcp", "tcp6", "udp", "udp6", "unix")]
assert run(SandboxSpec(["cat", *tables], platform="notify")) == 0
print("sentry_sockets" in sys.modules)
"""


def test_nothing_is_imported_for_empty_tables() -> None:
    """Without a socket the tables are their first lines, and the library of sockets is not imported."""
    ended = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, check=True, timeout=60)
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["sl", "sl", "sl", "sl", "Num"]
    assert lines[-1] == "False"
