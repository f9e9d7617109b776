"""/proc/sysvipc: the System V IPC objects of the caller."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentry.kernel.state import KernelState


def msg(kernel: "KernelState") -> bytes:
    head = (
        b"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime"
        b"      ctime\n"
    )
    rows = [
        b"%10d %10d  %4o  %10d %10d %5d %5d %5d %5d %5d %5d %10d %10d %10d\n"
        % (
            item.key, item.id, item.mode, item.held, len(item.messages), item.lspid, item.lrpid,
            item.uid, item.gid, item.cuid, item.cgid, item.stime, item.rtime, item.ctime,
        )
        for item in kernel.caller_ns().ipc.queues
    ]  # fmt: skip
    return b"".join([head, *rows])


def sem(kernel: "KernelState") -> bytes:
    head = b"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
    rows = [
        b"%10d %10d  %4o %10d %5d %5d %5d %5d %10d %10d\n"
        % (
            item.key, item.id, item.mode, len(item.values),
            item.uid, item.gid, item.cuid, item.cgid, item.otime, item.ctime,
        )
        for item in kernel.caller_ns().ipc.semaphores
    ]  # fmt: skip
    return b"".join([head, *rows])


def shm(kernel: "KernelState") -> bytes:
    head = (
        b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime"
        b"      dtime      ctime                   rss                  swap\n"
    )
    rows = [
        b"%10d %10d  %4o %21d %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d %21d %21d\n"
        % (
            item.key, item.id, item.mode, item.size, item.cpid, item.lpid, item.attached,
            item.uid, item.gid, item.cuid, item.cgid, item.atime, item.dtime, item.ctime, item.resident << 12, 0,
        )
        for item in kernel.caller_ns().ipc.segments
    ]  # fmt: skip
    return b"".join([head, *rows])
