"""What reading and changing credentials costs."""

import timeit
from collections.abc import Callable

import sentry_auth as auth

ROUNDS = 100_000
root = auth.user_credentials(0, 0)
user = auth.user_credentials(1000, 1000)
inside = auth.unshare_user(user)
auth.write_uid_map(inside.user_ns, b"".join(b"%d %d 1\n" % (2 * i, 3 * i) for i in range(300)), root)


def time(name: str, function: Callable[[], object]) -> None:
    """Print the best of five, in microseconds per call."""
    best = min(timeit.repeat(function, number=ROUNDS, repeat=5))
    print(f"{name:34} {best / ROUNDS * 1e6:.2f} us")


time("capable", lambda: root.capable(21))
time("has_capability_in a child", lambda: root.has_capability_in(21, inside.user_ns))
time("setuid, nothing changes", lambda: auth.setuid(root, 0))
time("setuid, all changes", lambda: auth.setuid(root, 1000))
time("setresuid, two ids change", lambda: auth.setresuid(root, 0xFFFF_FFFF, 5, 5))
time("exec of a plain file", lambda: auth.exec_credentials(user))
time("id through a map of 300 lines", lambda: inside.user_ns.kuid(598))
