"""Terminals: the line discipline, pseudo terminals, and their ioctls. Floor 8."""

from sentry_tty._ioctl import tty_ioctl
from sentry_tty._ldisc import INITIAL, LineDiscipline, Termios
from sentry_tty._pty import PtyMasterFile
from sentry_tty._tty import JobControl, Output, Session, Tty
from sentry_tty._ttyfile import TtyFile

__all__ = [
    "INITIAL",
    "JobControl",
    "LineDiscipline",
    "Output",
    "PtyMasterFile",
    "Session",
    "Termios",
    "Tty",
    "TtyFile",
    "tty_ioctl",
]
