"""What a futex costs. Run with the workspace's Python; prints microseconds."""

import timeit

from sentry_futex import Manager, Waiter

ROUNDS = 50_000


class Memory:
    """One word for all addresses."""

    word = 0

    def load_u32(self, _addr: int) -> int:
        """Return the word."""
        return self.word

    def cas_u32(self, _addr: int, old: int, value: int) -> int:
        """Swap if it is old."""
        found = self.word
        if found == old:
            self.word = value
        return found

    @staticmethod
    def shared_key(_addr: int) -> None:
        """Everything is private."""


def main() -> None:
    """Wait and wake, alone and among ten thousand other waiters; a wake without waiters."""
    memory, manager, waiter = Memory(), Manager(), Waiter()

    def turn() -> None:
        manager.wait(memory, waiter, 64, 0, private=True)
        manager.wake(memory, 64, 1, private=True)

    print(f"wait + wake            {timeit.timeit(turn, number=ROUNDS) / ROUNDS * 1e6:6.2f}")
    for n in range(10_000):
        manager.wait(memory, Waiter(), 4096 + 4 * n, 0, private=True)
    print(f"the same, 10,000 more  {timeit.timeit(turn, number=ROUNDS) / ROUNDS * 1e6:6.2f}")
    empty = timeit.timeit(lambda: manager.wake(memory, 64, 1, private=True), number=ROUNDS) / ROUNDS * 1e6
    print(f"wake without waiters   {empty:6.2f}")


if __name__ == "__main__":
    main()
