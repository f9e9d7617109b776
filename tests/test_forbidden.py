"""A host that forbids what a platform needs is reported in one line."""

from pathlib import Path

import pytest

from tests.conftest import SENTRY, Guests, run

CALLS = {"ptrace": 101, "seccomp": 317}


@pytest.mark.guest
@pytest.mark.parametrize("call", CALLS)
def test_forbidden_by_the_host(call: str, guests: Guests, tmp_path: Path) -> None:
    """Under a launcher whose filter answers EPERM: exit status 125 and a line that says what to allow."""
    launcher = guests.program("hostile/refuse", "dynamic")
    ended = run([launcher, str(CALLS[call]), SENTRY, "do", "--platform", "notify", "--", "/bin/true"], tmp_path)
    assert ended.status == 125, ended
    assert ended.out == b""
    assert ended.err.count(b"\n") == 1
    assert b"not permitted" in ended.err


@pytest.mark.guest
@pytest.mark.parametrize("call", CALLS)
def test_the_report_says_so(call: str, guests: Guests, tmp_path: Path) -> None:
    """`sentry platforms` works there and names the reason."""
    launcher = guests.program("hostile/refuse", "dynamic")
    ended = run([launcher, str(CALLS[call]), SENTRY, "platforms"], tmp_path)
    assert ended.status == 0
    assert b"notify" in ended.out
    assert b"not permitted" in ended.out
