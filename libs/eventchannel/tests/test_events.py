"""Events against the protobuf package, and back."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_eventchannel import (
    Amd64Registers,
    DebugEvent,
    Event,
    UncaughtSignal,
    UnimplementedSyscall,
    Unknown,
    UsageError,
    WireError,
    as_text,
    frame,
    pack,
    unpack,
)
from sentry_eventchannel._wire import bytes_field, fields, integer_field, read_varint, varint

words = st.integers(0, 2**64 - 1)
signed = st.integers(-(2**31), 2**31 - 1)
registers = st.builds(Amd64Registers, *[words | st.just(0)] * 27)
syscalls = st.builds(UnimplementedSyscall, signed, st.none() | registers)
signals = st.builds(UncaughtSignal, signed, signed, st.none() | registers, signed, words)
texts = st.text(st.characters(codec="utf-8"))
debugs = st.builds(DebugEvent, texts, texts)
unknowns = st.builds(Unknown, st.from_regex(r"[a-z]+\.[A-Z][a-z]+", fullmatch=True), st.binary())
events = syscalls | signals | debugs | unknowns


def protobuf() -> dict[str, Any]:
    """Return the classes that the protobuf package makes of the same messages, declared here a second time."""
    pytest.importorskip("google.protobuf", reason="the protobuf package is not installed; the vectors below remain")
    from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415  (as above)

    file = descriptor_pb2.FileDescriptorProto(name="events.proto", package="gvisor", syntax="proto3")
    kinds = {"i": 5, "u": 4, "s": 9, "m": 11}
    names = [f"u {name}" for name in Amd64Registers._fields]
    for message, declared in {
        "AMD64Registers": names,
        "Registers": ["m amd64 AMD64Registers"],
        "UnimplementedSyscall": ["i tid", "m registers Registers"],
        "UncaughtSignal": ["i tid", "i pid", "m registers Registers", "i signal_number", "u fault_addr"],
        "DebugEvent": ["s name", "s text"],
    }.items():
        made = file.message_type.add(name=message)
        for number, line in enumerate(declared, 1):
            kind, name, *of = line.split()
            field = made.field.add(name=name, number=number, type=kinds[kind], label=1)
            if of:
                field.type_name = f".gvisor.{of[0]}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    found: dict[str, Any] = {"Any": any_pb2.Any}
    for message in ("UnimplementedSyscall", "UncaughtSignal", "DebugEvent"):
        found[f"gvisor.{message}"] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"gvisor.{message}"))
    return found


@given(syscalls | signals | debugs)
def test_the_protobuf_package_agrees(event: Event) -> None:
    """It reads what we write and writes what we write."""
    known = protobuf()
    envelope = known["Any"].FromString(pack(event))
    assert envelope.type_url == f"type.googleapis.com/{event.type_name}"
    theirs = known[event.type_name].FromString(envelope.value)
    assert theirs.SerializeToString(deterministic=True) == event.encode()
    assert known["Any"](type_url=envelope.type_url, value=envelope.value).SerializeToString() == pack(event)
    for name in event._fields:
        value = getattr(event, name)
        if name == "registers":
            assert theirs.HasField("registers") == (value is not None)
            if value is not None:
                assert [getattr(theirs.registers.amd64, register) for register in value._fields] == list(value)
        else:
            assert getattr(theirs, {"fault_address": "fault_addr"}.get(name, name)) == value


@given(events)
def test_there_and_back(event: Event) -> None:
    """Reading gives what was written."""
    assert unpack(pack(event)) == event
    length, pos = read_varint(frame(event), 0)
    assert frame(event)[pos:] == pack(event)
    assert length == len(pack(event))


def test_vectors() -> None:
    """Bytes worked out by hand from protobuf's description of its encoding."""
    assert varint(0) == b"\0"
    assert varint(300) == b"\xac\x02"
    assert varint(2**64 - 1) == b"\xff" * 9 + b"\x01"
    assert UnimplementedSyscall(-1).encode() == b"\x08" + b"\xff" * 9 + b"\x01"
    assert UncaughtSignal(5, 6, None, 11, 4096).encode() == b"\x08\x05\x10\x06\x20\x0b\x28\x80\x20"
    assert UnimplementedSyscall(1, Amd64Registers(rax=3)).encode() == b"\x08\x01\x12\x04\x0a\x02\x08\x03"
    assert frame(DebugEvent("a", "")) == b"\x2c\x0a\x25type.googleapis.com/gvisor.DebugEvent\x12\x03\x0a\x01a"


@given(st.integers(0, 2**64 - 1), st.binary())
def test_varints(value: int, rest: bytes) -> None:
    """Whatever follows."""
    assert read_varint(varint(value) + rest, 0) == (value, len(varint(value)))


def test_what_does_not_fit() -> None:
    """Numbers of more bits than their field."""
    for event in (
        UnimplementedSyscall(1 << 31),
        UnimplementedSyscall(-(1 << 31) - 1),
        UncaughtSignal(1, 1, fault_address=1 << 64),
        UncaughtSignal(1, 1, fault_address=-1),
        UnimplementedSyscall(1, Amd64Registers(rax=-1)),
    ):
        with pytest.raises(UsageError, match="does not fit"):
            pack(event)
    with pytest.raises(UsageError):
        integer_field(1, -(1 << 63) - 1)
    with pytest.raises(UsageError):
        varint(-1)


def test_text() -> None:
    """For people: names, hexadecimal registers and addresses, bytes of what is no tuple."""
    event = UncaughtSignal(1, 2, Amd64Registers(rax=16, gs_base=1), 11, 255)
    assert as_text(event) == "tid=1 pid=2 registers {rax=0x10 gs_base=0x1} signal_number=11 fault_address=0xff"
    assert as_text(UnimplementedSyscall(7)) == "tid=7"
    assert DebugEvent("a", "\ud800").encode() == b"\x0a\x01a\x12\x06\\ud800"

    class Own:
        type_name = "own.Event"

        def encode(self) -> bytes:
            return b"\x08\x01"

    assert as_text(Own()) == repr(b"\x08\x01")
    assert unpack(pack(Own())) == Unknown("own.Event", b"\x08\x01")
    for name in ("", "own/"):
        with pytest.raises(UsageError, match="no reader"):
            pack(Unknown(name, b""))


def test_fields_of_the_future_are_skipped() -> None:
    """Unknown numbers of every kind, another architecture's registers, registers that we do not have."""
    extra = integer_field(99, 5) + b"\x99\x06" + bytes(8) + b"\x9d\x06" + bytes(4) + bytes_field(98, b"x")
    assert UnimplementedSyscall.decode(extra + integer_field(1, 3) + extra) == UnimplementedSyscall(3)
    assert UnimplementedSyscall.decode(bytes_field(2, bytes_field(2, b"arm"))) == UnimplementedSyscall(0)
    inner = integer_field(1, 9) + integer_field(28, 1)
    assert UnimplementedSyscall.decode(bytes_field(2, bytes_field(1, inner))).registers == Amd64Registers(rax=9)
    assert UnimplementedSyscall.decode(integer_field(1, 1) + integer_field(1, 2)).tid == 2
    assert UnimplementedSyscall.decode(integer_field(1, (1 << 32) + 5)).tid == 5


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",
        b"\x08\x80",
        b"\x08" + b"\xff" * 10,
        b"\x08" + b"\xff" * 9 + b"\x7f",
        b"\x0a\x05abc",
        b"\x09abc",
        b"\x0dab",
        b"\x0b",
        b"\x0c",
        b"\x0e",
        b"\x00\x01",
        b"\xf8\xff\xff\xff\xff\xff\x01\x00",
        b"\x08\x05",
        b"\x0a\x01\xff",
        b"",
        bytes_field(1, b"type.googleapis.com/"),
        bytes_field(1, b"x/gvisor.DebugEvent") + b"\x10\x01",
        bytes_field(1, b"x/gvisor.DebugEvent") + bytes_field(2, b"\x08\x01"),
        bytes_field(1, b"x/gvisor.UnimplementedSyscall") + bytes_field(2, b"\x0a\x00"),
    ],
)
def test_no_message(data: bytes) -> None:
    """Each way of being none."""
    with pytest.raises(WireError):
        unpack(data)


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    """Any bytes are an event or a WireError, and so are those of each message."""
    for decode in (unpack, UncaughtSignal.decode, DebugEvent.decode, lambda data: list(fields(data))):
        with contextlib.suppress(WireError):
            decode(data)
