"""Wait queues against a naive model."""

import doctest
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_state import Reader, Registry, Writer
from sentry_waiter import HUP, IN, OUT, Entry, Queue
from sentry_waiter._state import register


class Listener(Entry):
    """Records its notifications."""

    __slots__ = ("notified",)

    def __init__(self) -> None:
        """Begin with nothing."""
        self.notified: list[tuple[Queue, int]] = []

    def notify(self, queue: Queue, mask: int) -> None:
        """Note it."""
        self.notified.append((queue, mask))


class Leaver(Listener):
    """Leaves the queue when notified, and takes another entry with it."""

    __slots__ = ("other",)

    def __init__(self, other: Entry) -> None:
        """Take other along."""
        super().__init__()
        self.other = other

    def notify(self, queue: Queue, mask: int) -> None:
        """Note it and leave."""
        super().notify(queue, mask)
        queue.unregister(self)
        queue.register(self.other, IN)


@given(
    st.lists(st.tuples(st.sampled_from(["register", "unregister", "notify"]), st.integers(0, 4), st.integers(0, 31)))
)
def test_against_a_model(steps: list[tuple[str, int, int]]) -> None:
    """Which entries are notified of which bits, and in which order."""
    queue = Queue()
    order: list[str] = []

    class Named(Entry):
        """An entry that writes its name into the common list."""

        __slots__ = ("name",)

        def __init__(self, name: str) -> None:
            """Take a name."""
            self.name = name

        def notify(self, queue: Queue, mask: int) -> None:
            """Note it."""
            order.append(f"{self.name}:{mask}")

    entries = [Named(str(i)) for i in range(5)]
    model: dict[int, int] = {}
    for what, which, mask in steps:
        if what == "register":
            queue.register(entries[which], mask)
            model[which] = mask
        elif what == "unregister":
            queue.unregister(entries[which])
            model.pop(which, None)
        else:
            order.clear()
            queue.notify(mask)
            assert order == [f"{i}:{m & mask}" for i, m in model.items() if m & mask]
        assert len(queue) == len(model)
        assert bool(queue) == bool(model)


def test_entries_may_come_and_go_while_told() -> None:
    """A notification works on the entries of its beginning."""
    queue, late = Queue(), Listener()
    leaver, last = Leaver(late), Listener()
    queue.register(leaver, IN | OUT)
    queue.register(last, HUP | IN)
    queue.notify(IN)
    assert [m for _, m in leaver.notified] == [IN]
    assert [m for _, m in last.notified] == [IN]
    assert late.notified == []
    queue.notify(IN)
    assert len(late.notified) == 1
    assert len(leaver.notified) == 1


def test_one_entry_in_several_queues() -> None:
    """An entry learns which queue it was."""
    one, two, listener = Queue(), Queue(), Listener()
    one.register(listener, IN)
    two.register(listener, IN)
    two.notify(IN)
    assert listener.notified == [(two, IN)]


def test_an_entry_must_define_notify() -> None:
    """The base class says what is missing."""
    queue = Queue()
    queue.register(Entry(), IN)
    with pytest.raises(NotImplementedError, match="Entry is in a wait queue"):
        queue.notify(IN)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 31))), st.integers(0, 31))
def test_saved_with_its_entries(steps: list[tuple[int, int, int]], mask: int) -> None:
    """Entries, their order and their masks are the same after a save."""
    registry = Registry()
    register(registry)
    registry.savable("test.Listener", fields=("notified",))(Listener)
    queues, entries = [Queue(), Queue()], [Listener() for _ in range(5)]
    for which, entry, wanted in steps:
        queues[which].register(entries[entry], wanted)
    file = io.BytesIO()
    with Writer(file, registry=registry) as writer:
        writer.save("queues", [queues, entries])
    file.seek(0)
    copies, listeners = Reader(file, registry=registry).load("queues")
    for queue, copy in zip(queues, copies, strict=True):
        assert len(copy) == len(queue)
        queue.notify(mask)
        copy.notify(mask)
    for original, listener in zip(entries, listeners, strict=True):
        assert [(copies.index(q), m) for q, m in listener.notified] == [
            (queues.index(q), m) for q, m in original.notified
        ]


def test_readme() -> None:
    """The README's example gives what it shows."""
    path = Path(__file__).parent.parent / "README.md"
    failed, tried = doctest.testfile(str(path), module_relative=False)
    assert (failed, tried > 0) == (0, True)
