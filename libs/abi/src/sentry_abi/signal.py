"""Signals: numbers, sigaction(2) flags, si_code values, sigaltstack(2), signalfd(2), the default action of each.

Sources: Linux arch/x86/include/uapi/asm/signal.h, include/uapi/asm-generic/siginfo.h, include/linux/signal.h (default
actions); signal(7), sigaction(2).
"""

from typing import Final

# Numbers.
SIGHUP: Final = 1
SIGINT: Final = 2
SIGQUIT: Final = 3
SIGILL: Final = 4
SIGTRAP: Final = 5
SIGABRT: Final = 6
SIGIOT: Final = 6
SIGBUS: Final = 7
SIGFPE: Final = 8
SIGKILL: Final = 9
SIGUSR1: Final = 10
SIGSEGV: Final = 11
SIGUSR2: Final = 12
SIGPIPE: Final = 13
SIGALRM: Final = 14
SIGTERM: Final = 15
SIGSTKFLT: Final = 16
SIGCHLD: Final = 17
SIGCONT: Final = 18
SIGSTOP: Final = 19
SIGTSTP: Final = 20
SIGTTIN: Final = 21
SIGTTOU: Final = 22
SIGURG: Final = 23
SIGXCPU: Final = 24
SIGXFSZ: Final = 25
SIGVTALRM: Final = 26
SIGPROF: Final = 27
SIGWINCH: Final = 28
SIGIO: Final = 29
SIGPOLL: Final = 29
SIGPWR: Final = 30
SIGSYS: Final = 31
SIGRTMIN: Final = 32
SIGRTMAX: Final = 64

# sigprocmask(2).
SIG_BLOCK: Final = 0
SIG_UNBLOCK: Final = 1
SIG_SETMASK: Final = 2

# Handlers that are no function.
SIG_DFL: Final = 0
SIG_IGN: Final = 1

# sa_flags.
SA_NOCLDSTOP: Final = 1
SA_NOCLDWAIT: Final = 2
SA_SIGINFO: Final = 4
SA_UNSUPPORTED: Final = 0x400
SA_EXPOSE_TAGBITS: Final = 0x800
SA_ONSTACK: Final = 0x800_0000
SA_RESTART: Final = 0x1000_0000
SA_NODEFER: Final = 0x4000_0000
SA_RESETHAND: Final = 0x8000_0000
SA_RESTORER: Final = 0x400_0000

# sigaltstack(2).
SS_ONSTACK: Final = 1
SS_DISABLE: Final = 2
SS_AUTODISARM: Final = 0x8000_0000
MINSIGSTKSZ: Final = 0x800
SIGSTKSZ: Final = 0x2000

# si_code of any signal.
SI_USER: Final = 0
SI_KERNEL: Final = 128
SI_QUEUE: Final = -1
SI_TIMER: Final = -2
SI_MESGQ: Final = -3
SI_ASYNCIO: Final = -4
SI_SIGIO: Final = -5
SI_TKILL: Final = -6
SI_DETHREAD: Final = -7
SI_ASYNCNL: Final = -60

# si_code of SIGILL.
ILL_ILLOPC: Final = 1
ILL_ILLOPN: Final = 2
ILL_ILLADR: Final = 3
ILL_ILLTRP: Final = 4
ILL_PRVOPC: Final = 5
ILL_PRVREG: Final = 6
ILL_COPROC: Final = 7
ILL_BADSTK: Final = 8

# si_code of SIGFPE.
FPE_INTDIV: Final = 1
FPE_INTOVF: Final = 2
FPE_FLTDIV: Final = 3
FPE_FLTOVF: Final = 4
FPE_FLTUND: Final = 5
FPE_FLTRES: Final = 6
FPE_FLTINV: Final = 7
FPE_FLTSUB: Final = 8

# si_code of SIGSEGV.
SEGV_MAPERR: Final = 1
SEGV_ACCERR: Final = 2
SEGV_BNDERR: Final = 3
SEGV_PKUERR: Final = 4

# si_code of SIGBUS.
BUS_ADRALN: Final = 1
BUS_ADRERR: Final = 2
BUS_OBJERR: Final = 3
BUS_MCEERR_AR: Final = 4
BUS_MCEERR_AO: Final = 5

# si_code of SIGTRAP.
TRAP_BRKPT: Final = 1
TRAP_TRACE: Final = 2
TRAP_BRANCH: Final = 3
TRAP_HWBKPT: Final = 4
TRAP_UNK: Final = 5
TRAP_PERF: Final = 6

# si_code of SIGCHLD.
CLD_EXITED: Final = 1
CLD_KILLED: Final = 2
CLD_DUMPED: Final = 3
CLD_TRAPPED: Final = 4
CLD_STOPPED: Final = 5
CLD_CONTINUED: Final = 6

# si_code of SIGPOLL.
POLL_IN: Final = 1
POLL_OUT: Final = 2
POLL_MSG: Final = 3
POLL_ERR: Final = 4
POLL_PRI: Final = 5
POLL_HUP: Final = 6

# si_code of SIGSYS.
SYS_SECCOMP: Final = 1
SYS_USER_DISPATCH: Final = 2

# sigev_notify of struct sigevent.
SIGEV_SIGNAL: Final = 0
SIGEV_NONE: Final = 1
SIGEV_THREAD: Final = 2
SIGEV_THREAD_ID: Final = 4

# signalfd4(2).
SFD_CLOEXEC: Final = 0o2000000
SFD_NONBLOCK: Final = 0o4000


def sigmask(signo: int) -> int:
    """Return the bit of a signal number (1 to 64) in a signal set."""
    return 1 << (signo - 1)


# Default actions as signal sets; every other signal ends the process.
DEFAULT_IGNORE: Final = sigmask(SIGCHLD) | sigmask(SIGURG) | sigmask(SIGWINCH) | sigmask(SIGCONT)
"""Ignored by default; SIGCONT has continued the process by then."""
DEFAULT_STOP: Final = sigmask(SIGSTOP) | sigmask(SIGTSTP) | sigmask(SIGTTIN) | sigmask(SIGTTOU)
DEFAULT_CORE: Final = (
    sigmask(SIGQUIT)
    | sigmask(SIGILL)
    | sigmask(SIGTRAP)
    | sigmask(SIGABRT)
    | sigmask(SIGBUS)
    | sigmask(SIGFPE)
    | sigmask(SIGSEGV)
    | sigmask(SIGXCPU)
    | sigmask(SIGXFSZ)
    | sigmask(SIGSYS)
)
"""End the process and would write a core file."""
SYNCHRONOUS: Final = (
    sigmask(SIGSEGV) | sigmask(SIGBUS) | sigmask(SIGILL) | sigmask(SIGTRAP) | sigmask(SIGFPE) | sigmask(SIGSYS)
)
"""Caused by the instruction at hand: delivered before all others."""
UNBLOCKABLE: Final = sigmask(SIGKILL) | sigmask(SIGSTOP)
"""Cannot be blocked, caught or ignored."""
