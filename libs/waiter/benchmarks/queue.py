"""What the operations of a queue cost, alone and beside ten thousand other entries."""

import timeit

from sentry_waiter import IN, OUT, Entry, Queue


class Sink(Entry):
    """An entry that takes no note."""

    __slots__ = ()

    def notify(self, queue: Queue, mask: int) -> None:
        """Do nothing."""


ROUNDS = 200_000


def come_and_go(queue: Queue, entry: Entry) -> None:
    """Register and unregister."""
    queue.register(entry, IN)
    queue.unregister(entry)


def measure(statement: str, queue: Queue) -> float:
    """Return the best time of a statement over queue and entry in microseconds."""
    names = {"queue": queue, "entry": Sink(), "come_and_go": come_and_go, "IN": IN}
    return min(timeit.repeat(statement, globals=names, number=ROUNDS, repeat=3)) / ROUNDS * 1e6


for others in (0, 10_000):
    crowd = Queue()
    for _ in range(others):
        crowd.register(Sink(), OUT)
    print(f"beside {others} entries: register and unregister {measure('come_and_go(queue, entry)', crowd):.2f} us")
one = Queue()
one.register(Sink(), IN)
print(
    f"notify one {measure('queue.notify(IN)', one):.2f} us, notify none {measure('queue.notify(IN)', Queue()):.2f} us"
)
