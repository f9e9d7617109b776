"""What taking and giving back an id costs, in an empty and in a crowded protocol."""

import timeit
from os import urandom

from sentry_netlink_port import MAX_PORTS, Manager

ROUNDS = 50_000


def come_and_go(manager: Manager, hint: int) -> None:
    """Take an id and give it back."""
    port = manager.allocate(0, hint)
    assert port is not None
    manager.release(0, port)


for others in (0, MAX_PORTS - 2):
    crowd = Manager(urandom)
    for number in range(others):
        crowd.allocate(0, number + 1_000_000)
    for what, hint in (("free hint", 5), ("taken hint", 0)):
        took = min(timeit.repeat(lambda m=crowd, h=hint: come_and_go(m, h), number=ROUNDS, repeat=3)) / ROUNDS  # type: ignore[misc]
        print(f"beside {others} ids, {what}: {took * 1e6:.2f} us")
