"""Limits against a model of do_prlimit, against the host's own calls, and the text against the host's own file."""

import doctest
import io
import resource as host
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_abi import resource
from sentry_abi.errors import EINVAL, EPERM, LinuxError
from sentry_limits import KINDS, NR_OPEN, UNLIMITED, Limit, LimitSet, host_limits
from sentry_limits._state import register
from sentry_state import LoadError, Reader, Registry, Writer

VALUES = st.one_of(st.sampled_from([0, 1, 1024, NR_OPEN, NR_OPEN + 1, UNLIMITED]), st.integers(0, UNLIMITED))
LIMITS = st.builds(Limit, VALUES, VALUES)
CHANGES = st.lists(st.tuples(st.integers(-2, 17), LIMITS, st.booleans()), max_size=20)


def model(now: dict[int, Limit], kind: int, limit: Limit, *, privileged: bool) -> type[LinuxError] | None:
    """Return the error that Linux gives, None if the change is made."""
    if kind not in now:
        return EINVAL
    if limit.soft > limit.hard:
        return EINVAL
    if kind == 7 and limit.hard > 1048576:
        return EPERM
    if limit.hard > now[kind].hard and not privileged:
        return EPERM
    return None


@given(CHANGES)
def test_set_against_the_model(changes: list[tuple[int, Limit, bool]]) -> None:
    """Whatever is set in whatever order, values and errors are the model's; a failure changes nothing."""
    limits, now = LimitSet(), dict.fromkeys(range(16), Limit(UNLIMITED, UNLIMITED))
    for kind, limit, privileged in changes:
        error = model(now, kind, limit, privileged=privileged)
        if error:
            with pytest.raises(error):
                limits.set(kind, *limit, privileged=privileged)
        else:
            assert limits.set(kind, *limit, privileged=privileged) == now[kind]
            now[kind] = limit
        assert {kind: limits.get(kind) for kind in range(16)} == now


@given(CHANGES, st.integers(0, 15), LIMITS)
def test_copy_stands_alone(changes: list[tuple[int, Limit, bool]], kind: int, limit: Limit) -> None:
    """A fork gets equal limits of its own."""
    parent = LimitSet.initial()
    for place, value, _ in changes:
        if 0 <= place < 16:
            parent.put(place, value)
    child = parent.copy()
    assert child == parent
    before = parent.get(kind)
    child.put(kind, limit)
    assert parent.get(kind) == before
    assert (child == parent) == (before == limit)


@given(VALUES, VALUES)
def test_capped(soft: int, maximum: int) -> None:
    """The lower of the two."""
    limits = LimitSet()
    limits.put(resource.RLIMIT_STACK, Limit(soft, UNLIMITED))
    assert limits.capped(resource.RLIMIT_STACK, maximum) == min(soft, maximum)
    assert limits.soft(resource.RLIMIT_STACK) == soft


def test_the_seed_s_four_cases() -> None:
    """Lower is allowed, raising hard is not, soft above hard is not, privilege raises."""
    limits = LimitSet()
    limits.put(resource.RLIMIT_FSIZE, Limit(50, 50))
    assert limits.set(resource.RLIMIT_FSIZE, 20, 40, privileged=False) == Limit(50, 50)
    with pytest.raises(EPERM):
        limits.set(resource.RLIMIT_FSIZE, 20, 50, privileged=False)
    with pytest.raises(EINVAL):
        limits.set(resource.RLIMIT_FSIZE, 41, 40, privileged=False)
    assert limits.set(resource.RLIMIT_FSIZE, 60, 60, privileged=True) == Limit(20, 40)


def test_wrong_use() -> None:
    """A kind that is none is the guest's mistake, a number of more than 64 bits the caller's."""
    limits = LimitSet()
    for kind in (-1, 16):
        with pytest.raises(EINVAL):
            limits.soft(kind)
        with pytest.raises(EINVAL):
            limits.get(kind)
        with pytest.raises(EINVAL):
            limits.put(kind, Limit(0, 0))
    for limit in (Limit(0, 1 << 64), Limit(-1, 0)):
        with pytest.raises(ValueError, match="64 bits"):
            limits.set(0, *limit, privileged=True)
        with pytest.raises(ValueError, match="64 bits"):
            limits.put(0, limit)
    with pytest.raises(ValueError, match="capped at -1"):
        limits.capped(0, -1)
    assert limits != "limits"


def _through_an_image(limits: LimitSet) -> LimitSet:
    registry, file = Registry(), io.BytesIO()
    register(registry)
    with Writer(file, registry=registry) as writer:
        writer.save("limits", [limits, limits])
    file.seek(0)
    one, two = Reader(file, registry=registry).load("limits")
    assert one is two
    assert isinstance(one, LimitSet)
    return one


@given(CHANGES)
def test_saved_and_loaded(changes: list[tuple[int, Limit, bool]]) -> None:
    """The same values, and the same rules from then on."""
    limits = LimitSet.initial()
    for kind, limit, _ in changes:
        limits.put(kind % 16, limit)
    copy = _through_an_image(limits)
    assert copy == limits
    copy.put(0, Limit(1, 2))
    with pytest.raises(EPERM):
        copy.set(0, 1, 3, privileged=False)


def test_images_that_are_no_limits() -> None:
    """Too few kinds, numbers that are none: one clear error."""
    for soft, hard in (([0] * 15, [0] * 16), ([0] * 16, [0] * 17), ([0] * 16, [1 << 64] * 16), ([0] * 16, ["x"] * 16)):
        limits = LimitSet()
        limits._soft, limits._hard = soft, hard  # type: ignore[assignment]
        with pytest.raises(LoadError):
            _through_an_image(limits)


def test_initial_values() -> None:
    """As Linux starts its first process, and what distributions make of it."""
    limits = LimitSet.initial(processes=1000)
    assert limits.get(resource.RLIMIT_STACK) == Limit(8 << 20, UNLIMITED)
    assert limits.get(resource.RLIMIT_CORE) == Limit(0, UNLIMITED)
    assert limits.get(resource.RLIMIT_NOFILE) == Limit(1024, 4096)
    assert limits.get(resource.RLIMIT_NPROC) == limits.get(resource.RLIMIT_SIGPENDING) == Limit(1000, 1000)
    assert limits.get(resource.RLIMIT_NICE) == limits.get(resource.RLIMIT_RTPRIO) == Limit(0, 0)
    assert limits.get(resource.RLIMIT_AS) == Limit(UNLIMITED, UNLIMITED)
    assert LimitSet.distribution().soft(resource.RLIMIT_NPROC) == 1 << 20


def test_text_is_the_host_s() -> None:
    """With the host's values the text is the host's, byte for byte."""
    assert len(KINDS) == 16
    assert host_limits().get(7) == host.getrlimit(host.RLIMIT_NOFILE)
    assert host_limits().render() == Path("/proc/self/limits").read_text()


def test_readme() -> None:
    """The README's example gives what it shows."""
    path = Path(__file__).parent.parent / "README.md"
    failed, tried = doctest.testfile(str(path), module_relative=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert (failed, tried > 0) == (0, True)
