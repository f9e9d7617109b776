"""Readiness: poll(2), epoll(7), select(2), eventfd(2), timerfd(2), inotify(7) flags.

Sources: Linux include/uapi/asm-generic/poll.h, linux/eventpoll.h, linux/eventfd.h, linux/timerfd.h, linux/inotify.h.
"""

from typing import Final

# poll(2).
POLLIN: Final = 1
POLLPRI: Final = 2
POLLOUT: Final = 4
POLLERR: Final = 8
POLLHUP: Final = 0x10
POLLNVAL: Final = 0x20
POLLRDNORM: Final = 0x40
POLLRDBAND: Final = 0x80
POLLWRNORM: Final = 0x100
POLLWRBAND: Final = 0x200
POLLMSG: Final = 0x400
POLLREMOVE: Final = 0x1000
POLLRDHUP: Final = 0x2000

# epoll events.
EPOLLIN: Final = 1
EPOLLPRI: Final = 2
EPOLLOUT: Final = 4
EPOLLERR: Final = 8
EPOLLHUP: Final = 0x10
EPOLLNVAL: Final = 0x20
EPOLLRDNORM: Final = 0x40
EPOLLRDBAND: Final = 0x80
EPOLLWRNORM: Final = 0x100
EPOLLWRBAND: Final = 0x200
EPOLLMSG: Final = 0x400
EPOLLRDHUP: Final = 0x2000
EPOLLEXCLUSIVE: Final = 0x1000_0000
EPOLLWAKEUP: Final = 0x2000_0000
EPOLLONESHOT: Final = 0x4000_0000
EPOLLET: Final = 0x8000_0000

# epoll_ctl(2), epoll_create1(2).
EPOLL_CTL_ADD: Final = 1
EPOLL_CTL_DEL: Final = 2
EPOLL_CTL_MOD: Final = 3
EPOLL_CLOEXEC: Final = 0o2000000

# eventfd2(2).
EFD_SEMAPHORE: Final = 1
EFD_CLOEXEC: Final = 0o2000000
EFD_NONBLOCK: Final = 0o4000

# timerfd_create(2), timerfd_settime(2).
TFD_TIMER_ABSTIME: Final = 1
TFD_TIMER_CANCEL_ON_SET: Final = 2
TFD_CLOEXEC: Final = 0o2000000
TFD_NONBLOCK: Final = 0o4000

# inotify: events, watch flags, inotify_init1(2).
IN_ACCESS: Final = 1
IN_MODIFY: Final = 2
IN_ATTRIB: Final = 4
IN_CLOSE_WRITE: Final = 8
IN_CLOSE_NOWRITE: Final = 0x10
IN_OPEN: Final = 0x20
IN_MOVED_FROM: Final = 0x40
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800
IN_UNMOUNT: Final = 0x2000
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_CLOSE: Final = 0x18
IN_MOVE: Final = 0xC0
IN_ONLYDIR: Final = 0x100_0000
IN_DONT_FOLLOW: Final = 0x200_0000
IN_EXCL_UNLINK: Final = 0x400_0000
IN_MASK_CREATE: Final = 0x1000_0000
IN_MASK_ADD: Final = 0x2000_0000
IN_ISDIR: Final = 0x4000_0000
IN_ONESHOT: Final = 0x8000_0000
IN_ALL_EVENTS: Final = 0xFFF
IN_CLOEXEC: Final = 0x8_0000
IN_NONBLOCK: Final = 0x800

# select(2).
FD_SETSIZE: Final = 1024
