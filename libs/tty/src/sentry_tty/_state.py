"""Which objects of tty can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_tty._ldisc import LineDiscipline, Output, Termios
from sentry_tty._pty import PtyMasterFile
from sentry_tty._tty import JobControl, Session, Tty
from sentry_tty._ttyfile import TtyFile

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {JobControl: "protocol", Output: "protocol", Session: "protocol"}


def register(registry: "Registry") -> None:
    """Register terminals. Needs the classes of sentry_vfs and sentry_waiter; job control is the kernel's."""
    registry.savable("tty.Termios")(Termios)
    registry.savable("tty.LineDiscipline", fields=LineDiscipline.__slots__)(LineDiscipline)
    registry.savable("tty.Tty", fields=Tty.__slots__)(Tty)
    registry.savable("tty.TtyFile", fields=TtyFile.__slots__)(TtyFile)
    registry.savable("tty.PtyMasterFile", fields=PtyMasterFile.__slots__)(PtyMasterFile)
