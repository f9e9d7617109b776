"""Guests that try to escape."""

import os
from pathlib import Path

import pytest

from tests.conftest import Guests, Sandbox


@pytest.mark.guest
def test_no_attack_succeeds(sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """All attacks fail, the kernel is alive afterwards, and the folder that they try to make is not on the host."""
    program = guests.program("hostile/escape", "dynamic")
    forbidden = tmp_path / "forbidden"
    ended = sandbox.run([program, str(forbidden)], tmp_path)
    lines = ended.out.decode().splitlines()
    assert lines[-1:] == ["alive"], ended
    assert [line for line in lines if "ESCAPED" in line] == []
    assert len(lines) > 25, lines
    assert ended.status == 0
    assert not forbidden.exists()


@pytest.mark.guest
def test_processes_of_the_host_are_not_visible(sandbox: Sandbox, tmp_path: Path) -> None:
    """No name of /proc leads to the host's: neither to this process nor to the sentry, which has a secret."""
    word = "a-word-that-only-the-sentry-has"
    names = "/proc //proc /dev/../proc /proc/self/root/proc /proc/1/root/proc /proc/self/cwd/../../../../../proc"
    script = f"""
        ln -s /proc /tmp/link
        for proc in {names} /tmp/link; do
            test -e $proc/{os.getpid()}/status && echo "$proc shows the" host
            for who in self 1 2 thread-self; do
                for file in environ cmdline maps status mountinfo; do cat $proc/$who/$file; done
            done
        done
        echo end
    """
    argv = ["/usr/bin/env", "-u", "SENTRY_WORD", "/bin/sh", "-c", script]
    ended = sandbox.run(argv, tmp_path, environment={"SENTRY_WORD": word})
    assert ended.out.endswith(b"end\n"), ended
    assert b"shows the host" not in ended.out
    assert word.encode() not in ended.out
    assert ended.out.count(b"Name:") > 10, "no file was read"
