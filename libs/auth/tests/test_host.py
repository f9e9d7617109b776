"""The host as the oracle: random walks of calls made in a child of ours, programs executed, maps written.

Where the tests do not run as root these are skipped; the tables in the other files cover the same code.
"""

import ctypes
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from struct import Struct

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import sentry_auth as auth
from sentry_abi import prctl
from sentry_abi.errors import LinuxError
from sentry_abi.numbers import AMD64
from sentry_auth import KGID, KUID, Credentials, FileCapabilities, FilePrivileges

_NUMBERS = {name: number for number, name in AMD64.items()}

_libc = ctypes.CDLL(None, use_errno=True)
_CAPS = Struct("<6I")
_LOW = 0xFFFF_FFFF
Call = tuple[str, list[int]]


def _syscall(name: str, *args: object) -> int:
    """Make a call; return its result or -errno."""
    number = ctypes.c_long(_NUMBERS[name])
    result = int(_libc.syscall(number, *(ctypes.c_ulong(a) if isinstance(a, int) else a for a in args)))
    return -ctypes.get_errno() if result == -1 else result


def _capset(permitted: int, inheritable: int, effective: int) -> int:
    sets = effective, permitted, inheritable
    data = _CAPS.pack(*(s & _LOW for s in sets), *(s >> 32 for s in sets))
    return _syscall("capset", (ctypes.c_uint32 * 2)(0x20080522, 0), ctypes.c_char_p(data))


def _setgroups(*groups: int) -> int:
    return _syscall("setgroups", len(groups), (ctypes.c_uint32 * len(groups))(*groups))


def _prctl(option: int) -> Callable[..., int]:
    return lambda *args: _syscall("prctl", option, *args, *[0] * (4 - len(args)))


def _ambient(operation: int) -> Callable[..., int]:
    return lambda *args: _syscall("prctl", prctl.PR_CAP_AMBIENT, operation, *args, *[0] * (3 - len(args)))


_CALLS: dict[str, Callable[..., int]] = {
    "capset": _capset,
    "setgroups": _setgroups,
    "drop_bounding": _prctl(prctl.PR_CAPBSET_DROP),
    "set_keep_caps": _prctl(prctl.PR_SET_KEEPCAPS),
    "set_securebits": _prctl(prctl.PR_SET_SECUREBITS),
    "raise_ambient": _ambient(prctl.PR_CAP_AMBIENT_RAISE),
    "lower_ambient": _ambient(prctl.PR_CAP_AMBIENT_LOWER),
    "clear_ambient": _ambient(prctl.PR_CAP_AMBIENT_CLEAR_ALL),
    "no_new_privs": _prctl(prctl.PR_SET_NO_NEW_PRIVS),
}


def call(name: str, args: list[int]) -> int:
    """Make one call of the library's name on the host; return 0 or -errno."""
    if name in _CALLS:
        return _CALLS[name](*args)
    result = _syscall(f"{name}", *args)
    return 0 if name.startswith("setfs") else result


def parse_status(text: str, securebits: int = 0) -> Credentials:
    """Make credentials of a /proc/PID/status."""
    rows = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    uid, euid, suid, fsuid = (KUID(int(word)) for word in rows["Uid"].split())
    gid, egid, sgid, fsgid = (KGID(int(word)) for word in rows["Gid"].split())
    groups = tuple(KGID(int(word)) for word in rows["Groups"].split())
    permitted, effective, inheritable, bounding, ambient = (
        int(rows[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb")
    )
    return Credentials(
        uid, gid, euid, egid, suid, sgid, fsuid, fsgid, groups,
        permitted, effective, inheritable, bounding, ambient, securebits,
    )  # fmt: skip


def _report() -> tuple[str, int]:
    return Path("/proc/thread-self/status").read_text(), _syscall("prctl", prctl.PR_GET_SECUREBITS, 0, 0, 0, 0)


def in_child(body: Callable[[int], None]) -> bytes:
    """Run body in a child, with the writing end of a pipe; return what it wrote there."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ours)
            body(theirs)
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as file:
        written = file.read()
    os.waitpid(pid, 0)
    return written


def walk(calls: list[Call]) -> list[tuple[int, Credentials]]:
    """Return the credentials at first (with result 0) and after each call, with its result."""

    def body(pipe: int) -> None:
        steps: list[tuple[int, tuple[str, int]]] = [(0, _report())]
        for name, args in calls:
            result = call(name, args)
            steps.append((result, _report()))
        with os.fdopen(pipe, "w") as file:
            json.dump(steps, file)

    return [(result, parse_status(*report)) for result, report in json.loads(in_child(body))]


@cache
def is_root() -> bool:
    """Return whether the host lets us try everything, and shows what it does."""
    (_, start), (result, _) = walk([("setuid", [0])])
    return result == 0 and start.uid == 0 and start.effective.bit_count() >= 38


needs_root = pytest.mark.skipif(not is_root(), reason="the host shows everything to root only")
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

IDS = st.sampled_from([0, 0, 1, 2, 1000, auth.NO_ID, auth.NO_ID])
FEW = st.sampled_from([0, 1, 6, 7, 8, 21, 31, 40])
SETS = st.sets(FEW).map(lambda bits: sum(1 << bit for bit in bits)) | st.just(auth.ALL_CAPS)


def calls(name: str, *args: st.SearchStrategy[int]) -> st.SearchStrategy[Call]:
    """Make calls of one name."""
    return st.tuples(st.just(name), st.tuples(*args).map(list))


CALLS = st.one_of(
    *(calls(name, IDS) for name in ("setuid", "setgid", "setfsuid", "setfsgid")),
    *(calls(name, IDS, IDS) for name in ("setreuid", "setregid")),
    *(calls(name, IDS, IDS, IDS) for name in ("setresuid", "setresgid")),
    *(calls("setgroups", *[IDS] * count) for count in (0, 2)),
    calls("capset", SETS, SETS, SETS),
    *(calls(name, FEW | st.just(41)) for name in ("drop_bounding", "raise_ambient", "lower_ambient")),
    calls("clear_ambient"),
    calls("set_keep_caps", st.integers(0, 2)),
    calls("set_securebits", st.sampled_from([0, 0, 1, 4, 5, 16, 0x30, 0x40, 0xC0, 0x100, 0x300, 0x500, 1 << 12])),
)


def apply(creds: Credentials, name: str, args: list[int]) -> tuple[int, Credentials]:
    """Make one call in the library; return 0 or -errno, and the new credentials."""
    function = getattr(auth, name)
    try:
        return 0, function(creds, args) if name == "setgroups" else function(creds, *args)
    except LinuxError as error:
        return -error.errno, creds


@needs_root
@quick
@given(st.lists(CALLS, min_size=1, max_size=10))
def test_walks(walked: list[Call]) -> None:
    """From root, any sequence of calls gives the host's results and credentials at each step."""
    (_, ours), *steps = walk(walked)
    for (name, args), (result, theirs) in zip(walked, steps, strict=True):
        mine, ours = apply(ours, name, args)
        assert (name, args, mine, ours) == (name, args, result, theirs)


SHOW = """
#include <stdio.h>
#include <sys/auxv.h>
int main(void) {
    char text[8192];
    FILE *file = fopen("/proc/self/status", "r");
    printf("%lu\\n", getauxval(AT_SECURE));
    fwrite(text, 1, fread(text, 1, sizeof text, file), stdout);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a program that prints AT_SECURE and its status, and whose set-id bits and attribute may be set."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("exec")
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o111)
    (folder / "show.c").write_text(SHOW)
    subprocess.run(["cc", "-static", "-o", folder / "show", folder / "show.c"], check=True)
    return folder / "show"


def execute(program: Path, walked: list[Call]) -> tuple[Credentials, int, Credentials | None, bool]:
    """Make the calls and execute; return credentials before, errno, credentials after, AT_SECURE."""

    def body(pipe: int) -> None:
        for name, args in walked:
            call(name, args)
        status, bits = _report()
        os.write(pipe, f"{status}\0{bits}\0".encode())
        os.dup2(pipe, 1)
        try:
            os.execv(program, ["show"])  # noqa: S606  (what is tested)
        except OSError as error:
            os.write(pipe, b"-%d" % (error.errno or 0))

    before, bits, after = in_child(body).decode().split("\0")
    start = parse_status(before, int(bits))
    if after.startswith("-"):
        return start, -int(after), None, False
    secure, text = after.split("\n", 1)
    return start, 0, parse_status(text), secure == "1"


QUIET: Call = ("no_new_privs", [1])
ATTRIBUTES = st.none() | st.builds(FileCapabilities, SETS, SETS, st.booleans(), st.just(0)).map(
    FileCapabilities.to_bytes
)


@needs_root
@quick
@given(
    st.lists(CALLS | st.just(QUIET), max_size=8),
    st.sampled_from([0o755, 0o4755, 0o2755, 0o6755, 0o2745]),
    st.sampled_from([0, 1, 1000]),
    st.sampled_from([0, 2]),
    ATTRIBUTES,
)
@example([("setresuid", [0, 1000, 0]), QUIET], 0o755, 0, 0, None)
@example([("setfsgid", [1000])], 0o755, 0, 0, None)
@example([("setresuid", [1000, 1000, 1000])], 0o4755, 0, 0, FileCapabilities(1, 0, effective=True).to_bytes())
def test_execution(program: Path, walked: list[Call], mode: int, uid: int, gid: int, attribute: bytes | None) -> None:
    """A program executed from any state, with any privileges of its file, gets the host's credentials."""
    os.chown(program, uid, gid)
    program.chmod(mode)
    if attribute is not None:
        os.setxattr(program, auth.XATTR_NAME, attribute)
    elif auth.XATTR_NAME.decode() in os.listxattr(program):
        os.removexattr(program, auth.XATTR_NAME)
    start, errno, theirs, secure = execute(program, walked)
    if errno == 13:
        return  # not allowed to execute it at all
    file = FilePrivileges(mode, KUID(uid), KGID(gid), attribute)
    if errno:
        with pytest.raises(LinuxError) as caught:
            auth.exec_credentials(start, file, no_new_privs=QUIET in walked)
        assert caught.value.errno == errno
        return
    ours = auth.exec_credentials(start, file, no_new_privs=QUIET in walked)
    assert theirs is not None
    assert (ours.creds._replace(securebits=0), ours.secure) == (theirs, secure)


MAP_TEXTS = st.lists(
    st.sampled_from([b"0", b"1", b"5", b"10", b"4294967295", b"4294967294", b"4294967297", b" ", b"  ", b"\n", b"\t"])
    | st.sampled_from([b"-1", b"x", b"\0", b"0 0 1\n", b"1 7 2\n", b"100 100 5\n"]),
    max_size=12,
).map(b"".join)


@needs_root
@quick
@given(MAP_TEXTS)
@example(b"0 0 1")
@example(b"0 0 1\n\n")
@example(b"\v0\f0\r1\xa0\n")
@example(b"0 1 5\n5 6 4\n20 20 1\n30 30 1\n25 25 1\n15 15 1\n40 40 1")
@example(b"".join(b"%d %d 1\n" % (2 * i, 2 * i) for i in range(340)))
@example(b"".join(b"%d %d 1\n" % (2 * i, 2 * i) for i in range(341)))
def test_maps(text: bytes) -> None:
    """What is written to uid_map is taken or refused, and shown, as on the host."""

    def body(pipe: int) -> None:
        ready, go = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            result = _syscall("unshare", 0x1000_0000)
            os.write(ready[1], b"%d" % -result)
            os.read(go[0], 1)
            os._exit(0)
        if os.read(ready[0], 9) == b"0":
            with Path(f"/proc/{pid}/uid_map").open("r+b", buffering=0) as file:
                try:
                    os.write(pipe, b"%d " % file.write(text))
                except OSError as error:
                    os.write(pipe, b"%d " % -(error.errno or 0))
                file.seek(0)
                os.write(pipe, file.read() or b"")
        os.write(go[1], b"x")
        os.waitpid(pid, 0)

    written = in_child(body)
    if not written:
        pytest.skip("the host makes no user namespaces")
    result, shown = written.split(b" ", 1)
    root = auth.user_credentials(0, 0)
    inside = auth.unshare_user(root).user_ns
    try:
        ours = auth.write_uid_map(inside, text, root)
    except LinuxError as error:
        ours = -error.errno
    assert (ours, auth.read_uid_map(inside, auth.INITIAL)) == (int(result), shown)
