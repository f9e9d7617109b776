"""From registers to typed arguments: how a handler's signature becomes the code that calls it.

A handler is a function whose parameters are annotated with the types below; its signature is the prototype of the man
page::

    io = Calls("reading and writing")

    @io.call
    def read(t: Task, file: Fd, buf: Ptr, count: Size) -> Result: ...

The binder writes one small function per distinct signature (not per handler) and binds a number's handler on that
number's first call: an unused call costs nothing at start, a used one no more than its conversions. Converters are
expressions over one register; they never touch guest memory, and only `Fd` and `AnyFd`, which also takes a descriptor
opened with O_PATH, can fail (EBADF). Where Linux looks at
something else before the descriptor, a handler takes `FdNum` and looks it up itself: the order of errors is part of
the ABI.

Modules of handlers must not use `from __future__ import annotations`: the binder reads the annotations as objects.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar

from sentry.kernel.pending import Bound, Control, Result

if TYPE_CHECKING:
    from sentry_vfs import FileDescription


class Convert(NamedTuple):
    """How a register becomes an argument: `template` is an expression in `{a}`; `show` names the strace format."""

    template: str
    show: str


Fd = Annotated["FileDescription", Convert("t.files.get({a})", "fd")]
AnyFd = Annotated["FileDescription", Convert("t.files.get_any({a})", "fd")]
FdNum = Annotated[int, Convert("(({a} & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000", "fd")]
Int = Annotated[int, Convert("(({a} & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000", "int")]
UInt = Annotated[int, Convert("{a} & 0xFFFFFFFF", "uint")]
Long = Annotated[int, Convert("({a} ^ 0x8000000000000000) - 0x8000000000000000", "int")]
Size = Annotated[int, Convert("{a}", "uint")]
Ptr = Annotated[int, Convert("{a}", "ptr")]
PathPtr = Annotated[int, Convert("{a}", "path")]
Flags = Annotated[int, Convert("{a} & 0xFFFFFFFF", "flags")]
Mode = Annotated[int, Convert("{a} & 0xFFFFFFFF", "mode")]
Signo = Annotated[int, Convert("(({a} & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000", "signo")]
ULong = Annotated[int, Convert("{a}", "flags")]

Handler = Callable[..., Result | Control]
HandlerT = TypeVar("HandlerT", bound=Handler)


class Calls:
    """The handlers of one subject module, by the name of the call."""

    def __init__(self, subject: str) -> None:
        """Name the subject, as the compatibility page shows it."""
        self.subject: Final = subject
        self.handlers: Final[dict[str, Handler]] = {}
        self.partial: Final[dict[str, str]] = {}

    def call(self, handler: HandlerT) -> HandlerT:
        """Register handler under its own name (a trailing underscore is dropped); return it unchanged."""
        return self.named(handler.__name__.rstrip("_"))(handler)

    def named(self, name: str, *, partial: str = "") -> Callable[[HandlerT], HandlerT]:
        """Register under another name; `partial` says what is missing."""

        def register(handler: HandlerT) -> HandlerT:
            if name in self.handlers:
                message = f"{name} has two handlers"
                raise ValueError(message)
            self.handlers[name] = handler
            if partial:
                self.partial[name] = partial
            return handler

        return register


def converters(handler: Handler) -> tuple[Convert, ...]:
    """Return the converters of a handler's parameters after the task.

    Raises: TypeError if a parameter has no converter.
    """
    code = handler.__code__
    names = code.co_varnames[1 : code.co_argcount]
    found = []
    for name in names:
        annotation = handler.__annotations__.get(name)
        metadata = getattr(annotation, "__metadata__", ())
        if not metadata or not isinstance(metadata[0], Convert):
            message = f"{handler.__name__}: parameter {name} has no converter"
            raise TypeError(message)
        found.append(metadata[0])
    return tuple(found)


_factories: dict[tuple[str, ...], Callable[[Handler], Bound]] = {}


def bind(handler: Handler) -> Bound:
    """Return handler as a function of a task and six registers."""
    templates = tuple(c.template for c in converters(handler))
    factory = _factories.get(templates)
    if factory is None:
        args = "".join(", " + text.format(a=f"a{i}") for i, text in enumerate(templates))
        source = (
            "def make(handler):\n"
            "    def bound(t, a0, a1, a2, a3, a4, a5):\n"
            f"        return handler(t{args})\n"
            "    return bound\n"
        )
        scope: dict[str, Callable[[Handler], Bound]] = {}
        exec(compile(source, "<signature>", "exec"), scope)  # noqa: S102  (made of the templates above only)
        factory = _factories[templates] = scope["make"]
    return factory(handler)
