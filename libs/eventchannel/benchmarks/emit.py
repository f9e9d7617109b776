"""What an event costs the kernel."""

import os
import time
import timeit

from sentry_eventchannel import Amd64Registers, MultiEmitter, RateLimitedEmitter, SocketEmitter, UnimplementedSyscall

ROUNDS = 20_000
event = UnimplementedSyscall(7, Amd64Registers(*range(1 << 40, (1 << 40) + 27)))
small = UnimplementedSyscall(7)
sink = SocketEmitter(os.open("/dev/null", os.O_WRONLY))
empty, limited, full = MultiEmitter(), MultiEmitter(), MultiEmitter()
limited.add(RateLimitedEmitter(sink, 1, 1, time.monotonic_ns))
read, write = os.pipe()
full.add(SocketEmitter(write, buffer=0))
for _ in range(10_000):
    full.emit(event)
for what, emitter, message in (
    ("no emitter", empty, event),
    ("over the limit", limited, event),
    ("27 registers to /dev/null", sink, event),
    ("a number to /dev/null", sink, small),
    ("27 registers, reader asleep", full, event),
):
    seconds = min(timeit.repeat(lambda e=emitter, m=message: e.emit(m), number=ROUNDS, repeat=3)) / ROUNDS  # type: ignore[misc]
    print(f"{what}: {seconds * 1e6:.2f} us")
