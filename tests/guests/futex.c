/* Raw futexes: values, time-outs, wakes by number and bits, requeueing, between threads and processes. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>

static long futex(void *word, int op, unsigned value, const struct timespec *time, void *other, unsigned value3) {
    return syscall(SYS_futex, word, op, value, time, other, value3);
}

static _Atomic unsigned word, second, woken, waiting;

static void *waiter(void *bits) {
    atomic_fetch_add(&waiting, 1);
    if (!futex((void *)&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, (unsigned)(uintptr_t)bits)) atomic_fetch_add(&woken, 1);
    return NULL;
}

/* Wait until so many have gone to sleep: they are counted before, so a moment more. */
static void settle(unsigned n) {
    while (waiting < n) sleep_ms(1);
    sleep_ms(25);
}

int main(void) {
    struct timespec some = {0, 20000000};
    CALL("wrong value", futex((void *)&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    int64_t begun = now_ns(CLOCK_MONOTONIC);
    CALL("time-out", futex((void *)&word, FUTEX_WAIT, 0, &some, NULL, 0));
    TRUTH("takes its time", now_ns(CLOCK_MONOTONIC) - begun >= 20000000);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    CALL("a time past", futex((void *)&word, FUTEX_WAIT_BITSET, 0, &until, NULL, ~0u));
    clock_gettime(CLOCK_REALTIME, &until);
    CALL("a real time past", futex((void *)&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &until, NULL, ~0u));
    CALL("no bits", futex((void *)&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
    CALL("no bits to wake", futex((void *)&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    CALL("not aligned", futex((char *)&word + 1, FUTEX_WAKE, 1, NULL, NULL, 0));
    CALL("wait nowhere", futex((void *)8, FUTEX_WAIT, 0, NULL, NULL, 0));
    CALL("no such operation", futex((void *)&word, 99, 0, NULL, NULL, 0));
    some.tv_nsec = -1;
    CALL("bad time", futex((void *)&word, FUTEX_WAIT, 0, &some, NULL, 0));
    CALL("wake none", futex((void *)&word, FUTEX_WAKE, 1, NULL, NULL, 0));

    pthread_t threads[6];
    for (int i = 0; i < 6; i++) { /* one after the other: they are woken in this order */
        pthread_create(&threads[i], NULL, waiter, (void *)(uintptr_t)(i % 2 ? 1 : 2));
        settle(i + 1);
    }
    CALL("shared does not meet private", futex((void *)&word, FUTEX_WAKE, 9, NULL, NULL, 0));
    CALL("wake one", futex((void *)&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
    CALL("wake by bits", futex((void *)&word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 9, NULL, NULL, 1));
    CALL("requeue with another value", futex((void *)&word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 0, (void *)9, (void *)&second, 5));
    CALL("requeue all", futex((void *)&word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 0, (void *)9, (void *)&second, 0));
    CALL("none is left there", futex((void *)&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 9, NULL, NULL, 0));
    CALL("wake the rest", futex((void *)&second, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 9, NULL, NULL, 0));
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    NUM("woken", woken);

    waiting = woken = 0;
    second = 5;
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, waiter, (void *)1);
    settle(2);
    CALL("wake-op adds and wakes", futex((void *)&word, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, (void *)1, (void *)&second,
                                         FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)));
    NUM("changed", second);
    CALL("wake", futex((void *)&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 9, NULL, NULL, 0));
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    NUM("woken", woken);

    _Atomic unsigned *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        while (!*shared) futex((void *)shared, FUTEX_WAIT, 0, NULL, NULL, 0);
        _exit((int)*shared);
    }
    sleep_ms(40);
    *shared = 7;
    CALL("wake a process", futex((void *)shared, FUTEX_WAKE, 1, NULL, NULL, 0));
    reap("woken process", pid);

    /* A shared mutex that its owner dies with. */
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_t *mutex = (pthread_mutex_t *)(shared + 64);
    pthread_mutex_init(mutex, &attributes);
    pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(mutex);
        _exit(0);
    }
    reap("owner", pid);
    SHOW("robust lock", "%s", strerrorname_np(pthread_mutex_lock(mutex)));
    NUM("made consistent", pthread_mutex_consistent(mutex));
    NUM("unlock", pthread_mutex_unlock(mutex));
    NUM("lock", pthread_mutex_lock(mutex));
    return 0;
}
