"""The events of a kernel, with gVisor's names and field numbers, so that either side can read the other.

`type_name` is the message's full protobuf name; `encode` gives its fields; `decode` skips what it does not know.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, TypeVar

from sentry_eventchannel._errors import UsageError, WireError
from sentry_eventchannel._wire import bytes_field, fields, integer_field

URL_PREFIX: Final = "type.googleapis.com/"
"""The prefix of a type's name in an Any."""


class Message(Protocol):
    """What an emitter takes: an object with a protobuf name and an encoding."""

    @property
    def type_name(self) -> str:
        """The full protobuf name, as gvisor.DebugEvent."""
        ...

    def encode(self) -> bytes:
        """Return the fields in protobuf's wire format."""
        ...


class Amd64Registers(NamedTuple):
    """The general registers of a thread, unsigned; gVisor's order, which is not that of ptrace."""

    rax: int = 0
    rbx: int = 0
    rcx: int = 0
    rdx: int = 0
    rsi: int = 0
    rdi: int = 0
    rsp: int = 0
    rbp: int = 0
    r8: int = 0
    r9: int = 0
    r10: int = 0
    r11: int = 0
    r12: int = 0
    r13: int = 0
    r14: int = 0
    r15: int = 0
    rip: int = 0
    rflags: int = 0
    orig_rax: int = 0
    cs: int = 0
    ds: int = 0
    es: int = 0
    fs: int = 0
    gs: int = 0
    ss: int = 0
    fs_base: int = 0
    gs_base: int = 0

    def encode(self) -> bytes:
        """Return gvisor.Registers: a choice of architectures, of which this is the first. Raises: UsageError."""
        return bytes_field(1, b"".join(_unsigned(number, value) for number, value in enumerate(self, 1)))

    @classmethod
    def decode(cls, data: bytes) -> "Amd64Registers | None":
        """Return the registers of a gvisor.Registers, None when they are another architecture's. Raises: WireError."""
        found = None
        for number, value in fields(data):
            if number == 1:
                values = [0] * len(cls._fields)
                for place, register in fields(_bytes(value)):
                    if place <= len(values):
                        values[place - 1] = _integer(register)
                found = cls(*values)
        return found


class UnimplementedSyscall(NamedTuple):
    """A thread called what the kernel does not have."""

    tid: int
    registers: Amd64Registers | None = None

    @property
    def type_name(self) -> str:
        """gvisor.UnimplementedSyscall."""
        return "gvisor.UnimplementedSyscall"

    def encode(self) -> bytes:
        """Return the message's bytes. Raises: UsageError for numbers that do not fit."""
        return _signed(1, self.tid) + _registers(2, self.registers)

    @classmethod
    def decode(cls, data: bytes) -> "UnimplementedSyscall":
        """Return the message of some bytes. Raises: WireError."""
        found = _fields(data)
        return cls(_last(found, 1, _int32, 0), _last(found, 2, _registers_of, None))


class UncaughtSignal(NamedTuple):
    """A signal killed a thread group. fault_address is that of SIGSEGV, SIGFPE, SIGILL, SIGTRAP and SIGBUS, else 0."""

    tid: int
    pid: int
    registers: Amd64Registers | None = None
    signal_number: int = 0
    fault_address: int = 0

    @property
    def type_name(self) -> str:
        """gvisor.UncaughtSignal."""
        return "gvisor.UncaughtSignal"

    def encode(self) -> bytes:
        """Return the message's bytes. Raises: UsageError for numbers that do not fit."""
        return (
            _signed(1, self.tid)
            + _signed(2, self.pid)
            + _registers(3, self.registers)
            + _signed(4, self.signal_number)
            + _unsigned(5, self.fault_address)
        )

    @classmethod
    def decode(cls, data: bytes) -> "UncaughtSignal":
        """Return the message of some bytes. Raises: WireError."""
        found = _fields(data)
        return cls(
            _last(found, 1, _int32, 0),
            _last(found, 2, _int32, 0),
            _last(found, 3, _registers_of, None),
            _last(found, 4, _int32, 0),
            _last(found, 5, _integer, 0),
        )


class DebugEvent(NamedTuple):
    """Another event as text, for people."""

    name: str
    text: str

    @property
    def type_name(self) -> str:
        """gvisor.DebugEvent."""
        return "gvisor.DebugEvent"

    def encode(self) -> bytes:
        """Return the message's bytes; what is no Unicode is written as escapes."""
        return b"".join(
            bytes_field(number, value.encode("utf-8", "backslashreplace"))
            for number, value in enumerate(self, 1)
            if value
        )

    @classmethod
    def decode(cls, data: bytes) -> "DebugEvent":
        """Return the message of some bytes. Raises: WireError."""
        found = _fields(data)
        return cls(_last(found, 1, _text, ""), _last(found, 2, _text, ""))


class Unknown(NamedTuple):
    """An event of an unknown type, undecoded."""

    type_name: str
    data: bytes

    def encode(self) -> bytes:
        """Return the bytes as they came."""
        return self.data


Event = UnimplementedSyscall | UncaughtSignal | DebugEvent | Unknown
"""What a reader gives."""

T = TypeVar("T")

_KNOWN: Final[dict[str, Callable[[bytes], Event]]] = {
    "gvisor.UnimplementedSyscall": UnimplementedSyscall.decode,
    "gvisor.UncaughtSignal": UncaughtSignal.decode,
    "gvisor.DebugEvent": DebugEvent.decode,
}


def pack(message: Message) -> bytes:
    """Return the bytes of a google.protobuf.Any that holds message. Raises: UsageError, also for a nameless type."""
    name = message.type_name
    if not name or name[-1] == "/":
        complaint = f"an event of the type {name!r}: no reader could identify it"
        raise UsageError(complaint)
    data = message.encode()
    return bytes_field(1, (URL_PREFIX + name).encode()) + (bytes_field(2, data) if data else b"")


def unpack(data: bytes) -> Event:
    """Return the event in the bytes of a google.protobuf.Any. Raises: WireError."""
    found = _fields(data)
    url, value = _last(found, 1, _text, ""), _last(found, 2, _bytes, b"")
    name = url.rpartition("/")[2]
    if not name:
        message = f"an event of the type {url!r}"
        raise WireError(message)
    decode = _KNOWN.get(name)
    return Unknown(name, value) if decode is None else decode(value)


def as_text(message: Message) -> str:
    """Return an event for people: fields by name, of registers those not 0, of a stranger's event the bytes."""
    names = getattr(message, "_fields", None)
    if names is None:
        return repr(message.encode())
    parts = []
    for name in names:
        value = getattr(message, name)
        if isinstance(value, Amd64Registers):
            value = " ".join(f"{register}={number:#x}" for register, number in value._asdict().items() if number)
            parts.append(f"{name} {{{value}}}")
        elif value is not None:
            parts.append(f"{name}={value:#x}" if name == "fault_address" else f"{name}={value!r}")
    return " ".join(parts)


def _signed(number: int, value: int) -> bytes:
    if not -(1 << 31) <= value < 1 << 31:
        message = f"{value} does not fit a signed integer of 32 bits"
        raise UsageError(message)
    return integer_field(number, value)


def _unsigned(number: int, value: int) -> bytes:
    if value < 0:
        message = f"{value} does not fit an unsigned integer of 64 bits"
        raise UsageError(message)
    return integer_field(number, value)


def _registers(number: int, value: Amd64Registers | None) -> bytes:
    return b"" if value is None else bytes_field(number, value.encode())


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """Return number and value of each field of a message."""
    return list(fields(data))


def _last(found: list[tuple[int, int | bytes]], number: int, convert: Callable[[int | bytes], T], default: T) -> T:
    """Return the value of a field; the last of several wins, as protobuf has it."""
    for other, value in found:
        if other == number:
            default = convert(value)
    return default


def _integer(value: int | bytes) -> int:
    if not isinstance(value, int):
        message = "bytes where an integer belongs"
        raise WireError(message)
    return value


def _int32(value: int | bytes) -> int:
    number = _integer(value) & 0xFFFF_FFFF
    return number - (1 << 32) if number >> 31 else number


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        message = "an integer where bytes belong"
        raise WireError(message)
    return value


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError as error:
        message = f"text that is no UTF-8: {error}"
        raise WireError(message) from None


def _registers_of(value: int | bytes) -> Amd64Registers | None:
    return Amd64Registers.decode(_bytes(value))
