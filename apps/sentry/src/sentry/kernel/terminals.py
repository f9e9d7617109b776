"""Terminals and job control: which process may use a terminal, and who gets its signals.

Source: Linux drivers/tty/tty_jobctrl.c; facts section 8.10; tty_ioctl(4).
"""

from typing import TYPE_CHECKING, Any

from sentry.kernel.siginfo import SigInfo
from sentry_abi import ioctl as io
from sentry_abi.capability import CAP_SYS_ADMIN
from sentry_abi.errors import EINVAL, EIO, ENOTTY, ENXIO, EPERM, ERESTARTSYS, ESRCH
from sentry_abi.fcntl import O_NOCTTY
from sentry_abi.signal import SI_KERNEL, SIG_IGN, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU
from sentry_vfs import do_filp_open

if TYPE_CHECKING:
    from sentry.kernel.group import Session, ThreadGroup
    from sentry.kernel.kernel import Kernel
    from sentry.kernel.task import Task
    from sentry_fs import Devpts
    from sentry_vfs import FileDescription, Path, Tty


class Terminals:
    """Job control of one kernel (`sentry_vfs.JobControl`), and what /dev/tty opens."""

    __slots__ = ("devpts", "fallback", "kernel")

    def __init__(self, kernel: "Kernel") -> None:
        """Serve one kernel."""
        self.kernel = kernel
        self.devpts: Devpts | None = None
        self.fallback: Any = None
        """What /dev/tty opens for a process without a terminal of ours: the host's, if standard input is one."""

    def _caller(self) -> "Task":
        task = self.kernel.loop.current
        assert task is not None
        return task

    # -- signals

    def signal(self, tty: "Tty", signo: int) -> None:
        """Signal the foreground process group."""
        pgrp = self.kernel.pids.pgrps.get(tty.foreground)
        if pgrp is not None:
            for group in list(pgrp.members.values()):
                self.kernel.signals.send_group(group, SigInfo(signo, SI_KERNEL))

    def hung_up(self, tty: "Tty") -> None:
        """Tell the session that its terminal is gone."""
        session: Session | None = tty.session
        self.signal(tty, SIGHUP)
        self.signal(tty, SIGCONT)
        if session is not None:
            if session.leader.tasks:
                self.kernel.signals.send_group(session.leader, SigInfo(SIGHUP, SI_KERNEL))
                self.kernel.signals.send_group(session.leader, SigInfo(SIGCONT, SI_KERNEL))
            session.tty = None
        tty.session = None
        tty.foreground = 0

    # -- background processes

    def may_read(self, tty: "Tty") -> None:
        """Let the foreground read; stop a background group by SIGTTIN. Raises: EIO, ERESTARTSYS."""
        self._check(tty, SIGTTIN)

    def may_write(self, tty: "Tty") -> None:
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
        if self.kernel.jobs.is_orphaned(pgrp):
            raise EIO
        for group in list(pgrp.members.values()):
            self.kernel.signals.send_group(group, SigInfo(signo, SI_KERNEL))
        raise ERESTARTSYS

    # -- sessions

    def opened(self, tty: "Tty", flags: int) -> None:
        """Give the terminal to a session leader without one (tty_open_proc_set_tty)."""
        task = self.kernel.loop.current
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

    def command(self, tty: "Tty", command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (the memory manager)
        """Do an ioctl about sessions and groups. Raises: ENOTTY, EPERM, ESRCH, EINVAL, EFAULT."""
        task = self._caller()
        group = task.group
        session = group.pgrp.session
        if command == io.TIOCSCTTY:
            return self._steal(tty, task, arg)
        if command == io.TIOCGPTPEER:
            return self._open_peer(tty, task, arg)
        if command not in (io.TIOCNOTTY, io.TIOCGPGRP, io.TIOCSPGRP, io.TIOCGSID):
            raise ENOTTY
        if session.tty is not tty and not (command in (io.TIOCGPGRP, io.TIOCGSID) and tty.session is not None):
            raise ENOTTY
        if command == io.TIOCNOTTY:
            if session.leader is group:
                self.signal(tty, SIGHUP)
                self.signal(tty, SIGCONT)
                session.tty = None
                tty.session = None
                tty.foreground = 0
        elif command == io.TIOCGPGRP:
            mm.copy_out(arg, tty.foreground.to_bytes(4, "little"))
        elif command == io.TIOCGSID:
            mm.copy_out(arg, tty.session.sid.to_bytes(4, "little"))
        else:
            self._check(tty, SIGTTOU)
            pgid = int.from_bytes(mm.copy_in(arg, 4), "little", signed=True)
            if pgid < 0:
                raise EINVAL
            pgrp = self.kernel.pids.pgrps.get(pgid)
            if pgrp is None:
                raise ESRCH
            if pgrp.session is not session:
                raise EPERM
            tty.foreground = pgid
        return 0

    def _steal(self, tty: "Tty", task: "Task", arg: int) -> int:
        """TIOCSCTTY. Raises: EPERM."""
        group = task.group
        session = group.pgrp.session
        if session.leader is group and tty.session is session:
            return 0
        if session.leader is not group or session.tty is not None:
            raise EPERM
        if tty.session is not None:
            if arg != 1 or not task.creds.capable(CAP_SYS_ADMIN):
                raise EPERM
            tty.session.tty = None
        self.attach(tty, group)
        return 0

    def _open_peer(self, tty: "Tty", task: "Task", flags: int) -> int:
        """TIOCGPTPEER: open the program's end from the master, whatever /dev/pts looks like. Raises: EIO, EMFILE."""
        if self.devpts is None:
            raise EIO
        file = do_filp_open(None, b"/dev/pts/%d" % tty.index, flags, 0, task.fs, task.creds)
        return task.files.install(file, cloexec=bool(flags & 0o2000000))

    def again(self, flags: int, where: "Path") -> "FileDescription":
        """Open /dev/tty: the caller's controlling terminal. Raises: ENXIO."""
        tty = self._caller().group.pgrp.session.tty
        if tty is not None and self.devpts is not None:
            inode = self.devpts.slaves.get(tty.index)
            if inode is not None and inode.tty is tty:
                return inode.open(where, flags)
        if self.fallback is not None:
            file: FileDescription = self.fallback.again(flags, where)
            return file
        raise ENXIO
