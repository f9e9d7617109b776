"""Which objects of ktime can be saved, and how. Only save, load and tests import this."""

from threading import Lock
from typing import TYPE_CHECKING, Final

from sentry_ktime._channel import Channel
from sentry_ktime._clock import ManualClock, MonotonicClock, RealClock
from sentry_ktime._driver import ThreadDriver
from sentry_ktime._queue import TimerQueue
from sentry_ktime._setting import Setting
from sentry_ktime._synthetic import SyntheticClock
from sentry_ktime._timer import Timer

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    Channel: "wakes threads of this process",
    ThreadDriver: "a thread of this process",
}


def register(registry: "Registry") -> None:
    """Register clocks, timers and queues of deadlines. Needs the queues of sentry_waiter; the host is an external.

    A loaded timer is inert until `Timer.resume`; a loaded clock of the host needs a new offset.
    """
    registry.savable("ktime.Setting")(Setting)
    hosts = {"_host_ns": "the host's function; after_load takes it again"}
    registry.savable("ktime.MonotonicClock", fields=("host", "offset_ns"), unsaved=hosts)(MonotonicClock)
    registry.savable("ktime.RealClock", fields=("_events", "_offset_ns", "host"), unsaved=hosts, fresh={"_mu": Lock})(
        RealClock
    )
    registry.savable("ktime.ManualClock", fields=("_events", "_now_ns"), fresh={"_mu": Lock})(ManualClock)
    registry.savable(
        "ktime.TimerQueue",
        fields=("_clock", "_heap", "_limit", "_seq"),
        unsaved={"next_ns": "a time of the host; after_load computes it"},
        waits=("_clock", "_heap"),
    )(TimerQueue)
    registry.savable("ktime.SyntheticClock", fields=("_now_ns", "_queue"), fresh={"_mu": Lock})(SyntheticClock)
    registry.savable(
        "ktime.Timer",
        fields=("_clock", "_listener", "_setting", "destroyed", "paused"),
        unsaved={
            "_driver": "given by `resume`",
            "_mu": "made by after_load",
            "_owner": "a thread of this process",
            "timer_seq": "the driver's",
        },
    )(Timer)
