/* Pseudo terminals: line editing, signals, sessions, job control, hang-up. */
#include "guest.h"
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int master, slave;

static void shown(const char *name) {
    char text[512];
    struct pollfd p = {master, POLLIN, 0};
    int n = 0, got;
    while (poll(&p, 1, 200) > 0 && (got = read(master, text + n, sizeof text - 1 - n)) > 0) n += got;
    text[n] = 0;
    printf("%s:", name);
    for (int i = 0; i < n; i++) printf(text[i] < 32 || text[i] > 126 ? " %02x" : "%c", (unsigned char)text[i]);
    puts("");
}

static void got(const char *name, int count) {
    char text[64];
    ssize_t n = read(slave, text, count);
    printf("%s: %zd", name, n);
    for (ssize_t i = 0; i < n; i++) printf(" %02x", (unsigned char)text[i]);
    puts("");
}

static void type(const char *text) { if (write(master, text, strlen(text)) < 0) perror("write"); }

static volatile int caught;
static void note(int signo) { caught = signo; }

int main(void) {
    char name[64];
    master = posix_openpt(O_RDWR | O_NOCTTY);
    TRUTH("master", master >= 0);
    slave = open("/dev/pts/0", O_RDWR | O_NOCTTY);
    CALL("grantpt", grantpt(master));
    CALL("unlockpt", unlockpt(master));
    TRUTH("ptsname", ptsname_r(master, name, sizeof name) == 0 && strncmp(name, "/dev/pts/", 9) == 0);
    if (slave >= 0) close(slave);
    slave = open(name, O_RDWR | O_NOCTTY);
    TRUTH("slave", slave >= 0);
    TRUTH("both are terminals", isatty(slave) && isatty(master));
    struct winsize size = {24, 80, 0, 0}, back;
    CALL("set size", ioctl(master, TIOCSWINSZ, &size));
    ioctl(slave, TIOCGWINSZ, &back);
    SHOW("size", "%d %d", back.ws_row, back.ws_col);

    type("hello\n");
    shown("echo");
    got("line", 64);
    type("abc\177\177xy\n");
    shown("erased");
    got("edited", 64);
    type("one two\027three\025four\n");
    shown("killed");
    got("what is left", 64);
    type("ab\003cd\n");
    shown("interrupt without a session");
    got("after it", 64);
    type("\004");
    got("end of file", 64);
    type("part\004");
    got("end in a line", 64);
    type("long line\n");
    got("first three", 3);
    got("the rest", 64);
    type("\026\003\n");
    got("literal", 64);
    shown("rest of the echo");

    CALL("write", (int)write(slave, "a\nb\tc\n", 6));
    shown("output");
    struct termios t;
    tcgetattr(slave, &t);
    struct termios raw = t;
    cfmakeraw(&raw);
    CALL("raw", tcsetattr(slave, TCSANOW, &raw));
    type("x\003\r\n");
    got("raw input", 64);
    shown("no echo");
    CALL("raw write", (int)write(slave, "a\nb", 3));
    shown("raw output");
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 1;
    tcsetattr(slave, TCSANOW, &raw);
    got("nothing within a tenth", 64);
    raw.c_cc[VMIN] = 3;
    raw.c_cc[VTIME] = 0;
    tcsetattr(slave, TCSANOW, &raw);
    if (!fork()) {
        for (int i = 0; i < 3; i++) usleep(20000), type("z");
        _exit(0);
    }
    got("three at least", 64);
    wait(NULL);
    tcsetattr(slave, TCSANOW, &t);
    int waiting;
    type("waiting\n");
    usleep(20000);
    ioctl(slave, FIONREAD, &waiting);
    SHOW("waiting", "%d", waiting);
    CALL("flush", tcflush(slave, TCIFLUSH));
    ioctl(slave, FIONREAD, &waiting);
    SHOW("after a flush", "%d", waiting);
    shown("old echo");

    /* A session on the terminal. */
    fflush(stdout);
    pid_t leader = fork();
    if (!leader) {
        close(master);
        CALL("setsid", setsid() > 0 ? 0 : -1);
        CALL("take it", ioctl(slave, TIOCSCTTY, 0));
        TRUTH("foreground is mine", tcgetpgrp(slave) == getpgrp());
        TRUTH("session is mine", tcgetsid(slave) == getsid(0));
        int again = open("/dev/tty", O_RDWR);
        TRUTH("/dev/tty", again >= 0);
        signal(SIGINT, note);
        signal(SIGWINCH, note);
        kill(getppid(), SIGUSR1);
        while (caught != SIGINT) usleep(1000);
        CALL("caught the key", caught);
        caught = 0;
        kill(getppid(), SIGUSR1);
        while (caught != SIGWINCH) usleep(1000);
        CALL("caught the window", caught);
        /* A background child that reads is stopped. */
        pid_t child = fork();
        if (!child) {
            char c;
            setpgid(0, 0);
            _exit(read(slave, &c, 1) == 1 ? 3 : 4);
        }
        setpgid(child, child);
        int status;
        waitpid(child, &status, WUNTRACED);
        SHOW("background reader stopped by", "%d", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
        CALL("give it the foreground", tcsetpgrp(slave, child));
        kill(child, SIGCONT);
        kill(getppid(), SIGUSR1);
        waitpid(child, &status, 0);
        SHOW("then it reads", "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
        signal(SIGTTOU, SIG_IGN);
        CALL("take it back", tcsetpgrp(slave, getpgrp()));
        signal(SIGHUP, note);
        fflush(stdout);
        kill(getppid(), SIGUSR1);
        while (caught != SIGHUP) usleep(1000);
        CALL("hung up", caught);
        char c;
        CALL("read after it", (int)read(slave, &c, 1));
        CALL("write after it", (int)write(slave, "x", 1));
        CALL("the name is gone", open("/dev/tty", O_RDWR) >= 0 ? 0 : -1);
        fflush(stdout);
        _exit(0);
    }
    signal(SIGUSR1, note);
    for (int step = 0; step < 4; step++) {
        while (caught != SIGUSR1) usleep(1000);
        caught = 0;
        if (step == 0) type("\003");
        if (step == 1) size.ws_row = 40, ioctl(master, TIOCSWINSZ, &size);
        if (step == 2) usleep(50000), type("k\n");
        if (step == 3) close(slave), close(master);
    }
    int status;
    waitpid(leader, &status, 0);
    SHOW("leader", "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    /* The other direction. */
    openpty(&master, &slave, NULL, NULL, NULL);
    close(slave);
    char c;
    CALL("master after the last slave", (int)read(master, &c, 1));
    return 0;
}
