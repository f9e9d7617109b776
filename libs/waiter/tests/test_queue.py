"""Wait queues against a naive model, the numbers of the masks against the host, and the README's example."""

import doctest
import select
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sentry_waiter as waiter
from sentry_waiter import Entry, Queue


class Note(Entry):
    """An entry that keeps what it is told."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.told: list[int] = []

    def notify(self, queue: Queue, mask: int) -> None:
        """Keep the mask."""
        assert isinstance(queue, Queue)
        self.told.append(mask)


MASKS = st.integers(0, 0x3FFF)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("register"), st.integers(0, 4), MASKS),
        st.tuples(st.just("unregister"), st.integers(0, 4), MASKS),
        st.tuples(st.just("notify"), st.just(0), MASKS),
    ),
    max_size=30,
)


@given(STEPS)
def test_against_the_model(steps: list[tuple[str, int, int]]) -> None:
    """Each is told of what it asked for, and of nothing else, in order of registration."""
    queue, entries = Queue(), [Note() for _ in range(5)]
    wanted: dict[int, int] = {}
    expected: list[list[int]] = [[] for _ in entries]
    for verb, who, mask in steps:
        if verb == "register":
            queue.register(entries[who], mask)
            wanted[who] = mask
        elif verb == "unregister":
            queue.unregister(entries[who])
            wanted.pop(who, None)
        else:
            queue.notify(mask)
            for place, asked in wanted.items():
                if asked & mask:
                    expected[place].append(asked & mask)
        assert len(queue) == len(wanted)
        assert bool(queue) == bool(wanted)
    assert [entry.told for entry in entries] == expected


def test_order_of_registration() -> None:
    """First come, first told; a new mask does not cost the place."""
    order: list[str] = []

    class Named(Entry):
        def __init__(self, name: str) -> None:
            self.name = name

        def notify(self, queue: Queue, mask: int) -> None:
            order.append(self.name)

    queue, entries = Queue(), [Named(name) for name in "abc"]
    for entry in entries:
        queue.register(entry, waiter.IN)
    queue.register(entries[0], waiter.IN | waiter.OUT)
    queue.notify(waiter.IN)
    assert order == ["a", "b", "c"]


def test_entries_come_and_go_while_others_are_told() -> None:
    """A notification works on the entries that stood there when it began."""
    late = Note()

    class Restless(Entry):
        def notify(self, queue: Queue, mask: int) -> None:
            queue.unregister(self)
            queue.register(late, mask)

    queue = Queue()
    queue.register(Restless(), waiter.IN)
    queue.notify(waiter.IN)
    assert late.told == []
    queue.notify(waiter.IN)
    assert late.told == [waiter.IN]


def test_an_entry_stands_in_several_queues() -> None:
    """Each queue keeps a mask of its own for it."""
    entry, first, second = Note(), Queue(), Queue()
    first.register(entry, waiter.IN)
    second.register(entry, waiter.OUT)
    first.notify(waiter.IN | waiter.OUT)
    second.notify(waiter.IN | waiter.OUT)
    assert entry.told == [waiter.IN, waiter.OUT]


def test_an_entry_must_take_note() -> None:
    """The base class has no opinion on what to do."""
    queue = Queue()
    queue.register(Entry(), waiter.IN)
    with pytest.raises(NotImplementedError):
        queue.notify(waiter.IN)


def test_masks_are_the_host_s() -> None:
    """The bits are those of poll(2)."""
    for name in ("IN", "PRI", "OUT", "ERR", "HUP", "NVAL", "RDNORM", "RDBAND", "WRNORM", "WRBAND", "MSG", "RDHUP"):
        assert getattr(waiter, name) == getattr(select, f"POLL{name}")
    assert waiter.READABLE | waiter.WRITABLE == waiter.IN | waiter.RDNORM | waiter.OUT | waiter.WRNORM
    assert waiter.ALWAYS == waiter.ERR | waiter.HUP


def test_readme() -> None:
    """The README's example gives what it shows."""
    failed, tried = doctest.testfile(str(Path(__file__).parent.parent / "README.md"), module_relative=False)
    assert (failed, tried > 0) == (0, True)
