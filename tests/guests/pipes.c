/* Pipes: order, capacity, ends, blocking, signals. */
#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static volatile sig_atomic_t caught;
static void note(int signo) { caught = signo; }

int main(void) {
    int p[2];
    char buffer[70000];
    CALL("pipe", pipe(p));
    NUM("read end", p[0]);
    NUM("write end", p[1]);
    CALL("write", write(p[1], "hello world", 11));
    int available = 0;
    CALL("FIONREAD", ioctl(p[0], FIONREAD, &available));
    NUM("available", available);
    NUM("short read", read(p[0], buffer, 5));
    NUM("the rest", read(p[0], buffer, sizeof buffer));
    SHOW("data", "%.6s", buffer);
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    CALL("writev", writev(p[1], out, 3));
    char x[2], y[10];
    struct iovec in[2] = {{x, 2}, {y, 10}};
    CALL("readv", readv(p[0], in, 2));
    SHOW("scattered", "%.2s %.3s", x, y);
    CALL("write nothing", write(p[1], "", 0));
    CALL("read nothing", read(p[0], buffer, 0));
    CALL("read from the write end", read(p[1], buffer, 1));
    CALL("write to the read end", write(p[0], buffer, 1));
    CALL("lseek", lseek(p[0], 0, SEEK_SET));
    CALL("pread", pread(p[0], buffer, 1, 0));
    CALL("F_GETPIPE_SZ", fcntl(p[0], F_GETPIPE_SZ));
    struct stat st;
    fstat(p[0], &st);
    TRUTH("is a FIFO", S_ISFIFO(st.st_mode));
    NUM("size", st.st_size);
    NUM("flags of the read end", fcntl(p[0], F_GETFL));
    NUM("flags of the write end", fcntl(p[1], F_GETFL));

    int q[2];
    CALL("pipe2", pipe2(q, O_NONBLOCK | O_CLOEXEC));
    NUM("close-on-exec", fcntl(q[0], F_GETFD));
    CALL("empty", read(q[0], buffer, 1));
    memset(buffer, 'x', sizeof buffer);
    CALL("fill", write(q[1], buffer, 65536));
    CALL("full", write(q[1], buffer, 1));
    CALL("drain one page", read(q[0], buffer, 4096));
    CALL("a page fits again", write(q[1], buffer, 5000));
    CALL("bad flags", pipe2(q, 1));

    struct pollfd polled[2] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}};
    NUM("poll", poll(polled, 2, 0));
    SHOW("events", "%x %x", polled[0].revents, polled[1].revents);

    /* A large write blocks until it is read, in order. */
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        for (int i = 0; i < 70000; i++) buffer[i] = (char)(i % 251);
        for (int i = 0; i < 10; i++)
            if (write(p[1], buffer, 70000) != 70000) _exit(1);
        _exit(0);
    }
    close(p[1]);
    long total = 0, wrong = 0;
    for (;;) {
        ssize_t n = read(p[0], buffer, 30000);
        if (n <= 0) break;
        for (ssize_t i = 0; i < n; i++) wrong += buffer[i] != (char)((total + i) % 70000 % 251);
        total += n;
    }
    NUM("total", total);
    NUM("wrong bytes", wrong);
    reap("writer", pid);
    CALL("end of file", read(p[0], buffer, 1));
    NUM("poll at the end", poll(polled, 1, 0));
    SHOW("events", "%x", polled[0].revents);

    /* No reader. */
    CALL("pipe", pipe(p));
    close(p[0]);
    polled[1].fd = p[1];
    polled[1].revents = 0;
    NUM("poll without a reader", poll(polled + 1, 1, 0));
    SHOW("events", "%x", polled[1].revents);
    pid = fork();
    if (pid == 0) {
        if (write(p[1], "x", 1)) {}
        _exit(0);
    }
    reap("SIGPIPE", pid);
    signal(SIGPIPE, note);
    CALL("EPIPE", write(p[1], "x", 1));
    NUM("caught", caught);
    signal(SIGPIPE, SIG_IGN);
    CALL("EPIPE again", write(p[1], "x", 1));
    close(p[1]);

    /* A signal interrupts a read without SA_RESTART, and restarts it with. */
    CALL("pipe", pipe(p));
    for (int restart = 0; restart < 2; restart++) {
        struct sigaction action = {.sa_handler = note, .sa_flags = restart ? SA_RESTART : 0};
        sigaction(SIGUSR1, &action, NULL);
        pid_t parent = getpid();
        caught = 0;
        pid = fork();
        if (pid == 0) {
            sleep_ms(60);
            kill(parent, SIGUSR1);
            sleep_ms(60);
            if (write(p[1], "late", 4) != 4) _exit(1);
            _exit(0);
        }
        CALL(restart ? "restarted read" : "interrupted read", read(p[0], buffer, 10));
        NUM("caught", caught);
        reap("sender", pid);
        if (!restart) CALL("then", read(p[0], buffer, 10));
    }

    /* Moves between pipes that wait are interrupted, too. */
    int other[2];
    CALL("another pipe", pipe(other));
    fcntl(other[1], F_SETPIPE_SZ, 4096);
    CALL("fill it", write(other[1], buffer, 4096));
    for (int which = 0; which < 4; which++) {
        struct sigaction action = {.sa_handler = note};
        struct iovec one = {buffer, 8};
        sigaction(SIGUSR1, &action, NULL);
        pid_t parent = getpid();
        pid = fork();
        if (pid == 0) {
            sleep_ms(60);
            kill(parent, SIGUSR1);
            _exit(0);
        }
        switch (which) {
        case 0: CALL("interrupted splice", splice(p[0], NULL, other[1], NULL, 10, 0)); break;
        case 1: CALL("interrupted tee", tee(p[0], other[1], 10, 0)); break;
        case 2: CALL("interrupted vmsplice in", vmsplice(other[1], &one, 1, 0)); break;
        default: CALL("interrupted vmsplice out", vmsplice(p[0], &one, 1, 0));
        }
        reap("interrupter", pid);
    }

    /* A named pipe. */
    CALL("mkfifo", mkfifo("fifo", 0600));
    CALL("open without a reader", open("fifo", O_WRONLY | O_NONBLOCK));
    pid = fork();
    if (pid == 0) {
        int fd = open("fifo", O_WRONLY);
        _exit(fd >= 0 && write(fd, "through", 7) == 7 ? 0 : 1);
    }
    int fd = open("fifo", O_RDONLY);
    CALL("read a FIFO", read(fd, buffer, 100));
    CALL("its end", read(fd, buffer, 100));
    reap("FIFO writer", pid);
    return 0;
}
