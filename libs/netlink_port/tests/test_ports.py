"""Port ids against a naive model, from many threads, and saved."""

import io
import random
import threading
from collections.abc import Callable
from os import urandom

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_netlink_port import HIGHEST, LOWEST, MAX_PORTS, Manager, PortError
from sentry_netlink_port._state import register
from sentry_state import LoadError, Reader, Registry, Writer


def begin(port: int) -> Callable[[int], bytes]:
    """Return random bytes that let a search begin at a port."""
    return lambda count: (port - LOWEST).to_bytes(count, "little")


def test_hints() -> None:
    """Given when free, for each protocol apart, again after release, of any sign."""
    ports = Manager(urandom)
    assert ports.allocate(0, 5) == 5
    other = ports.allocate(0, 5)
    assert other is not None
    assert LOWEST <= other <= HIGHEST
    assert ports.allocate(1, 5) == 5
    ports.release(0, 5)
    assert ports.allocate(0, 5) == 5
    for hint in (-1, -4096, LOWEST, (1 << 31) - 1):
        assert ports.allocate(0, hint) == hint
    zero = ports.allocate(0, 0)
    assert zero is not None
    assert zero <= HIGHEST


def test_the_limit() -> None:
    """9,999 ids beside the kernel's; then even a free hint is refused, and other protocols go on."""
    ports = Manager(urandom)
    for number in range(1, MAX_PORTS):
        assert ports.allocate(0, number) == number
    assert ports.allocate(0, 1) is None
    assert ports.allocate(0, MAX_PORTS + 5) is None
    assert ports.allocate(1, 1) == 1
    assert len(ports.in_use(0)) == MAX_PORTS
    ports.release(0, 77)
    assert ports.allocate(0, 77) == 77


def test_the_search_wraps_from_the_bottom() -> None:
    """Signed 32-bit arithmetic: after -2**31 comes -4097, never -4096 or a positive id."""
    ports = Manager(begin(LOWEST + 1))
    found = [ports.allocate(0, 0) for _ in range(4)]
    assert found == [LOWEST + 1, LOWEST, HIGHEST, HIGHEST - 1]


def test_the_random_place_is_in_range() -> None:
    """Also that of the system's random numbers."""
    ports = Manager(urandom)
    for _ in range(2000):
        port = ports.allocate(0, 0)
        assert port is not None
        assert LOWEST <= port <= HIGHEST
    for raw in (bytes(4), b"\xff" * 4):
        port = Manager(lambda _, raw=raw: raw).allocate(0, 0)  # type: ignore[misc]  # the loop's own
        assert port is not None
        assert LOWEST <= port <= HIGHEST


def test_wrong_use() -> None:
    """What is not in use, the kernel's id, hints that are none."""
    ports = Manager(urandom)
    with pytest.raises(PortError, match="port id 5 of netlink protocol 0 is not in use"):
        ports.release(0, 5)
    ports.allocate(0, 5)
    with pytest.raises(PortError, match="not in use"):
        ports.release(1, 5)
    with pytest.raises(PortError, match="not in use"):
        ports.release(0, 6)
    with pytest.raises(PortError, match="never released"):
        ports.release(0, 0)
    for hint in (1 << 31, LOWEST - 1):
        with pytest.raises(PortError, match="32 bits"):
            ports.allocate(0, hint)
    assert ports.in_use(9) == {0}


steps = st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 3) | st.just(HIGHEST), st.booleans()), max_size=60)


@given(steps, st.integers(0, 1000))
def test_against_a_naive_model(steps: "list[tuple[int, int, bool]]", seed: int) -> None:
    """A set of pairs; whatever is given was free, and the hint was taken if it was free."""
    rng = random.Random(seed)  # noqa: S311  (no secret)
    ports = Manager(lambda _: begin(rng.choice([LOWEST, HIGHEST, -5000]))(4))
    used: set[tuple[int, int]] = set()
    for protocol, hint, give_back in steps:
        if give_back and (protocol, hint) in used:
            ports.release(protocol, hint)
            used.remove((protocol, hint))
            continue
        port = ports.allocate(protocol, hint)
        assert port is not None
        assert (protocol, port) not in used
        assert port != 0
        assert (port == hint) == (hint != 0 and (protocol, hint) not in used)
        assert port == hint or LOWEST <= port <= HIGHEST
        used.add((protocol, port))
    for protocol in range(3):
        assert ports.in_use(protocol) == {0} | {port for of, port in used if of == protocol}


def _through_an_image(ports: Manager) -> Manager:
    registry, file = Registry(), io.BytesIO()
    register(registry)
    with Writer(file, registry=registry) as writer:
        writer.save("ports", ports)
    file.seek(0)
    found = Reader(file, registry=registry).load("ports")
    assert isinstance(found, Manager)
    found.random_bytes = ports.random_bytes
    return found


def test_images_that_are_no_ports() -> None:
    """Ids without the kernel's, of more than 32 bits, or that are none: one clear error."""
    for bad in ({1}, {0, 1 << 31}, {0, LOWEST - 1}, {0, "x"}, [0], set(range(MAX_PORTS + 1))):
        ports = Manager(urandom)
        ports._ports[3] = bad  # type: ignore[assignment]
        with pytest.raises(LoadError, match="protocol 3 make no sense"):
            _through_an_image(ports)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-(1 << 31), (1 << 31) - 1)), max_size=50))
def test_saved_and_loaded(taken: "list[tuple[int, int]]") -> None:
    """The ids stay in use; lock and random numbers are new and work."""
    ports = Manager(begin(-9999))
    for protocol, hint in taken:
        ports.allocate(protocol, hint)
    found = _through_an_image(ports)
    for protocol in range(4):
        assert found.in_use(protocol) == ports.in_use(protocol)
        port = found.allocate(protocol, 0)
        assert port is not None
        assert port not in ports.in_use(protocol)
        found.release(protocol, port)


def test_many_threads() -> None:
    """No caller gets an id that another has."""
    ports = Manager(begin(-5000))
    seen: list[int] = []
    failed: list[int] = []

    def work(number: int) -> None:
        own: list[int] = []
        for turn in range(300):
            port = ports.allocate(0, number % 2 + 1)
            assert port is not None
            own.append(port)
            if turn % 3 == 0:
                ports.release(0, own.pop(0))
        seen.extend(own)
        failed.extend(port for port in own if port not in ports.in_use(0))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert len(seen) == len(set(seen)) == 8 * 200
    assert ports.in_use(0) == {0, *seen}
