/* Threads through the C library: creation, joins, locks, conditions, thread-local data, ends. */
#include "guest.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter;
static int turn;
static __thread int own = 7;
static pthread_barrier_t barrier;
static atomic_int serial;

static void *count(void *unused) {
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
    }
    own++;
    return (void *)(intptr_t)own;
}

static void *player(void *which) {
    int me = (int)(intptr_t)which;
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&lock);
        while (turn != me) pthread_cond_wait(&changed, &lock);
        turn = !me;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *meet(void *unused) {
    (void)unused;
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) atomic_fetch_add(&serial, 1);
    return NULL;
}

static void *tid(void *pid) { return (void *)(intptr_t)(getpid() == *(pid_t *)pid && syscall(SYS_gettid) != getpid()); }

static void *sleeper(void *unused) {
    (void)unused;
    sleep(100);
    return NULL;
}

static void *leave(void *unused) {
    (void)unused;
    exit(21);
}

static void *quiet_end(void *unused) {
    (void)unused;
    sleep_ms(50);
    syscall(SYS_exit_group, 31);
    return NULL;
}

int main(void) {
    pthread_t threads[8];
    void *result;
    long sum = 0;
    for (int i = 0; i < 8; i++) NUM("create", pthread_create(&threads[i], NULL, count, NULL));
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &result);
        sum += (intptr_t)result;
    }
    NUM("counter", counter);
    NUM("thread-local of all", sum);
    NUM("thread-local of main", own);

    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, player, (void *)(intptr_t)i);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    NUM("ping-pong ends with turn", turn);

    pthread_barrier_init(&barrier, NULL, 5);
    for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, meet, NULL);
    for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
    NUM("barrier has one serial thread", serial);

    pid_t pid = getpid();
    pthread_create(&threads[0], NULL, tid, &pid);
    pthread_join(threads[0], &result);
    NUM("tid differs, pid does not", (intptr_t)result);

    pthread_create(&threads[0], NULL, sleeper, NULL);
    sleep_ms(20);
    NUM("cancel", pthread_cancel(threads[0]));
    pthread_join(threads[0], &result);
    TRUTH("cancelled", result == PTHREAD_CANCELED);

    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000) soon.tv_sec++, soon.tv_nsec -= 1000000000;
    pthread_mutex_lock(&lock);
    SHOW("timed wait", "%s", strerrorname_np(pthread_cond_timedwait(&changed, &lock, &soon)));
    pthread_mutex_unlock(&lock);
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    CALL("sem_timedwait", sem_timedwait(&semaphore, &soon));
    sem_post(&semaphore);
    CALL("sem_wait", sem_wait(&semaphore));

    for (int i = 0; i < 100; i++) {
        pthread_create(&threads[0], NULL, count, NULL);
        pthread_join(threads[0], NULL);
    }
    NUM("a hundred in a row", counter);

    pid = fork();
    if (pid == 0) {
        pthread_create(&threads[0], NULL, leave, NULL);
        for (;;) pause();
    }
    reap("exit in a thread", pid);
    pid = fork();
    if (pid == 0) {
        pthread_create(&threads[0], NULL, quiet_end, NULL);
        pthread_exit(NULL); /* the leader ends first: the process does not */
    }
    reap("leader ended first", pid);
    pid = fork();
    if (pid == 0) {
        pthread_create(&threads[0], NULL, sleeper, NULL);
        kill(getpid(), SIGKILL);
    }
    reap("SIGKILL ends all threads", pid);
    return 0;
}
