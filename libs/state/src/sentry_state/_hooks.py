"""Hooks after loading, in the order in which objects wait for each other.

A class names in `waits` fields that must be complete before its own hook. A field that holds a list, tuple, dict, set
or deque waits for what is in it. Objects of classes without a hook are complete at once. Waiting for oneself is none.
"""

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from sentry_state._errors import HookError, LoadError, WaitCycleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_state._registry import Registry

_CONTAINERS: Final = (list, tuple, dict, set, frozenset, deque)


def run_hooks(registry: "Registry", hooked: list[Any]) -> None:
    """Call `after_load` of the objects in hooked, in the order in which they were met but for waits.

    Raises: WaitCycleError before any hook has run, HookError.
    """
    for value in _order(registry, hooked):
        plan = registry.plans[type(value)]
        assert plan.after is not None
        try:
            plan.after(value)
        except LoadError:
            raise
        except Exception as error:
            message = f"after_load of a {plan.name} failed: {error!r}"
            raise HookError(message) from error


def _order(registry: "Registry", hooked: list[Any]) -> list[Any]:
    """Return hooked so that each comes after those that it waits for: a walk in depth with a stack of its own."""
    plans = registry.plans
    order: list[Any] = []
    seen: dict[int, bool] = {}  # id: complete; while it is False the value is on the path
    path: list[tuple[Any, Iterator[tuple[str, Any]]]] = []
    labels: list[str] = []

    def enter(label: str, value: Any) -> None:  # noqa: ANN401  (any value)
        plan = plans.get(type(value))
        seen[id(value)] = False
        labels.append(label)
        if plan is not None and not plan.record:
            path.append((value, iter([(f".{name}", getattr(value, name)) for name in plan.waits])))
        else:
            path.append((value, iter([("[]", item) for item in _members(value)])))

    for first in hooked:
        if id(first) in seen:
            continue
        enter("", first)
        while path:
            value, rest = path[-1]
            for label, other in rest:
                plan = plans.get(type(other))
                if plan is None or plan.record:
                    if not isinstance(other, _CONTAINERS):
                        continue
                elif plan.after is None or other is value:
                    continue
                complete = seen.get(id(other))
                if complete is None:
                    enter(label, other)
                    break
                if not complete:
                    raise WaitCycleError(_circle(registry, path, [*labels, label], other))
            else:
                path.pop()
                labels.pop()
                seen[id(value)] = True
                plan = plans.get(type(value))
                if plan is not None and plan.after is not None:
                    order.append(value)
    return order


def _members(value: Any) -> list[Any]:  # noqa: ANN401  (any container)
    return [*value, *value.values()] if isinstance(value, dict) else list(value)


def _circle(registry: "Registry", path: list[tuple[Any, Any]], labels: list[str], back: Any) -> str:  # noqa: ANN401
    """Return the circle in words: each object's class, the field by which it waits, and again the first."""
    values = [value for value, _ in path]
    begin = next(place for place, value in enumerate(values) if value is back)
    text = ""
    for place in range(begin, len(values)):
        plan = registry.plans.get(type(values[place]))
        if plan is not None and not plan.record:
            text += f" -> {plan.name}" if text else plan.name
        elif not text:
            text = type(values[place]).__name__
        text += labels[place + 1]
    plan = registry.plans.get(type(back))
    text += f" -> {plan.name if plan is not None else type(back).__name__}"
    return f"hooks after loading wait for each other: {text}"
