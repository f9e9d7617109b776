"""The registry: platforms by name, the first that starts, and what is not built."""

import subprocess
import sys

import pytest

from sentry_platform import AUTO, PLATFORMS, PlatformError, UnknownPlatformError, open_platform, probe_platforms
from sentry_platform._notify import NotifyPlatform
from sentry_platform._ptrace import PtracePlatform

USED = """
import sys
import sentry_platform
assert not [name for name in sys.modules if name.endswith(("_stubs", "_notify", "_ptrace", "_native._lib"))]
sentry_platform.open_platform("ptrace").close()
assert "sentry_platform._ptrace" in sys.modules
assert "sentry_platform._notify" not in sys.modules
"""


def test_each_platform_opens_by_its_name() -> None:
    """A built platform starts under its own name; the first one is what AUTO gives where it works."""
    assert PLATFORMS == ("notify", "ptrace", "kvm")
    for name in ("notify", "ptrace"):
        platform = open_platform(name)
        assert platform.name == name
        platform.close()
    platform = open_platform()
    assert platform.name == "notify"
    platform.close()


@pytest.mark.parametrize("name", ["kvm", "abacus", ""])
def test_unknown_names(name: str) -> None:
    """A name that is not built says which are."""
    with pytest.raises(UnknownPlatformError) as caught:
        open_platform(name)
    assert str(caught.value) == f"the platform {name!r} is not part of this version; there are: notify, ptrace"


def test_auto_takes_the_next_and_reports_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTO goes on to the next platform; when none works the first one's reason counts."""

    def refuse(self: object) -> None:
        raise PlatformError(type(self).__name__)

    monkeypatch.setattr(NotifyPlatform, "__init__", refuse)
    platform = open_platform(AUTO)
    assert platform.name == "ptrace"
    platform.close()
    monkeypatch.setattr(PtracePlatform, "__init__", refuse)
    with pytest.raises(PlatformError, match="NotifyPlatform"):
        open_platform(AUTO)
    found = probe_platforms()
    assert found["notify"].verdict() == "does not work: NotifyPlatform"
    assert found["ptrace"].verdict() == "does not work: PtracePlatform"


def test_probe() -> None:
    """Every platform has a verdict of one line."""
    found = probe_platforms()
    assert tuple(found) == PLATFORMS
    assert [result.usable for result in found.values()] == [True, True, False]
    assert found["notify"].verdict() == "works: seccomp user notification and ptrace work"
    assert found["ptrace"].verdict() == "works: PTRACE_SYSEMU works"
    assert found["kvm"].verdict() == "is not part of this version"


def test_only_the_opened_platform_is_imported() -> None:
    """Importing the library loads no platform; opening one loads no other."""
    subprocess.run([sys.executable, "-c", USED], check=True, timeout=60)
