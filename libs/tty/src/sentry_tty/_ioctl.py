"""ioctls of terminals, from either end. Source: Linux tty_io.c, tty_ioctl.c, tty_jobctrl.c; ioctl_tty(2)."""

from sentry_abi import ioctl as io
from sentry_abi.errors import EINVAL, ENOTTY
from sentry_abi.structs import TERMIOS, WINSIZE
from sentry_tty._tty import Tty
from sentry_vfs import UserMemory


def tty_ioctl(tty: Tty, command: int, arg: int, mm: UserMemory) -> int:
    """Execute a terminal command. Raises: EFAULT, EINVAL, EIO, ENOTTY, ERESTARTSYS; as `tty_jobctrl_ioctl`."""
    if command == io.TCGETS:
        mm.copy_out(arg, tty.termios.pack())
    elif command in (io.TCSETS, io.TCSETSW, io.TCSETSF):
        tty.control.check_change(tty)
        raw = mm.copy_in(arg, TERMIOS.size)
        if command == io.TCSETSF:
            tty.flush(0)
        tty.set_termios(raw)
    elif command == io.TIOCGWINSZ:
        mm.copy_out(arg, tty.winsize)
    elif command == io.TIOCSWINSZ:
        tty.set_winsize(mm.copy_in(arg, WINSIZE.size))
    elif command == io.FIONREAD:
        mm.copy_out(arg, tty.ldisc.inq().to_bytes(4, "little"))
    elif command == io.TIOCOUTQ:
        mm.copy_out(arg, bytes(4))
    elif command == io.TCFLSH:
        tty.control.check_change(tty)
        tty.flush(arg)
    elif command in (io.TCSBRK, io.TCSBRKP, io.TCXONC, io.TIOCEXCL, io.TIOCNXCL):
        tty.control.check_change(tty)
    else:
        return tty_jobctrl_ioctl(tty, command, arg, mm)
    return 0


def tty_jobctrl_ioctl(tty: Tty, command: int, arg: int, mm: UserMemory) -> int:
    """Execute a command about sessions and process groups. Raises: EFAULT, EINVAL, EIO, ENOTTY, EPERM, ESRCH."""
    control = tty.control
    if command == io.TIOCSCTTY:
        control.tiocsctty(tty, steal=arg == 1)
    elif command == io.TIOCGPTPEER:
        return control.tiocgptpeer(tty, arg)
    elif command == io.TIOCNOTTY:
        control.tiocnotty(tty)
    elif command == io.TIOCGPGRP:
        mm.copy_out(arg, control.tiocgpgrp(tty).to_bytes(4, "little"))
    elif command == io.TIOCGSID:
        mm.copy_out(arg, control.tiocgsid(tty).to_bytes(4, "little"))
    elif command == io.TIOCSPGRP:
        control.check_tiocspgrp(tty)
        pgid = int.from_bytes(mm.copy_in(arg, 4), "little", signed=True)
        if pgid < 0:
            raise EINVAL
        control.tiocspgrp(tty, pgid)
    else:
        raise ENOTTY
    return 0
