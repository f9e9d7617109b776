"""A byte there and back: over a socket pair, over TCP, over two pipes."""

import timeit

from sentry_abi.socket import AF_INET, SOCK_STREAM
from sentry_host import real_host
from sentry_sockets import KINDS, Network, TcpSocket, Ucred, UnixSocket, new_inode, pack_inet
from sentry_vfs import FileDescription, PipeFilesystem, VirtualFilesystem, make_pipe

VFS = VirtualFilesystem(real_host())

ROUNDS = 100_000
BUFFER = [memoryview(bytearray(1))]


def unix_pair() -> tuple[UnixSocket, UnixSocket]:
    """Return two connected streams."""
    network = Network(VFS)
    left, right = (KINDS[SOCK_STREAM](network, new_inode(network.fs, 0, 0)) for _ in range(2))
    left.socketpair(right, Ucred(1, 0, 0))
    return left, right


def tcp_pair() -> tuple[TcpSocket, TcpSocket]:
    """Return the ends of a connection."""
    network = Network(VFS)
    listener, client = (TcpSocket(network, new_inode(network.fs, 0, 0)) for _ in range(2))
    listener.bind(pack_inet((b"\x7f\0\0\x01", 80), AF_INET))
    listener.listen(1, Ucred(1, 0, 0))
    client.connect(listener.getsockname(), wait=True)
    return client, listener.accept()


def rounds(there: tuple[FileDescription, FileDescription], back: tuple[FileDescription, FileDescription]) -> None:
    """Send a byte along one pair and back along the other, many times."""
    for _ in range(ROUNDS):
        there[0].write([b"x"])
        there[1].read(BUFFER)
        back[0].write([b"x"])
        back[1].read(BUFFER)


def main() -> None:
    """Print microseconds for a round trip."""
    for name, pair in (("unix", unix_pair()), ("tcp", tcp_pair())):
        seconds = timeit.timeit(lambda pair=pair: rounds(pair, pair[::-1]), number=1)  # type: ignore[misc]
        print(f"{name}: {seconds / ROUNDS * 1e6:.2f} us")
    pipes = PipeFilesystem(VFS)
    there, back = make_pipe(pipes, 0, 0), make_pipe(pipes, 0, 0)
    seconds = timeit.timeit(lambda: rounds(there[::-1], back[::-1]), number=1)
    print(f"pipe: {seconds / ROUNDS * 1e6:.2f} us")


if __name__ == "__main__":
    main()
