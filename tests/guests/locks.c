/* Record locks, whole-file locks, epoll and eventfd. */
#include "guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>

static int lock(int fd, int command, short type, off_t start, off_t len) {
    struct flock what = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, command, &what);
}

static void show_lock(const char *name, int fd, short type, off_t start, off_t len, pid_t holder) {
    struct flock what = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    if (fcntl(fd, F_GETLK, &what)) SHOW(name, "%s", strerrorname_np(errno));
    else if (what.l_type == F_UNLCK) SHOW(name, "free");
    else SHOW(name, "%s %lld %lld %s", what.l_type == F_WRLCK ? "write" : "read", (long long)what.l_start,
              (long long)what.l_len, what.l_pid == holder ? "holder" : "other");
}

static void records(void) {
    int fd = open("lock", O_RDWR | O_CREAT, 0644), reader = open("lock", O_RDONLY);
    write(fd, "0123456789", 10);
    pid_t me = getpid();
    CALL("write lock", lock(fd, F_SETLK, F_WRLCK, 2, 4));
    CALL("own again", lock(fd, F_SETLK, F_WRLCK, 0, 0));
    CALL("part read", lock(fd, F_SETLK, F_RDLCK, 4, 2));
    CALL("hole", lock(fd, F_SETLK, F_UNLCK, 8, 1));
    CALL("write on a reader", lock(reader, F_SETLK, F_WRLCK, 0, 1));
    CALL("bad type", lock(fd, F_SETLK, 77, 0, 1));
    CALL("negative start", lock(fd, F_SETLK, F_RDLCK, -1, 1));
    show_lock("mine", fd, F_WRLCK, 0, 0, me);
    pid_t child = fork();
    if (!child) {
        show_lock("first", fd, F_WRLCK, 0, 0, me);
        show_lock("read part", fd, F_RDLCK, 4, 2, me);
        show_lock("write part", fd, F_WRLCK, 4, 2, me);
        show_lock("hole", fd, F_WRLCK, 8, 1, me);
        show_lock("tail", fd, F_WRLCK, 100, 1, me);
        CALL("refused", lock(fd, F_SETLK, F_RDLCK, 0, 1));
        CALL("shared", lock(fd, F_SETLK, F_RDLCK, 4, 2));
        CALL("in the hole", lock(fd, F_SETLK, F_WRLCK, 8, 1));
        CALL("waits", lock(fd, F_SETLKW, F_WRLCK, 0, 2));
        _exit(0);
    }
    sleep_ms(100);
    int closed = close(reader); // shown when the child, whom it wakes, has shown its own
    reap("child", child);
    NUM("released by closing another", closed);
    CALL("open file lock", lock(fd, F_OFD_SETLK, F_WRLCK, 0, 5));
    int other = open("lock", O_RDWR);
    CALL("of another description", lock(other, F_OFD_SETLK, F_WRLCK, 4, 5));
    CALL("of the process", lock(fd, F_SETLK, F_WRLCK, 4, 5));
    CALL("beside", lock(other, F_OFD_SETLK, F_WRLCK, 5, 5));
    close(fd);
    CALL("after the close", lock(other, F_OFD_SETLK, F_WRLCK, 0, 5));
    close(other);
}

static void inside(void) {
    int fd = open("inside", O_RDWR | O_CREAT, 0644);
    CALL("write lock", lock(fd, F_SETLK, F_WRLCK, 0, 3));
    CALL("read lock within", lock(fd, F_SETLK, F_RDLCK, 0, 2));
    CALL("read lock within that", lock(fd, F_SETLK, F_RDLCK, 0, 1));
    pid_t child = fork();
    if (!child) {
        CALL("shared", lock(fd, F_SETLK, F_RDLCK, 0, 2));
        CALL("refused", lock(fd, F_SETLK, F_RDLCK, 2, 1));
        _exit(0);
    }
    reap("child", child);
    close(fd);
}

static void deadlock(void) {
    int fd = open("dead", O_RDWR | O_CREAT, 0644), ready[2];
    char byte;
    pipe(ready);
    CALL("mine", lock(fd, F_SETLKW, F_WRLCK, 0, 1));
    pid_t child = fork();
    if (!child) {
        lock(fd, F_SETLKW, F_WRLCK, 1, 1);
        write(ready[1], "x", 1);
        alarm(20);
        lock(fd, F_SETLKW, F_WRLCK, 0, 1); // waits for the parent
        _exit(3);
    }
    read(ready[0], &byte, 1);
    sleep_ms(100);
    alarm(20);
    CALL("each has what the other wants", lock(fd, F_SETLKW, F_WRLCK, 1, 1));
    CALL("of a description it is not seen", lock(fd, F_OFD_SETLK, F_WRLCK, 1, 1));
    CALL("let go", lock(fd, F_SETLK, F_UNLCK, 0, 0));
    reap("child", child);
    alarm(0);
    CALL("all mine", lock(fd, F_SETLKW, F_WRLCK, 0, 0));
    close(fd);
    close(ready[0]), close(ready[1]);
}

static void whole(void) {
    int a = open("lock", O_RDWR), b = open("lock", O_RDWR);
    CALL("shared", flock(a, LOCK_SH));
    CALL("shared too", flock(b, LOCK_SH | LOCK_NB));
    CALL("exclusive", flock(a, LOCK_EX | LOCK_NB));
    CALL("unlock", flock(b, LOCK_UN));
    CALL("upgrade", flock(a, LOCK_EX | LOCK_NB));
    CALL("refused", flock(b, LOCK_SH | LOCK_NB));
    CALL("nonsense", flock(b, 77));
    int copy = dup(a);
    CALL("a copy is the same", flock(copy, LOCK_EX | LOCK_NB));
    close(copy);
    CALL("held still", flock(b, LOCK_SH | LOCK_NB));
    pid_t child = fork();
    if (!child) {
        close(a);
        CALL("waits", flock(b, LOCK_EX));
        _exit(0);
    }
    sleep_ms(50);
    close(a);
    reap("child", child);
    close(b);
}

static int count(int ep, int timeout) {
    struct epoll_event events[8];
    return epoll_wait(ep, events, 8, timeout);
}

static void polling(void) {
    int ep = epoll_create1(EPOLL_CLOEXEC), pipes[2], ev = eventfd(0, EFD_NONBLOCK);
    pipe2(pipes, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 7};
    CALL("flags", epoll_create1(77));
    CALL("size", epoll_create(0));
    CALL("add", epoll_ctl(ep, EPOLL_CTL_ADD, pipes[0], &e));
    CALL("add again", epoll_ctl(ep, EPOLL_CTL_ADD, pipes[0], &e));
    CALL("unknown", epoll_ctl(ep, EPOLL_CTL_MOD, ev, &e));
    CALL("itself", epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e));
    int file = open("lock", O_RDONLY);
    CALL("a file", epoll_ctl(ep, EPOLL_CTL_ADD, file, &e));
    CALL("no file", epoll_ctl(ep, EPOLL_CTL_ADD, 99, &e));
    CALL("not an epoll", epoll_ctl(file, EPOLL_CTL_ADD, pipes[0], &e));
    CALL("operation", epoll_ctl(ep, 9, pipes[0], &e));
    CALL("space for a write", epoll_wait(ep, &e, 0, 0));
    NUM("nothing", count(ep, 0));
    NUM("timeout", count(ep, 20));
    write(pipes[1], "x", 1);
    NUM("level", count(ep, 0));
    NUM("level again", count(ep, 0));
    e.events = EPOLLIN | EPOLLET;
    CALL("edge", epoll_ctl(ep, EPOLL_CTL_MOD, pipes[0], &e));
    NUM("edge", count(ep, 0));
    NUM("edge again", count(ep, 0));
    write(pipes[1], "x", 1);
    NUM("next edge", count(ep, 0));
    e.events = EPOLLIN | EPOLLONESHOT;
    CALL("once", epoll_ctl(ep, EPOLL_CTL_MOD, pipes[0], &e));
    NUM("once", count(ep, 0));
    NUM("once again", count(ep, 0));
    close(pipes[1]);
    NUM("disarmed", count(ep, 0));
    e.events = 0;
    CALL("hang-up", epoll_ctl(ep, EPOLL_CTL_MOD, pipes[0], &e));
    struct epoll_event got = {0};
    NUM("count", epoll_wait(ep, &got, 1, 0));
    SHOW("event", "%x %llu", got.events, (unsigned long long)got.data.u64);
    int outer = epoll_create1(0);
    e.events = EPOLLIN;
    CALL("nest", epoll_ctl(outer, EPOLL_CTL_ADD, ep, &e));
    CALL("cycle", epoll_ctl(ep, EPOLL_CTL_ADD, outer, &e));
    NUM("outer", count(outer, 0));
    struct pollfd p = {ep, POLLIN, 0};
    NUM("poll of an epoll", poll(&p, 1, 0));
    close(pipes[0]);
    NUM("closed", count(ep, 0));
    NUM("outer", count(outer, 0));
    uint64_t value = 5;
    e.events = EPOLLIN | EPOLLOUT;
    CALL("eventfd", epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e));
    epoll_wait(ep, &got, 1, 0);
    NUM("writable", got.events);
    NUM("write", write(ev, &value, 8));
    epoll_wait(ep, &got, 1, 0);
    NUM("both", got.events);
    NUM("read", read(ev, &value, 8));
    NUM("value", value);
    CALL("empty", read(ev, &value, 8));
    CALL("short", read(ev, &value, 7));
    value = UINT64_MAX;
    CALL("all ones", write(ev, &value, 8));
    value = UINT64_MAX - 1;
    CALL("nearly", write(ev, &value, 8));
    CALL("full", (value = 1, write(ev, &value, 8)));
    epoll_wait(ep, &got, 1, 0);
    NUM("readable", got.events);
    int sem = eventfd(3, EFD_SEMAPHORE);
    NUM("one", read(sem, &value, 8));
    NUM("value", value);
    CALL("remove", epoll_ctl(ep, EPOLL_CTL_DEL, ev, NULL));
    CALL("remove again", epoll_ctl(ep, EPOLL_CTL_DEL, ev, NULL));
    int waker = eventfd(0, 0);
    e.events = EPOLLIN;
    epoll_ctl(ep, EPOLL_CTL_ADD, waker, &e);
    pid_t child = fork();
    if (!child) {
        sleep_ms(50);
        value = 1;
        _exit(write(waker, &value, 8) != 8);
    }
    NUM("woken", count(ep, 5000));
    reap("child", child);
    close(ep), close(outer), close(ev), close(sem), close(file), close(waker);
}

int main(void) {
    records();
    inside();
    deadlock();
    whole();
    polling();
    return 0;
}
