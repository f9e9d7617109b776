"""How an address space ends: the last user goes, or another program takes it over."""

from typing import Any, Self

from sentry_abi.memory import TASK_SIZE
from sentry_mm._advice import Advice
from sentry_mm._limits import MMAP_MIN_ADDR
from sentry_platform import Op


class Life(Advice):
    """Advice with users and an end."""

    __slots__ = ()

    def retain(self) -> Self:
        """Count one more user (CLONE_VM); return self."""
        self.users += 1
        return self

    def release(self) -> None:
        """Count one user less; the last one gives everything back."""
        self.users -= 1
        if self.users:
            return
        self.space.release()
        self._batch = None
        self._empty()
        self.memory.reclaim()

    def _empty(self) -> None:
        told: list[Any] = []
        for area in self.areas.items:
            mappers = getattr(area.file, "mappers", None)
            if mappers is not None:
                mappers.discard(self)
                if hasattr(area.file, "unmapped"):
                    told.append(area.file)
        runs = self.runs.items
        for owned in (self.runs, self.areas):
            owned.starts = []
        self.runs.items, self.areas.items = [], []
        self._forget()
        for run in runs:
            self._drop(run)
        if self._batch is None:
            for offset, length in self._dropped:
                self.memory.decref(offset, length)
            self._dropped.clear()
        for file in told:
            file.unmapped(self)

    def reset(self) -> None:
        """Unmap everything, for exec in place. Begins a batch: with the new program's mappings it is one apply."""
        if self._batch is None:
            self._batch = []
        self._batch.append(Op("unmap", MMAP_MIN_ADDR, TASK_SIZE - MMAP_MIN_ADDR))
        self._empty()
        self._clear_accounts()
