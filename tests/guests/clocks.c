/* Clocks and sleeping. */
#include "guest.h"
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

static volatile sig_atomic_t ticks;
static void tick(int signo) { ticks++, (void)signo; }

static void burn(int64_t ns) {
    int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end) {}
}

int main(void) {
    clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                          CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        int64_t before = now_ns(clocks[i]), after = before;
        int good = before >= 0;
        for (int j = 0; j < 1000; j++) {
            int64_t now = now_ns(clocks[i]);
            good &= now >= after;
            after = now;
        }
        char name[30];
        sprintf(name, "clock %d never goes back", clocks[i]);
        TRUTH(name, good);
        struct timespec resolution;
        clock_getres(clocks[i], &resolution);
        SHOW("resolution is fine or coarse", "%d", resolution.tv_nsec <= 10000000);
    }
    CALL("no such clock", clock_gettime(77, &(struct timespec){0}));
    CALL("to nowhere", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
    TRUTH("time agrees", llabs(time(NULL) - now_ns(CLOCK_REALTIME) / 1000000000) <= 1);
    struct timeval tv;
    gettimeofday(&tv, NULL);
    TRUTH("gettimeofday agrees", llabs(tv.tv_sec - time(NULL)) <= 1);

    int64_t begun = now_ns(CLOCK_MONOTONIC);
    sleep_ms(30);
    int64_t took = now_ns(CLOCK_MONOTONIC) - begun;
    TRUTH("nanosleep", took >= 30000000 && took < 3000000000);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 30000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    NUM("clock_nanosleep to a time", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    TRUTH("it has come", now_ns(CLOCK_MONOTONIC) >= until.tv_sec * 1000000000ll + until.tv_nsec);
    NUM("to a time past", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    until.tv_nsec = 1000000000;
    NUM("bad nanoseconds", clock_nanosleep(CLOCK_MONOTONIC, 0, &until, NULL));
    CALL("nanosleep negative", nanosleep(&(struct timespec){-1, 0}, NULL));
    NUM("thread CPU clock", clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &(struct timespec){0, 1}, NULL));

    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(50);
    int64_t slept = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    TRUTH("sleeping takes no CPU time", slept < 40000000);
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    burn(50000000);
    TRUTH("working does", now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu >= 45000000);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    TRUTH("getrusage agrees", usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec >= 30000);
    pid_t pid = fork();
    if (pid == 0) {
        burn(60000000);
        _exit(0);
    }
    reap("worker", pid);
    getrusage(RUSAGE_CHILDREN, &usage);
    TRUTH("children's time", usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec >= 30000);
    struct tms tms;
    TRUTH("times", times(&tms) > 0 && tms.tms_cutime + tms.tms_cstime >= 3);

    signal(SIGALRM, tick);
    struct itimerval timer = {{0, 10000}, {0, 10000}}, left;
    setitimer(ITIMER_REAL, &timer, NULL);
    while (ticks < 5) pause();
    CALL("getitimer", getitimer(ITIMER_REAL, &left));
    NUM("interval", left.it_interval.tv_usec);
    timer = (struct itimerval){{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &timer, &left);
    TRUTH("was running", left.it_value.tv_usec > 0 && left.it_value.tv_usec <= 10000);
    ticks = 0;
    sleep_ms(40);
    NUM("stopped", ticks);
    CALL("bad timer", setitimer(9, &timer, NULL));
    timer.it_value.tv_usec = 1000000;
    CALL("bad microseconds", setitimer(ITIMER_REAL, &timer, NULL));
    signal(SIGVTALRM, tick), signal(SIGPROF, tick);
    ticks = 0;
    timer = (struct itimerval){{0, 0}, {0, 20000}};
    setitimer(ITIMER_PROF, &timer, NULL);
    begun = now_ns(CLOCK_MONOTONIC);
    while (!ticks && now_ns(CLOCK_MONOTONIC) - begun < 5000000000) {}
    NUM("profiling timer", ticks);
    return 0;
}
