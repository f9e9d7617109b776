/* poll, ppoll, select: readiness, time-outs, masks, errors. */
#include "guest.h"
#include <poll.h>
#include <sys/select.h>

static volatile sig_atomic_t caught;
static void note(int signo) { caught = signo; }

static void show(const char *name, int n, struct pollfd *fds, int count) {
    char text[200] = "";
    for (int i = 0; i < count; i++) sprintf(text + strlen(text), " %x", fds[i].revents);
    SHOW(name, "%d:%s", n, text);
}

int main(void) {
    int p[2], q[2];
    if (pipe(p) || pipe(q)) return 1;
    int file = open("file", O_CREAT | O_RDWR, 0600);
    unlink("file");
    struct pollfd fds[6] = {{p[0], POLLIN, 0}, {p[1], POLLOUT | POLLIN, 0}, {file, POLLIN | POLLOUT, 0},
                            {99, POLLIN, 0},   {-1, POLLIN, 0},             {q[0], POLLIN | POLLRDHUP, 0}};
    show("at once", poll(fds, 6, -1), fds, 6);
    if (write(p[1], "x", 1) != 1) return 1;
    show("readable", poll(fds, 6, 0), fds, 6);
    close(q[1]);
    show("hung up", poll(fds, 6, 0), fds, 6);
    CALL("nothing", poll(NULL, 0, 0));
    CALL("nowhere", poll((struct pollfd *)8, 1, 0));
    int64_t begun = now_ns(CLOCK_MONOTONIC);
    struct pollfd quiet = {.fd = p[0], .events = POLLPRI};
    CALL("time-out", poll(&quiet, 1, 30));
    int64_t took = now_ns(CLOCK_MONOTONIC) - begun;
    TRUTH("takes its time", took >= 30000000 && took < 3000000000);
    char c;
    if (read(p[0], &c, 1) != 1) return 1;

    pid_t pid = fork();
    if (pid == 0) {
        sleep_ms(40);
        _exit(write(p[1], "y", 1) != 1);
    }
    quiet.events = POLLIN;
    show("woken by a write", poll(&quiet, 1, 10000), &quiet, 1);
    reap("writer", pid);
    if (read(p[0], &c, 1) != 1) return 1;

    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    pid_t parent = getpid();
    pid = fork();
    if (pid == 0) {
        sleep_ms(40);
        _exit(kill(parent, SIGUSR1));
    }
    CALL("poll is not restarted", poll(&quiet, 1, 10000));
    NUM("caught", caught);
    reap("sender", pid);

    sigset_t block, none;
    sigemptyset(&none), sigemptyset(&block), sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    caught = 0;
    kill(getpid(), SIGUSR1);
    struct timespec soon = {0, 20000000};
    CALL("ppoll with all blocked", ppoll(&quiet, 1, &soon, NULL));
    NUM("caught", caught);
    CALL("ppoll lets it in", ppoll(&quiet, 1, NULL, &none));
    NUM("caught", caught);
    soon.tv_nsec = -1;
    CALL("ppoll bad time", ppoll(&quiet, 1, &soon, NULL));

    fd_set reads, writes;
    FD_ZERO(&reads); FD_ZERO(&writes);
    FD_SET(p[0], &reads); FD_SET(p[1], &writes); FD_SET(file, &reads);
    struct timeval time = {5, 0};
    CALL("select", select(file + 1, &reads, &writes, NULL, &time));
    SHOW("sets", "%d %d %d", FD_ISSET(p[0], &reads), FD_ISSET(p[1], &writes), FD_ISSET(file, &reads));
    TRUTH("time is left", time.tv_sec >= 4);
    FD_ZERO(&reads); FD_SET(p[0], &reads);
    time = (struct timeval){0, 20000};
    CALL("select in vain", select(p[0] + 1, &reads, NULL, NULL, &time));
    SHOW("no time is left", "%lld %lld", (long long)time.tv_sec, (long long)time.tv_usec);
    NUM("set is empty", FD_ISSET(p[0], &reads));
    FD_ZERO(&reads); FD_SET(50, &reads);
    CALL("select of a closed one", select(51, &reads, NULL, NULL, &time));
    CALL("select negative", select(-1, NULL, NULL, NULL, &time));
    kill(getpid(), SIGUSR1);
    caught = 0;
    FD_ZERO(&reads); FD_SET(p[0], &reads);
    CALL("pselect lets it in", pselect(p[0] + 1, &reads, NULL, NULL, NULL, &none));
    NUM("caught", caught);
    return 0;
}
