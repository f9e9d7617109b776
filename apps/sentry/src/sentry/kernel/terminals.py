"""Job control: which process may use a terminal, and which processes get its signals.

Source: Linux drivers/tty/tty_jobctrl.c; ioctl_tty(2).
"""

from typing import TYPE_CHECKING, cast

from sentry.kernel.send import send_group, send_pgrp
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.stop import is_orphaned_pgrp
from sentry_abi.capability import CAP_SYS_ADMIN
from sentry_abi.errors import EIO, EMFILE, ENOTTY, ENXIO, EPERM, ERESTARTSYS, ESRCH
from sentry_abi.fcntl import O_NOCTTY
from sentry_abi.signal import SI_KERNEL, SIG_IGN, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU
from sentry_vfs import do_filp_open

if TYPE_CHECKING:
    from sentry.kernel.state import KernelState, Session, Task, ThreadGroup
    from sentry_fs import Devpts, HostFile
    from sentry_tty import Tty
    from sentry_vfs import FileDescription, Path


class Terminals:
    """Job control of one kernel (`sentry_tty.JobControl`), and what /dev/tty opens."""

    __slots__ = ("devpts", "fallback", "kernel")

    def __init__(self, kernel: "KernelState") -> None:
        """Serve one kernel."""
        self.kernel = kernel
        self.devpts: Devpts | None = None
        self.fallback: HostFile | None = None
        """What /dev/tty opens for a process without a controlling terminal: the host's, if standard input is one."""

    def _caller(self) -> "Task":
        task = self.kernel.current
        assert task is not None
        return task

    # -- signals

    def kill_pgrp(self, tty: "Tty", signo: int) -> None:
        """Signal the foreground process group."""
        pgrp = self.kernel.root_pid_namespace.pgrps.get(tty.foreground)
        if pgrp is not None:
            send_pgrp(pgrp, SigInfo(signo, SI_KERNEL))

    def disassociate(self, tty: "Tty") -> None:
        """Take a terminal that was hung up from its session: SIGHUP and SIGCONT."""
        session = cast("Session | None", tty.session)
        self.kill_pgrp(tty, SIGHUP)
        self.kill_pgrp(tty, SIGCONT)
        if session is not None:
            if session.leader.tasks:
                send_group(session.leader, SigInfo(SIGHUP, SI_KERNEL))
                send_group(session.leader, SigInfo(SIGCONT, SI_KERNEL))
            session.tty = None
        tty.session = None
        tty.foreground = 0

    # -- background processes

    def check_read(self, tty: "Tty") -> None:
        """Let the foreground read; stop a background group by SIGTTIN. Raises: EIO, ERESTARTSYS."""
        self._check(tty, SIGTTIN)

    def check_change(self, tty: "Tty") -> None:
        """Let the foreground write and set; stop a background group by SIGTTOU. Raises: EIO, ERESTARTSYS."""
        self._check(tty, SIGTTOU)

    def _check(self, tty: "Tty", signo: int) -> None:
        task = self._caller()
        pgrp = task.group.pgrp
        if tty.session is not pgrp.session or not tty.foreground or pgrp.pgid == tty.foreground:
            return
        ignored = task.blocked >> (signo - 1) & 1 or task.group.handlers.get(signo).handler == SIG_IGN
        if ignored:
            if signo == SIGTTIN:
                raise EIO
            return
        if is_orphaned_pgrp(pgrp):
            raise EIO
        send_pgrp(pgrp, SigInfo(signo, SI_KERNEL))
        raise ERESTARTSYS

    # -- sessions

    def opened(self, tty: "Tty", flags: int) -> None:
        """Give the terminal to a session leader without one (tty_open_proc_set_tty)."""
        task = self.kernel.current
        if task is None or flags & O_NOCTTY:
            return
        group = task.group
        session = group.pgrp.session
        if session.leader is group and session.tty is None and tty.session is None:
            self.attach(tty, group)

    @staticmethod
    def attach(tty: "Tty", leader: "ThreadGroup") -> None:
        """Make a terminal the controlling one of leader's session, with leader's group in the foreground."""
        session = leader.pgrp.session
        session.tty = tty
        tty.session = session
        tty.foreground = leader.pgrp.pgid

    def tiocsctty(self, tty: "Tty", *, steal: bool) -> None:
        """Make the terminal the controlling one of the caller's session. Raises: EPERM."""
        task = self._caller()
        group = task.group
        session = group.pgrp.session
        if session.leader is group and tty.session is session:
            return
        if session.leader is not group or session.tty is not None:
            raise EPERM
        if tty.session is not None:
            if not steal or not task.creds.capable(CAP_SYS_ADMIN):
                raise EPERM
            cast("Session", tty.session).tty = None
        self.attach(tty, group)

    def tiocnotty(self, tty: "Tty") -> None:
        """Give up the caller's controlling terminal; a session leader's takes it from the session. Raises: ENOTTY."""
        group = self._caller().group
        session = group.pgrp.session
        if session.tty is not tty:
            raise ENOTTY
        if session.leader is group:
            self.kill_pgrp(tty, SIGHUP)
            self.kill_pgrp(tty, SIGCONT)
            session.tty = None
            tty.session = None
            tty.foreground = 0

    def tiocgpgrp(self, tty: "Tty") -> int:
        """Return the foreground process group. Raises: ENOTTY."""
        if self._caller().group.pgrp.session.tty is not tty and tty.session is None:
            raise ENOTTY
        return tty.foreground

    def tiocgsid(self, tty: "Tty") -> int:
        """Return the session id. Raises: ENOTTY."""
        if tty.session is None:
            raise ENOTTY
        return tty.session.sid

    def check_tiocspgrp(self, tty: "Tty") -> None:
        """Check that the caller may change the foreground. Raises: ENOTTY, EIO, ERESTARTSYS."""
        if self._caller().group.pgrp.session.tty is not tty:
            raise ENOTTY
        self._check(tty, SIGTTOU)

    def tiocspgrp(self, tty: "Tty", pgid: int) -> None:
        """Set the foreground process group. Raises: ESRCH, EPERM."""
        pgrp = self.kernel.root_pid_namespace.pgrps.get(pgid)
        if pgrp is None:
            raise ESRCH
        if pgrp.session is not self._caller().group.pgrp.session:
            raise EPERM
        tty.foreground = pgid

    def tiocgptpeer(self, tty: "Tty", flags: int) -> int:
        """Open the slave for the caller; return the descriptor. Raises: EIO, EMFILE."""
        if self.devpts is None:
            raise EIO
        task = self._caller()
        file = do_filp_open(None, b"/dev/pts/%d" % tty.index, flags, 0, task.fs, task.creds)
        try:
            return task.files.install(file, cloexec=bool(flags & 0o2000000))
        except EMFILE:
            file.discard()
            raise

    def again(self, flags: int, where: "Path") -> "FileDescription":
        """Open /dev/tty: the caller's controlling terminal. Raises: ENXIO."""
        tty = self._caller().group.pgrp.session.tty
        if tty is not None and self.devpts is not None:
            inode = self.devpts.slaves.get(tty.index)
            if inode is not None and inode.tty is tty:
                return inode.open(where, flags)
        if self.fallback is not None:
            return self.fallback.again(flags, where)
        raise ENXIO
