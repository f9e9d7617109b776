"""Where in a graph something is: looked for only when saving has failed, so that saving itself keeps no paths."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from sentry_state._registry import Registry


def children(registry: Registry, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  (any value)
    """Yield what a value holds, each with its place in words."""
    plan = registry.plans.get(type(value))
    if plan is not None:
        for name in plan.fields:
            if hasattr(value, name):
                yield f".{name}", getattr(value, name)
    elif isinstance(value, dict):
        for key, item in value.items():
            shown = repr(key) if isinstance(key, int | str | bytes) else type(key).__qualname__
            yield f"[{shown}]", item
            yield f" key {shown}", key
    elif isinstance(value, list | tuple | deque):
        for place, item in enumerate(value):
            yield f"[{place}]", item
    elif isinstance(value, set | frozenset):
        for item in value:
            yield " member", item


def path_to(registry: Registry, root: Any, wanted: Any) -> str:  # noqa: ANN401  (any graph)
    """Return the shortest way from root to wanted in words, `root` alone when it is root or nowhere."""
    seen: dict[int, tuple[int, str]] = {id(root): (0, "root")}
    queue = deque((root,))
    while queue:
        value = queue.popleft()
        if value is wanted:
            return _words(seen, id(value))
        for label, item in children(registry, value):
            if id(item) not in seen:
                seen[id(item)] = (id(value), label)
                queue.append(item)
    return "root"


def _words(seen: dict[int, tuple[int, str]], place: int) -> str:
    labels: list[str] = []
    while place:
        place, label = seen[place]
        labels.append(label)
    if len(labels) > 24:
        labels[12:-12] = ["..."]
    return "".join(reversed(labels))
