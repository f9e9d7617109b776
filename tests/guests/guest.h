/* What every guest program shares: it prints lines "name: value" that must not differ from run to run or machine to machine. */
#ifndef GUEST_H
#define GUEST_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One line; flushed at once, so that a fork does not print it twice and a crash does not lose it. */
#define SHOW(name, format, ...)                                \
    do {                                                       \
        printf("%s: " format "\n", name __VA_OPT__(, ) __VA_ARGS__); \
        fflush(stdout);                                        \
    } while (0)

/* A number. */
#define NUM(name, value) SHOW(name, "%lld", (long long)(value))

/* Whether something is true. */
#define TRUTH(name, condition) SHOW(name, "%s", (condition) ? "yes" : "no")

/* A call that returns -1 and sets errno: its value, or the name of the error. */
#define CALL(name, call)                                          \
    do {                                                          \
        errno = 0;                                                \
        long long result_ = (long long)(call);                    \
        if (result_ == -1) SHOW(name, "%s", strerrorname_np(errno)); \
        else NUM(name, result_);                                  \
    } while (0)

/* A call of which only the error counts: "ok" or the name of the error. */
#define TRY(name, call)                                                         \
    do {                                                                        \
        errno = 0;                                                              \
        SHOW(name, "%s", (long long)(call) == -1 ? strerrorname_np(errno) : "ok"); \
    } while (0)

/* How a child ended. */
static inline void show_status(const char *name, int status) {
    if (WIFEXITED(status)) SHOW(name, "exit %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status)) SHOW(name, "signal %d", WTERMSIG(status));
    else if (WIFSTOPPED(status)) SHOW(name, "stopped %d", WSTOPSIG(status));
    else if (WIFCONTINUED(status)) SHOW(name, "continued");
    else SHOW(name, "status %x", status);
}

/* Wait for one child and show how it ended. */
static inline void reap(const char *name, pid_t pid) {
    int status = 0;
    pid_t got = waitpid(pid, &status, 0);
    if (got != pid) SHOW(name, "waitpid %s", got == -1 ? strerrorname_np(errno) : "another");
    else show_status(name, status);
}

/* Nanoseconds of a clock. */
static inline int64_t now_ns(clockid_t clock) {
    struct timespec ts;
    if (clock_gettime(clock, &ts)) return -1;
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline void sleep_ms(long ms) {
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&ts, &ts) == -1 && errno == EINTR) {}
}
#endif
