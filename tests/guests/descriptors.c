/* Timers, signals and processes as files: timerfd, signalfd, pidfd. */
#include "guest.h"
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#define P_PIDFD_ 3

static int ready(int fd, int ms) {
    struct pollfd p = {fd, POLLIN, 0};
    int r = poll(&p, 1, ms);
    return r == 1 ? p.revents : r;
}

static struct itimerspec spec(long value_ms, long interval_ms) {
    struct itimerspec s = {{interval_ms / 1000, interval_ms % 1000 * 1000000}, {value_ms / 1000, value_ms % 1000 * 1000000}};
    return s;
}

static void timers(void) {
    uint64_t many[10] = {0};
#define n many[0]
    struct itimerspec s, old;
    CALL("bad clock", timerfd_create(77, 0));
    CALL("CPU clock", timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    CALL("bad flags", timerfd_create(CLOCK_MONOTONIC, 1));
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    NUM("close-on-exec", fcntl(fd, F_GETFD));
    NUM("flags", fcntl(fd, F_GETFL));
    char path[64], link[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t k = readlink(path, link, sizeof link);
    SHOW("link", "%.*s", (int)k, link);
    CALL("read disarmed", read(fd, &n, 8));
    CALL("write", write(fd, &n, 8));
    CALL("lseek", lseek(fd, 0, SEEK_SET));
    CALL("gettime", timerfd_gettime(fd, &old));
    SHOW("disarmed", "%ld %ld %ld", (long)old.it_value.tv_sec, old.it_value.tv_nsec, old.it_interval.tv_nsec);
    s = spec(20, 0);
    CALL("settime", timerfd_settime(fd, 0, &s, NULL));
    CALL("not yet", read(fd, &n, 8));
    timerfd_gettime(fd, &old);
    TRUTH("less is left", old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 20000000);
    NUM("poll", ready(fd, 2000));
    CALL("short read", read(fd, &n, 4));
    CALL("read", read(fd, &n, 80));
    NUM("count", n);
    CALL("again", read(fd, &n, 8));
    s = spec(5, 5);
    timerfd_settime(fd, 0, &s, NULL);
    sleep_ms(30);
    CALL("read the interval", read(fd, &n, 8));
    TRUTH("several", n >= 5 && n < 200);
    timerfd_gettime(fd, &old);
    TRUTH("it goes on", old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 5000000 && old.it_interval.tv_nsec == 5000000);
    s = spec(0, 0);
    CALL("disarm", timerfd_settime(fd, 0, &s, &old));
    NUM("old interval", old.it_interval.tv_nsec);
    sleep_ms(10);
    CALL("nothing", read(fd, &n, 8));
    s.it_value.tv_nsec = 1000000000;
    CALL("bad time", timerfd_settime(fd, 0, &s, NULL));
    s = spec(1, 0);
    CALL("bad set flags", timerfd_settime(fd, 16, &s, NULL));
    CALL("not a timer", timerfd_settime(1, 0, &s, NULL));
    CALL("not open", timerfd_settime(99, 0, &s, NULL));
    CALL("bad pointer", timerfd_settime(fd, 0, (void *)8, NULL));
    close(fd);

    clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    for (int i = 0; i < 3; i++) {
        fd = timerfd_create(clocks[i], 0);
        struct timespec now;
        clock_gettime(clocks[i], &now);
        s = spec(0, 0);
        s.it_value = now;
        s.it_value.tv_nsec += 20000000;
        if (s.it_value.tv_nsec >= 1000000000) s.it_value.tv_sec++, s.it_value.tv_nsec -= 1000000000;
        CALL("absolute", timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
        NUM("not yet", ready(fd, 0));
        CALL("blocking read", read(fd, &n, 8));
        NUM("count", n);
        s.it_value = now;
        CALL("in the past", timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
        CALL("at once", read(fd, &n, 8));
        close(fd);
    }
    fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    s = spec(1000000, 0);
    CALL("cancel on set", timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &s, NULL));
    NUM("long ago", ready(fd, 1000));
    int e = epoll_create1(0);
    struct epoll_event ev = {EPOLLIN, {.u32 = 5}}, got;
    s = spec(10, 0);
    timerfd_settime(fd, 0, &s, NULL);
    epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev);
    CALL("epoll now", epoll_wait(e, &got, 1, 0));
    CALL("epoll", epoll_wait(e, &got, 1, 2000));
    NUM("data", got.data.u32);
    close(e);
    close(fd);
}

#undef n

static void signals(void) {
    sigset_t set;
    struct signalfd_siginfo info[4];
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGRTMIN + 1);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CALL("bad flags", signalfd(-1, &set, 1));
    CALL("not a signalfd", signalfd(1, &set, 0));
    CALL("not open", signalfd(99, &set, 0));
    CALL("bad size", syscall(SYS_signalfd4, -1, &set, 4, 0));
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    NUM("close-on-exec", fcntl(fd, F_GETFD));
    NUM("flags", fcntl(fd, F_GETFL));
    CALL("nothing", read(fd, info, sizeof info));
    CALL("short", read(fd, info, 100));
    CALL("write", write(fd, info, 128));
    NUM("quiet", ready(fd, 0));
    kill(getpid(), SIGUSR1);
    NUM("poll", ready(fd, 0));
    CALL("read", read(fd, info, sizeof info));
    SHOW("info", "%u %d %d %d", info[0].ssi_signo, info[0].ssi_code, info[0].ssi_pid == (uint32_t)getpid(), info[0].ssi_uid == getuid());
    union sigval v = {.sival_int = 42};
    sigqueue(getpid(), SIGRTMIN + 1, v);
    v.sival_int = 43;
    sigqueue(getpid(), SIGRTMIN + 1, v);
    raise(SIGUSR2);
    CALL("three", read(fd, info, sizeof info));
    SHOW("order", "%u %u %u", info[0].ssi_signo, info[1].ssi_signo, info[2].ssi_signo);
    SHOW("codes", "%d %d %d", info[0].ssi_code, info[1].ssi_code, info[2].ssi_code);
    SHOW("values", "%d %d %d", info[1].ssi_int, info[2].ssi_int, (int)info[2].ssi_ptr);
    raise(SIGUSR1);
    raise(SIGUSR2);
    CALL("one at a time", read(fd, info, 128));
    CALL("the other", read(fd, info, 255));
    pid_t pid = fork();
    if (!pid) _exit(7);
    NUM("child", ready(fd, 2000));
    CALL("read it", read(fd, info, sizeof info));
    SHOW("SIGCHLD", "%u %d %d %d", info[0].ssi_signo, info[0].ssi_code, info[0].ssi_pid == (uint32_t)pid, info[0].ssi_status);
    reap("child", pid);
    timer_t timer;
    struct sigevent se = {0};
    se.sigev_notify = SIGEV_SIGNAL;
    se.sigev_signo = SIGALRM;
    se.sigev_value.sival_int = 11;
    timer_create(CLOCK_MONOTONIC, &se, &timer);
    struct itimerspec s = spec(5, 0);
    timer_settime(timer, 0, &s, NULL);
    NUM("timer", ready(fd, 2000));
    CALL("read it", read(fd, info, sizeof info));
    SHOW("SIGALRM", "%u %d %d %d", info[0].ssi_signo, info[0].ssi_code, info[0].ssi_int, info[0].ssi_overrun);
    timer_delete(timer);

    /* a change of the set */
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    raise(SIGUSR1);
    CALL("change", signalfd(fd, &one, 0) - fd);
    NUM("not in the set", ready(fd, 0));
    CALL("not taken", read(fd, info, 128));
    signalfd(fd, &set, 0);
    CALL("taken", read(fd, info, 128));
    /* a blocking read in another process, which has its own pending signals */
    fcntl(fd, F_SETFL, 0);
    pid = fork();
    if (!pid) {
        ssize_t n = read(fd, info, sizeof info);
        _exit(n == 128 ? (int)info[0].ssi_signo : 1);
    }
    sleep_ms(20);
    kill(pid, SIGUSR2);
    reap("reader", pid);
    read(fd, info, sizeof info);
    int e = epoll_create1(0);
    struct epoll_event ev = {EPOLLIN, {.u32 = 5}}, got;
    epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev);
    CALL("epoll quiet", epoll_wait(e, &got, 1, 0));
    raise(SIGUSR1);
    CALL("epoll", epoll_wait(e, &got, 1, 1000));
    struct timespec zero = {0, 0};
    NUM("sigtimedwait takes it", sigtimedwait(&set, NULL, &zero));
    CALL("gone", epoll_wait(e, &got, 1, 0));
    close(e);
    close(fd);
    raise(SIGUSR1);
    NUM("still pending without it", sigtimedwait(&set, NULL, &zero));
}

static void processes(void) {
    siginfo_t info;
    char b[8];
    CALL("bad flags", syscall(SYS_pidfd_open, getpid(), 1));
    CALL("bad pid", syscall(SYS_pidfd_open, 0, 0));
    CALL("no such process", syscall(SYS_pidfd_open, 4000000, 0));
    pid_t pid = fork();
    if (!pid) {
        signal(SIGUSR1, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (;;) pause();
    }
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    TRUTH("pidfd_open", fd > 2);
    NUM("close-on-exec", fcntl(fd, F_GETFD));
    CALL("read", read(fd, b, 8));
    NUM("alive", ready(fd, 0));
    CALL("waitid now", waitid(P_PIDFD_, (id_t)fd, &info, WEXITED | WNOHANG));
    CALL("signal 0", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    CALL("bad signal", syscall(SYS_pidfd_send_signal, fd, 99, NULL, 0));
    CALL("not a pidfd", syscall(SYS_pidfd_send_signal, 1, 0, NULL, 0));
    CALL("bad flags", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 99));
    CALL("send", syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
    NUM("ended", ready(fd, 2000));
    CALL("look", waitid(P_PIDFD_, (id_t)fd, &info, WEXITED | WNOWAIT));
    SHOW("how", "%d %d %d", info.si_code, info.si_status, info.si_pid == pid);
    CALL("take", waitid(P_PIDFD_, (id_t)fd, &info, WEXITED));
    CALL("again", waitid(P_PIDFD_, (id_t)fd, &info, WEXITED));
    CALL("signal a gone one", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    TRUTH("still readable", ready(fd, 0) & POLLIN);
    close(fd);
    CALL("waitid a bad one", waitid(P_PIDFD_, 99, &info, WEXITED));

    /* made with the child, and watched by epoll */
    int made = -1;
    pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &made, NULL, NULL);
    if (!pid) {
        sleep_ms(10);
        _exit(made == -1 ? 3 : 4);
    }
    TRUTH("CLONE_PIDFD", made > 2);
    int e = epoll_create1(0);
    struct epoll_event ev = {EPOLLIN, {.u32 = 5}}, got;
    epoll_ctl(e, EPOLL_CTL_ADD, made, &ev);
    CALL("epoll", epoll_wait(e, &got, 1, 2000));
    CALL("blocking waitid", waitid(P_PIDFD_, (id_t)made, &info, WEXITED));
    NUM("status", info.si_status);
    close(made);
    close(e);

    /* a descriptor of another process */
    int p[2];
    pipe(p);
    pid = fork();
    if (!pid) {
        int q[2];
        pipe(q);
        dup2(q[0], 50);
        write(q[1], "from afar", 9);
        write(p[1], "x", 1);
        for (;;) pause();
    }
    read(p[0], b, 1);
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    int theirs = (int)syscall(SYS_pidfd_getfd, fd, 50, 0);
    TRUTH("pidfd_getfd", theirs > 2);
    char far[20];
    CALL("its bytes", read(theirs, far, sizeof far));
    CALL("not open there", syscall(SYS_pidfd_getfd, fd, 77, 0));
    CALL("bad flags", syscall(SYS_pidfd_getfd, fd, 50, 1));
    kill(pid, SIGKILL);
    reap("the other", pid);
    CALL("gone", syscall(SYS_pidfd_getfd, fd, 50, 0));
    close(fd);
}

int main(void) {
    timers();
    signals();
    processes();
    return 0;
}
