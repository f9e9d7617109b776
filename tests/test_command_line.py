"""The command line: exit statuses, messages of one line, standard descriptors."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import SENTRY, Ended, Guests, Sandbox, run


def one_line(ended: Ended) -> str:
    """Return the only line of standard error; it names the program and has no traceback."""
    lines = ended.err.decode().splitlines()
    assert len(lines) == 1, ended.err.decode()
    assert lines[0].startswith("sentry: ")
    return lines[0]


@pytest.mark.parametrize(
    "words",
    [
        [], ["do"], ["do", "--"], ["nonsense"], ["--nonsense", "do", "true"], ["do", "--nonsense", "true"],
        ["do", "--platform"], ["do", "--platform", "abacus", "true"], ["do", "--debug=1", "true"],
        ["--platform", "do", "true"],
        ["do", "--debug-log=", "true"], ["platforms", "extra"],
    ],
)  # fmt: skip
def test_wrong_command_line(words: list[str], tmp_path: Path) -> None:
    """Status 125, one line, nothing on standard output."""
    ended = run([SENTRY, *words], tmp_path)
    assert ended.status == 125
    assert ended.out == b""
    assert "--help" in one_line(ended)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--volume", "data"], "--volume data: not SRC:DST"),
        (["--volume", ":/x"], "not SRC:DST"),
        (["--volume", "data:relative"], "absolute DST"),
        (["--volume", "data:/x:rx"], "'rx' is neither ro nor rw"),
        (["--volume", "data:/x:ro:more"], "not SRC:DST"),
        (["--volume", "data:/"], "--rootfs"),
        (["--volume", "nothing:/x"], "nothing: No such file or directory"),
        (["--volume", "data/file:/x"], "data/file: Not a directory"),
        (["--volume", "data:/etc/passwd"], "/etc/passwd: Not a directory"),
        (["--volume", "/proc:/x"], "/proc: "),
        (["--workdir", "nowhere"], "nowhere' cannot be used inside: No such file or directory"),
        (["-w", "/etc/passwd"], "Not a directory"),
        (["--env", "novalue"], "--env novalue: not KEY=VALUE"),
        (["-e", "=x"], "not KEY=VALUE"),
        (["--rootfs", "nothing"], "--rootfs nothing: No such file or directory"),
    ],
)
def test_wrong_places(words: list[str], says: str, tmp_path: Path) -> None:
    """Status 125 and one line that names the option."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_bytes(b"")
    ended = run([SENTRY, "do", *words, "--", "/bin/true"], tmp_path)
    assert (ended.status, ended.out) == (125, b"")
    assert says in one_line(ended)


@pytest.mark.guest
def test_volumes(sandbox: Sandbox, tmp_path: Path) -> None:
    """What the guest writes to a volume is on the host, nothing else is; a read-only one is read-only."""
    for name in ("rw", "ro"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").write_bytes(name.encode())
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    (tmp_path / "rw/link").symlink_to("../outside")
    script = """
        umask 027; cat old /mnt/ro/old; echo new > new; mkdir -p d/e; echo x > d/e/f
        mv d/e/f d/g; ln d/g d/h; ln -s g d/s; rm old; chmod 4755 new; echo more >> new; cat link
        echo lost > /elsewhere; echo no > /mnt/ro/old; rm /mnt/ro/old
        echo "$PWD $A $B"
    """
    options = ["--volume", "rw:/mnt/rw", "--volume", "ro:/mnt/ro:ro", "-w", "/mnt/rw", "-e", "A=1", "--env", "B=x=y"]
    ended = sandbox.run(["sh", "-c", script], tmp_path, options=options)
    assert ended.out == b"rwro/mnt/rw 1 x=y\n", ended
    assert sorted(p.name for p in (tmp_path / "rw").rglob("*")) == ["d", "e", "g", "h", "link", "new", "s"]
    assert (tmp_path / "rw/new").read_bytes() == b"new\nmore\n"
    assert (tmp_path / "rw/d").stat().st_mode & 0o7777 == 0o750
    assert (tmp_path / "rw/d/g").stat().st_nlink == 2
    assert (tmp_path / "ro/old").read_bytes() == b"ro"
    assert outside.read_bytes() == b"secret"


@pytest.mark.guest
def test_niceness(sandbox: Sandbox, tmp_path: Path) -> None:
    """The command is as nice as the sentry: for the host's scheduler and in getpriority."""
    command = ["nice", "-n", "3", str(SENTRY), "do", "--platform", sandbox.platform, "--", "nice"]
    assert run(command, tmp_path).out == b"%d\n" % (os.getpriority(os.PRIO_PROCESS, 0) + 3)


@pytest.mark.guest
def test_rootfs(sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """Another root, with its own programs; what is written to it stays in memory."""
    (tmp_path / "root/bin").mkdir(parents=True)
    (tmp_path / "root/etc").mkdir()
    shutil.copy2(guests.program("pipes", "static"), tmp_path / "root/bin/program")
    ended = sandbox.run(["/bin/program"], tmp_path, options=["--rootfs", "root", "-w", "/etc"])
    assert ended.status == 0, ended
    assert ended.out
    assert sorted(p.name for p in (tmp_path / "root").rglob("*")) == ["bin", "etc", "program"]
    assert sandbox.run(["/bin/sh"], tmp_path, options=["--rootfs", "root"]).status == 127


@pytest.mark.parametrize("words", [["--help"], ["do", "--help"], ["--version"], ["platforms"], ["platforms", "--help"]])
def test_information(words: list[str], tmp_path: Path) -> None:
    """Help, version and platforms go to standard output."""
    ended = run([SENTRY, *words], tmp_path)
    assert (ended.status, ended.err) == (0, b"")
    assert ended.out


@pytest.mark.guest
def test_hello(sandbox: Sandbox, tmp_path: Path) -> None:
    """A program's output and status are its own."""
    assert sandbox.run(["/bin/echo", "hello"], tmp_path) == (0, b"hello\n", b"")
    assert sandbox.shell("exit 42", tmp_path).status == 42
    assert sandbox.run(["false"], tmp_path).status == 1
    assert sandbox.run(["cat"], tmp_path, given=b"one\ntwo\n") == (0, b"one\ntwo\n", b"")


@pytest.mark.guest
def test_death_by_signal_is_128_and_more(sandbox: Sandbox, tmp_path: Path) -> None:
    """As a shell shows it."""
    assert sandbox.shell("kill -TERM $$", tmp_path).status == 128 + signal.SIGTERM
    assert sandbox.shell("kill -SEGV $$", tmp_path).status == 128 + signal.SIGSEGV


@pytest.mark.guest
def test_options_before_and_after(tmp_path: Path) -> None:
    """The latter wins; `--` ends options; without it the first word that is no option does."""
    first = run([SENTRY, "--platform", "abacus", "do", "--platform", "notify", "true"], tmp_path)
    assert first.status == 125, "a wrong value is wrong before and after `do`"
    assert (
        run([SENTRY, "--platform", "auto", "do", "--platform=notify", "/bin/echo", "--debug"], tmp_path).out
        == b"--debug\n"
    )
    assert run([SENTRY, "do", "--", "/bin/echo", "--", "-x"], tmp_path).out == b"-- -x\n"


@pytest.mark.guest
def test_missing_program(sandbox: Sandbox, tmp_path: Path) -> None:
    """Status 127."""
    for name in ("no-such-program", "/no/such/program", "./missing"):
        ended = sandbox.run([name], tmp_path)
        assert ended.status == 127
        assert one_line(ended) == f"sentry: {name}: not found"
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    ended = sandbox.run([script], tmp_path)
    assert ended.status == 127
    assert one_line(ended) == f"sentry: {script}: its interpreter is not found"


@pytest.mark.guest
def test_unusable_program(sandbox: Sandbox, tmp_path: Path) -> None:
    """Status 126 for what is there but cannot run."""
    plain = tmp_path / "plain"
    plain.write_text("text\n")
    plain.chmod(0o644)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"\x7fELF\x02\x01\x01" + b"\xff" * 100)
    damaged.chmod(0o755)
    short = tmp_path / "short"
    short.write_bytes(b"\x7fELF")
    short.chmod(0o755)
    for path in (plain, damaged, short, tmp_path):
        ended = sandbox.run([path], tmp_path)
        assert ended.status == 126, path
        one_line(ended)


@pytest.mark.guest
def test_working_directory_is_gone(tmp_path: Path) -> None:
    """Status 125."""
    gone = tmp_path / "gone"
    gone.mkdir()
    argv = ["/bin/sh", "-c", f"cd {gone}; rmdir {gone}; exec {SENTRY} do -- /bin/true"]
    ended = run(argv, tmp_path)
    assert ended.status == 125
    one_line(ended)


@pytest.mark.guest
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">/dev/full", "<&- >&- 2>&-"])
def test_closed_descriptors(redirection: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """A program finds its standard descriptors as on the host."""
    program = "/bin/sh -c 'echo out || exit 7; read line; echo got $?; ls -l /nowhere; exit 3'"
    host = run(["/bin/sh", "-c", f"{program} {redirection}"], tmp_path)
    ours = run(["/bin/sh", "-c", f"{SENTRY} do --platform {sandbox.platform} -- {program} {redirection}"], tmp_path)
    assert ours == host


@pytest.mark.guest
def test_reader_goes_away(sandbox: Sandbox, tmp_path: Path) -> None:
    """The guest gets SIGPIPE, as on the host."""
    script = f"{SENTRY} do --platform {sandbox.platform} -- seq 100000 | head -n 2"
    assert run(["/bin/sh", "-c", script], tmp_path) == (0, b"1\n2\n", b"")


@pytest.mark.guest
def test_debug_log_names_missing_calls(sandbox: Sandbox, tmp_path: Path) -> None:
    """A call without a handler answers ENOSYS and is in the log."""
    source = "import ctypes; print(ctypes.CDLL(None, use_errno=True).syscall(183, 0))"
    log = tmp_path / "log"
    options = ["--platform", sandbox.platform, "--debug-log", str(log)]
    ended = run([SENTRY, "do", *options, "--", "/usr/bin/python3", "-c", source], tmp_path)
    assert ended.out == b"-1\n"
    assert ended.err == b""
    assert "afs_syscall" in log.read_text()


@pytest.mark.guest
def test_strace_shows_calls(sandbox: Sandbox, tmp_path: Path) -> None:
    """--strace prints calls by name on standard error and leaves standard output alone."""
    ended = run([SENTRY, "do", "--platform", sandbox.platform, "--strace", "/bin/echo", "hi"], tmp_path)
    assert ended.out == b"hi\n"
    assert b"write(" in ended.err
    assert b"exit_group(" in ended.err


def descendants(pid: int) -> set[int]:
    """Return the processes below pid."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(text.rpartition(")")[2].split()[1])
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.guest
def test_kill_of_the_sentry_leaves_no_guest(sandbox: Sandbox, tmp_path: Path) -> None:
    """Every process that runs guest code dies with the sentry."""
    script = "sleep 1000 & sleep 1000 & while :; do :; done & echo started; wait"
    argv = [str(SENTRY), "do", "--platform", sandbox.platform, "--", "/bin/sh", "-c", script]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        below = descendants(process.pid)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and any(map(alive, below)):
            time.sleep(0.02)
        left = {pid for pid in below if alive(pid)}
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left


@pytest.mark.guest
def test_interrupt_reaches_the_guest(sandbox: Sandbox, tmp_path: Path) -> None:
    """Control-C ends the guest as on the host, within a moment.

    The command says that it has started, not the shell: dash loses an interrupt that comes between its vfork and the
    execve, on the host too (about 1 of 100 at once after a line of its own).
    """
    script = "sh -c 'echo started; exec sleep 1000'; exit $?"
    argv = [str(SENTRY), "do", "--platform", sandbox.platform, "--", "/bin/sh", "-c", script]
    with subprocess.Popen(
        argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        os.killpg(process.pid, signal.SIGINT)
        try:
            _, err = process.communicate(timeout=10)
        finally:
            process.kill()
        assert b"Traceback" not in err
        assert process.returncode in {128 + signal.SIGINT, -signal.SIGINT}


@pytest.mark.guest
def test_many_interrupts(sandbox: Sandbox, tmp_path: Path) -> None:
    """Interrupts while the sandbox ends say nothing and change no status but to that of an interrupt."""
    argv = [str(SENTRY), "do", "--platform", sandbox.platform, "--", "/bin/sh", "-c", "echo started; exec sleep 1000"]
    for _ in range(10):
        with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            deadline = time.monotonic() + 20
            while process.poll() is None and time.monotonic() < deadline:
                process.send_signal(signal.SIGINT)
                time.sleep(0.0002)
            process.kill()
            _, err = process.communicate()
        assert (process.returncode, err) == (128 + signal.SIGINT, b"")


@pytest.mark.guest
def test_interrupt_reaches_the_command_of_a_waiting_shell(sandbox: Sandbox, tmp_path: Path) -> None:
    """Control-C goes to the whole process group: a shell that catches it waits until its command has died of it."""
    script = "trap : INT; sh -c 'echo started; exec sleep 1000'; echo after $?"
    outcomes = []
    for words in ([], [str(SENTRY), "do", "--platform", sandbox.platform, "--"]):
        argv = [*words, "/bin/sh", "-c", script]
        with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, start_new_session=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            os.killpg(process.pid, signal.SIGINT)
            try:
                out, _ = process.communicate(timeout=10)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        outcomes.append((out, process.returncode))
    assert outcomes[0] == outcomes[1] == (b"after 130\n", 0)


@pytest.mark.guest
def test_sendfile_from_standard_input(sandbox: Sandbox, tmp_path: Path) -> None:
    """An inherited regular file has its position on the host, and sendfile moves it."""
    (tmp_path / "data").write_bytes(b"0123456789" * 10_000)
    guest = "import os; os.read(0, 5); n = os.sendfile(1, 0, None, 99_000); os.write(1, os.read(0, 10) + b'|%d' % n)"
    words = [os.fspath(SENTRY), "do", "--platform", sandbox.platform, "--", "/usr/bin/python3", "-c", f'"{guest}"']
    ended = run(["/bin/sh", "-c", " ".join(words) + " < data | cat"], tmp_path)
    assert ended.out == (b"0123456789" * 10_000)[5:99_015] + b"|99000", ended.err


@pytest.mark.guest
@pytest.mark.parametrize("limit", ["-v 4000000", "-f 100"])
def test_host_limits_that_are_too_low(limit: str, tmp_path: Path) -> None:
    """What the host's limits do not allow is reported in one line."""
    ended = run(["/bin/bash", "-c", f"ulimit {limit}; exec {SENTRY} do -- /bin/true"], tmp_path)
    assert ended.status == 125
    assert ended.err.count(b"\n") == 1
    assert b"internal error" not in ended.err


@pytest.mark.guest
@pytest.mark.parametrize("limit", ["-n 40", "-s unlimited", "-s 256", "-t 60"])
def test_host_limits_that_do_not_matter(limit: str, tmp_path: Path) -> None:
    """The guest has the host's limits; the sentry works within them."""
    ended = run(["/bin/bash", "-c", f"ulimit {limit}; exec {SENTRY} do -- /bin/echo fine"], tmp_path)
    assert (ended.status, ended.out) == (0, b"fine\n"), ended
