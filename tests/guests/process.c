/* fork, vfork, wait in its variants, exit codes, process groups and sessions. */
#include "guest.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void codes(void) {
    int codes[] = {0, 1, 42, 127, 255, 256, -1};
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
        pid_t pid = fork();
        if (pid == 0) _exit(codes[i]);
        reap("exit code", pid);
    }
}

static void relations(void) {
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0) _exit((getppid() == self) | (getpid() != self) << 1 | (syscall(SYS_gettid) == getpid()) << 2);
    reap("relations", pid);
    TRUTH("pid is positive", pid > 0);
    TRUTH("pid is another", pid != self);
}

static void waits(void) {
    int status;
    CALL("wait without children", wait(&status));
    CALL("waitpid of a stranger", waitpid(1 << 21, &status, 0));
    CALL("waitpid bad options", waitpid(-1, &status, 0x10000));
    int hold[2];
    if (pipe(hold)) return;
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        close(hold[1]);
        _exit(read(hold[0], &c, 1) == 1 ? 7 : 8);
    }
    CALL("waitpid WNOHANG while it runs", waitpid(pid, &status, WNOHANG));
    if (write(hold[1], "x", 1) != 1) return;
    siginfo_t info = {0};
    CALL("waitid WNOWAIT", waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
    TRUTH("waitid pid", info.si_pid == pid);
    NUM("waitid status", info.si_status);
    NUM("waitid code", info.si_code);
    NUM("waitid signo", info.si_signo);
    struct rusage usage;
    TRUTH("wait4 takes it", wait4(pid, &status, 0, &usage) == pid);
    show_status("wait4", status);
    TRUTH("rusage is sane", usage.ru_utime.tv_sec == 0 && usage.ru_utime.tv_usec >= 0);
    CALL("gone after that", waitpid(pid, &status, 0));
}

static void many(void) {
    pid_t pids[20];
    int sum = 0;
    for (int i = 0; i < 20; i++) {
        pids[i] = fork();
        if (pids[i] == 0) _exit(i);
    }
    for (int i = 0; i < 20; i++) {
        int status;
        pid_t pid = wait(&status);
        for (int j = 0; j < 20; j++)
            if (pids[j] == pid && WEXITSTATUS(status) == j) sum += j;
    }
    NUM("twenty children", sum);
}

static void data_is_copied(void) {
    static int value = 1;
    int local = 1;
    pid_t pid = fork();
    if (pid == 0) {
        value = 2;
        local = 2;
        _exit(value + local);
    }
    reap("child sees its own", pid);
    NUM("parent keeps", value + local);
}

static void vforks(void) {
    volatile int seen = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        seen = 1; /* shared memory: the parent sees it */
        _exit(3);
    }
    NUM("vfork shares memory", seen);
    reap("vfork", pid);
}

static void orphans(void) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int tell[2], hold[2];
    if (pipe(tell) || pipe(hold)) return;
    pid_t middle = fork();
    if (middle == 0) {
        if (fork() == 0) {
            char c;
            close(hold[1]);
            if (read(hold[0], &c, 1) != 0) _exit(99);
            pid_t parent = getppid();
            if (write(tell[1], &parent, sizeof parent) < 0) _exit(98);
            _exit(5);
        }
        _exit(0);
    }
    reap("middle", middle);
    close(hold[1]);
    pid_t parent = 0;
    if (read(tell[0], &parent, sizeof parent) != sizeof parent) return;
    TRUTH("subreaper adopts the orphan", parent == getpid());
    int status;
    TRUTH("orphan is reaped", wait(&status) > 0);
    show_status("orphan", status);
}

static void groups(void) {
    int ready[2];
    if (pipe(ready)) return;
    pid_t pid = fork();
    if (pid == 0) {
        int ok = getpgrp() != getpid() && setpgid(0, 0) == 0 && getpgrp() == getpid();
        ok = ok && setsid() == -1 && errno == EPERM;
        _exit(ok);
    }
    reap("setpgid, and no setsid for a leader", pid);
    pid = fork();
    if (pid == 0) {
        pid_t sid = setsid();
        _exit(sid == getpid() && getpgrp() == sid && getsid(0) == sid);
    }
    reap("setsid", pid);
    pid_t leader = fork();
    if (leader == 0) {
        setpgid(0, 0);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    char c;
    if (read(ready[0], &c, 1) != 1) return;
    CALL("kill of a group", kill(-leader, SIGUSR1));
    int status;
    TRUTH("waitpid of a group", waitpid(-leader, &status, 0) == leader);
    show_status("group", status);
    CALL("kill of no process", kill(1 << 21, 0));
    CALL("kill 0", kill(getpid(), 0));
    CALL("kill of a wrong signal", kill(getpid(), 65));
}

/* A process group that becomes orphaned with a stopped member is hung up; one that was orphaned before is not. */
static void orphaned_groups(void) {
    int status;
    pid_t leader = fork();
    if (leader == 0) {
        setsid();
        pid_t stopped = fork();
        if (stopped == 0) {
            raise(SIGSTOP);
            _exit(7);
        }
        waitpid(stopped, &status, WUNTRACED);
        pid_t other = fork();
        if (other == 0) _exit(setpgid(0, 0));
        waitpid(other, &status, 0);
        int still = waitpid(stopped, &status, WNOHANG | WCONTINUED) == 0;
        kill(stopped, SIGCONT);
        waitpid(stopped, &status, 0);
        _exit(still && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
    reap("exit in a group that was orphaned before", leader);
    int tell[2];
    if (pipe(tell)) return;
    leader = fork();
    if (leader == 0) {
        setsid();
        pid_t middle = fork();
        if (middle == 0) {
            setpgid(0, 0);
            pid_t stopped = fork();
            if (stopped == 0) {
                raise(SIGSTOP);
                _exit(8);
            }
            waitpid(stopped, &status, WUNTRACED);
            if (write(tell[1], &stopped, sizeof stopped) < 0) _exit(1);
            _exit(0);
        }
        waitpid(middle, &status, 0);
        _exit(0);
    }
    reap("exit that orphans a group", leader);
    pid_t stopped;
    if (read(tell[0], &stopped, sizeof stopped) != sizeof stopped) return;
    TRUTH("stopped member is reaped", waitpid(stopped, &status, 0) == stopped);
    show_status("stopped member", status);
}

int main(void) {
    codes();
    relations();
    waits();
    many();
    data_is_copied();
    vforks();
    orphans();
    orphaned_groups();
    groups();
    return 17;
}
