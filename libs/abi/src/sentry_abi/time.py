"""Clocks, timers and the calls that take them.

Sources: Linux include/uapi/linux/time.h, linux/timex.h; clock_getres(2), timer_create(2), adjtimex(2).
"""

from typing import Final

# Clocks.
CLOCK_REALTIME: Final = 0
CLOCK_MONOTONIC: Final = 1
CLOCK_PROCESS_CPUTIME_ID: Final = 2
CLOCK_THREAD_CPUTIME_ID: Final = 3
CLOCK_MONOTONIC_RAW: Final = 4
CLOCK_REALTIME_COARSE: Final = 5
CLOCK_MONOTONIC_COARSE: Final = 6
CLOCK_BOOTTIME: Final = 7
CLOCK_REALTIME_ALARM: Final = 8
CLOCK_BOOTTIME_ALARM: Final = 9
CLOCK_SGI_CYCLE: Final = 10
CLOCK_TAI: Final = 11
MAX_CLOCKS: Final = 16

# Parts of a dynamic clock id (a process's or thread's CPU clock).
CPUCLOCK_PERTHREAD_MASK: Final = 4
CPUCLOCK_CLOCK_MASK: Final = 3
CPUCLOCK_PROF: Final = 0
CPUCLOCK_VIRT: Final = 1
CPUCLOCK_SCHED: Final = 2
CLOCKFD: Final = 3

# timer_settime(2), clock_nanosleep(2).
TIMER_ABSTIME: Final = 1

# setitimer(2).
ITIMER_REAL: Final = 0
ITIMER_VIRTUAL: Final = 1
ITIMER_PROF: Final = 2

# adjtimex(2): modes, status, states.
ADJ_OFFSET: Final = 1
ADJ_FREQUENCY: Final = 2
ADJ_MAXERROR: Final = 4
ADJ_ESTERROR: Final = 8
ADJ_STATUS: Final = 0x10
ADJ_TIMECONST: Final = 0x20
ADJ_TAI: Final = 0x80
ADJ_SETOFFSET: Final = 0x100
ADJ_MICRO: Final = 0x1000
ADJ_NANO: Final = 0x2000
ADJ_TICK: Final = 0x4000
ADJ_OFFSET_SINGLESHOT: Final = 0x8001
ADJ_OFFSET_SS_READ: Final = 0xA001
STA_PLL: Final = 1
STA_UNSYNC: Final = 0x40
STA_NANO: Final = 0x2000
TIME_OK: Final = 0
TIME_INS: Final = 1
TIME_DEL: Final = 2
TIME_OOP: Final = 3
TIME_WAIT: Final = 4
TIME_ERROR: Final = 5

# Nanoseconds in a second, clock ticks of USER_HZ in a second, largest interval count.
NSEC_PER_SEC: Final = 1_000_000_000
NSEC_PER_USEC: Final = 1000
USEC_PER_SEC: Final = 1_000_000
USER_HZ: Final = 100
DELAYTIMER_MAX: Final = 2_147_483_647
