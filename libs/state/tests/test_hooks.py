"""Hooks after loading run in the order of waits."""

# ruff: noqa: ANN401  (graphs of anything)

import io
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_state import HookError, MalformedError, Reader, Registry, WaitCycleError, Writer

registry = Registry()
ran: list[str] = []


@registry.savable("Node", fields=("name", "needs", "knows"), waits=("needs",))
class Node:
    """Waits for what it needs, not for what it knows."""

    __slots__ = ("knows", "name", "needs")

    def __init__(self, name: str, needs: Any = None, knows: Any = None) -> None:
        """Take all."""
        self.name, self.needs, self.knows = name, needs, knows

    def after_load(self) -> None:
        """Say that it is this one's turn, or fail."""
        if self.name == "bad":
            raise ValueError(self.name)
        if self.name == "strict":
            raise MalformedError(self.name)
        ran.append(self.name)


@registry.savable("Quiet", fields=("inner",))
class Quiet:
    """Has no hook and orders nothing."""

    __slots__ = ("inner",)

    inner: Any


@registry.savable("Pair")
class Pair(NamedTuple):
    """A record."""

    one: Any
    other: Any


def order(root: Any) -> list[str]:
    """Save and load; return the names in the order of their hooks."""
    file = io.BytesIO()
    with Writer(file, registry=registry) as writer:
        writer.save("g", root)
    file.seek(0)
    ran.clear()
    Reader(file, registry=registry).load("g")
    return list(ran)


def test_needs_come_first() -> None:
    """Directly, and through containers of every kind."""
    c = Node("c")
    b = Node("b", [c])
    a = Node("a", b)
    assert order([a, b, c]) == ["c", "b", "a"]
    assert order([a, Node("d", {"k": (Pair(a, 1), frozenset([b]))}), {5: {Node("e", c)}}]) == ["c", "b", "a", "d", "e"]
    assert order([Node("f", {Node("g"): 1}), Node("h")]) == ["g", "f", "h"]


def test_knowing_is_not_needing() -> None:
    """Cycles of plain fields, and needing oneself, block nothing."""
    a = Node("a")
    b = Node("b", a, a)
    a.knows, a.needs = b, a
    assert order(a) == ["a", "b"]


def test_objects_without_hooks_order_nothing() -> None:
    """They are complete at once, whatever they hold."""
    quiet = Quiet()
    a = Node("a", quiet)
    quiet.inner = Node("b", a)
    assert order(a) == ["a", "b"]


def test_cycles_are_shown() -> None:
    """The whole circle, with fields."""
    a = Node("a")
    b = Node("b", [0, {"x": a}])
    a.needs = b
    with pytest.raises(WaitCycleError) as caught:
        order([Node("z", a), a])
    assert str(caught.value).endswith("each other: Node.needs -> Node.needs[][] -> Node")
    assert ran == []
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(WaitCycleError, match=r"list\[\] -> list"):
        order(Node("a", loop))


def test_failing_hooks() -> None:
    """The error names the class; a refusal of the image by a hook passes as it is."""
    with pytest.raises(HookError, match="after_load of a Node failed: ValueError"):
        order(Node("bad"))
    with pytest.raises(MalformedError, match="strict"):
        order(Node("strict"))


def test_long_chain() -> None:
    """Ten thousand waits in a row."""
    node = Node("0")
    for place in range(1, 10_000):
        node = Node(str(place), node)
    assert order(node) == [str(place) for place in range(10_000)]


@given(st.lists(st.sets(st.integers(0, 14)), max_size=15))
def test_any_order_of_needs(needs: "list[set[int]]") -> None:
    """Needs among earlier nodes are always met; the naive check is to look at each."""
    nodes = [Node(str(place)) for place in range(len(needs))]
    for place, wanted in enumerate(needs):
        nodes[place].needs = [nodes[other] for other in wanted if other < place]
    nodes.reverse()
    done = order(nodes)
    assert sorted(done) == sorted(node.name for node in nodes)
    for node in nodes:
        for other in node.needs:
            assert done.index(other.name) < done.index(node.name)
