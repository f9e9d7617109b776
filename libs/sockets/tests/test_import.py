"""What an import of the package brings."""

import subprocess
import sys


def loaded(text: str) -> set[str]:
    """Return the modules of the package that are there after a program."""
    program = f"import sys\n{text}\nprint(*(name for name in sys.modules if name.startswith('sentry_sockets.')))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    return {name.removeprefix("sentry_sockets.") for name in done.stdout.split()}


def test_unix_sockets_do_not_import_the_internet() -> None:
    """TCP and UDP come with the first name of theirs that is asked for, and only once."""
    inet = {"_inet", "_open", "_tcp", "_udp"}
    assert not loaded("from sentry_sockets import UnixStream") & inet
    assert inet < loaded("import sentry_sockets; sentry_sockets.TcpSocket")
    assert inet < loaded(
        "from sentry_sockets import *; assert UdpSocket.__name__ in vars(sys.modules['sentry_sockets'])"
    )
