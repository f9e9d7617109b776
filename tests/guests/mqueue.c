/* POSIX message queues. Names carry the process id; every queue is unlinked again. */
#include "guest.h"
#include <mqueue.h>
#include <poll.h>
#include <sys/resource.h>

static char name[64], other[64];

static void put(const char *title, mqd_t q, const char *text, unsigned priority) {
    CALL(title, mq_send(q, text, strlen(text), priority));
}

static void take(const char *title, mqd_t q) {
    char data[128] = "";
    unsigned priority = 77;
    ssize_t got = mq_receive(q, data, sizeof data, &priority);
    if (got < 0) SHOW(title, "%s", strerrorname_np(errno));
    else SHOW(title, "%zd %u %.*s", got, priority, (int)got, data);
}

static void attributes(const char *title, mqd_t q) {
    struct mq_attr a;
    if (mq_getattr(q, &a)) SHOW(title, "%s", strerrorname_np(errno));
    else SHOW(title, "nonblocking %d max %ld size %ld now %ld", a.mq_flags == O_NONBLOCK, a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs);
}

static int ready(mqd_t q) {
    struct pollfd p = {q, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static int mq(const char *n, int flags, mode_t mode, struct mq_attr *a) {
    return syscall(SYS_mq_open, n, flags, mode, a);
}

static void naming(void) {
    struct mq_attr a = {0, 3, 100, 0};
    TRY("open missing", mq_open(name, O_RDWR));
    umask(022);
    mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0666, &a);
    TRUTH("made", q >= 0);
    TRY("exists", mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a));
    attributes("attributes", q);
    TRUTH("close on exec", fcntl(q, F_GETFD) & FD_CLOEXEC);
    struct stat st;
    CALL("stat", fstat(q, &st));
    SHOW("stat has", "%o %ld", st.st_mode, (long)st.st_size);
    mqd_t reader = mq_open(name, O_RDONLY), writer = mq_open(name, O_WRONLY | O_NONBLOCK);
    TRUTH("opened again", reader >= 0 && writer >= 0);
    TRY("both kinds of access", mq_open(name, O_ACCMODE));
    put("send read-only", reader, "x", 0);
    take("receive write-only", writer);
    attributes("nonblocking", writer);
    char *bad[] = {"", ".", "..", "a/b", "/x"};
    for (int i = 0; i < 5; i++) TRY("bad name", mq(bad[i], O_RDWR | O_CREAT, 0600, NULL));
    char large[300];
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = 0;
    TRY("long name", mq(large, O_RDWR | O_CREAT, 0600, NULL));
    TRY("name nowhere", mq((char *)8, O_RDWR, 0, NULL));
    TRY("attributes nowhere", mq("x", O_RDWR, 0, (void *)8));
    struct mq_attr wrong[] = {{0, 0, 10}, {0, 10, 0}, {0, -1, 10}, {0, 70000, 10}, {0, 1, 17 << 20}};
    for (int i = 0; i < 5; i++) TRY("bad attributes", mq_open(other, O_RDWR | O_CREAT, 0600, &wrong[i]));
    struct rlimit limit = {1000, 819200};
    setrlimit(RLIMIT_MSGQUEUE, &limit);
    TRY("over the limit", mq_open(other, O_RDWR | O_CREAT, 0600, &a));
    limit.rlim_cur = 819200;
    setrlimit(RLIMIT_MSGQUEUE, &limit);
    TRY("unlink missing", mq_unlink(other));
    mqd_t plain = mq_open(other, O_RDWR | O_CREAT, 0600, NULL);
    attributes("default attributes", plain);
    TRY("unlink", mq_unlink(other));
    attributes("without a name", plain);
    TRY("gone", mq_open(other, O_RDWR));
    TRY("close", mq_close(plain));
    TRY("closed", mq_getattr(plain, &a));
    int pipes[2];
    pipe(pipes);
    TRY("not a queue", mq_getattr(pipes[0], &a));
    TRY("send to a pipe", mq_send(pipes[1], "x", 1, 0));
    close(pipes[0]);
    close(pipes[1]);
    mq_close(reader);
    mq_close(writer);
    mq_close(q);
}

static void messages(void) {
    mqd_t q = mq_open(name, O_RDWR);
    NUM("ready empty", ready(q));
    put("send", q, "low", 1);
    NUM("ready half", ready(q));
    put("send", q, "high", 9);
    put("send", q, "high too", 9);
    NUM("ready full", ready(q));
    attributes("full", q);
    char text[128] = "";
    CALL("status", pread(q, text, 127, 0));
    SHOW("status", "%s", text);
    struct timespec past = {1, 0}, bad = {0, 1000000000};
    char data[200];
    TRY("send too late", mq_timedsend(q, "x", 1, 0, &past));
    TRY("send bad time", mq_timedsend(q, "x", 1, 0, &bad));
    TRY("send priority", mq_send(q, "x", 1, 32768));
    TRY("send too large", mq_send(q, data, 101, 0));
    TRY("send nowhere", mq_send(q, (void *)8, 1, 0));
    TRY("receive small", mq_receive(q, data, 99, NULL));
    take("receive", q);
    take("receive", q);
    take("receive", q);
    TRY("receive too late", mq_timedreceive(q, data, 100, NULL, &past));
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000) soon.tv_sec++, soon.tv_nsec -= 1000000000;
    TRY("receive in time", mq_timedreceive(q, data, 100, NULL, &soon));
    struct mq_attr a = {O_NONBLOCK}, before;
    TRY("set", mq_setattr(q, &a, &before));
    NUM("was", before.mq_flags);
    NUM("file flags", fcntl(q, F_GETFL) & O_NONBLOCK);
    take("receive nonblocking", q);
    for (int i = 0; i < 4; i++) put("fill", q, "", 0);
    for (int i = 0; i < 3; i++) take("empty message", q);
    a.mq_flags = O_APPEND;
    TRY("set bad", mq_setattr(q, &a, NULL));
    put("lost", q, "lost", 0);
    TRY("receive nowhere", mq_receive(q, (void *)8, 100, NULL));
    attributes("after loss", q);
    TRY("write", write(q, "x", 1));
    mq_close(q);
}

static volatile int handled, code, value, sender;
static void on_signal(int signo, siginfo_t *info, void *context) {
    handled++;
    code = info->si_code;
    value = info->si_value.sival_int;
    sender = info->si_pid;
}

static void waits(void) {
    mqd_t q = mq_open(name, O_RDWR);
    pid_t pid = fork();
    if (!pid) {
        take("receiver", q);
        _exit(0);
    }
    sleep_ms(50);
    struct mq_attr a;
    mq_send(q, "handed over", 11, 4);
    mq_getattr(q, &a);
    reap("receiver", pid);
    NUM("never stood there", a.mq_curmsgs);

    for (int i = 0; i < 3; i++) put("fill", q, "old", 5);
    pid = fork();
    if (!pid) {
        put("sender", q, "urgent", 7);
        _exit(0);
    }
    sleep_ms(50);
    char data[100];
    mq_receive(q, data, 100, NULL);
    mq_getattr(q, &a);
    reap("sender", pid);
    NUM("full at once", a.mq_curmsgs);
    take("urgent", q);
    take("old", q);
    take("old", q);

    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    pid_t parent = getpid();
    pid = fork();
    if (!pid) {
        sleep_ms(30);
        kill(parent, SIGUSR1);
        _exit(0);
    }
    take("interrupted", q);
    reap("interrupter", pid);
    mq_close(q);
}

static void notify(void) {
    mqd_t q = mq_open(name, O_RDWR);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    handled = 0;
    TRY("notify", mq_notify(q, &event));
    TRY("notify twice", mq_notify(q, &event));
    pid_t pid = fork();
    if (!pid) {
        TRY("notify busy", mq_notify(q, &event));
        TRY("withdraw another's", mq_notify(q, NULL));
        _exit(0);
    }
    reap("busy", pid);
    pid = fork();
    if (!pid) {
        mq_send(q, "wake", 4, 0);
        _exit(0);
    }
    reap("notifier", pid);
    SHOW("notified", "%d %d %d %d", handled, code, value, sender == pid);
    put("second", q, "quiet", 0);
    NUM("once", handled);
    TRY("notify again", mq_notify(q, &event));
    put("not from empty", q, "quiet", 0);
    NUM("still", handled);
    TRY("withdraw", mq_notify(q, NULL));
    for (int i = 0; i < 3; i++) take("drain", q);
    put("no notification", q, "quiet", 0);
    NUM("still", handled);
    take("drain", q);
    event.sigev_notify = SIGEV_NONE;
    TRY("none", mq_notify(q, &event));
    event.sigev_notify = 99;
    TRY("bad kind", mq_notify(q, &event));
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 65;
    TRY("bad signal", mq_notify(q, &event));
    TRY("not a queue", mq_notify(0, NULL));
    mq_close(q);
}

static void stranger(void) {
    if (geteuid() == 0) {
        pid_t pid = fork();
        if (!pid) {
            if (setgid(12345) || setuid(12345)) _exit(1);
            TRY("stranger writes", mq_open(name, O_WRONLY));
            TRY("stranger reads", mq_open(name, O_RDONLY));
            struct mq_attr many = {0, 11, 10};
            TRY("stranger wants many", mq_open(other, O_RDWR | O_CREAT, 0600, &many));
            TRY("stranger unlinks", mq_unlink(name));
            _exit(0);
        }
        reap("stranger", pid);
    }
    TRY("unlink", mq_unlink(name));
    TRY("unlink twice", mq_unlink(name));
}

int main(void) {
    snprintf(name, sizeof name, "/guest-%d", getpid());
    snprintf(other, sizeof other, "/guest-%d-other", getpid());
    naming();
    messages();
    waits();
    notify();
    stranger();
    return 0;
}
