/* clone and clone3 with raw flags: what is shared and what is not, ids written, wrong combinations. */
#include "guest.h"
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

static char stack[65536] __attribute__((aligned(16)));
static volatile int shared_value, tid_word, parent_tid;
static int a_file;

static int writer(void *argument) {
    shared_value = (int)(intptr_t)argument;
    return 5;
}

static int closer(void *argument) {
    (void)argument;
    close(a_file);
    return chdir("/");
}

static int child_ids(void *argument) {
    (void)argument;
    return tid_word == getpid();
}

static void reap_clone(const char *name, pid_t pid) {
    int status;
    if (waitpid(pid, &status, __WALL) != pid) SHOW(name, "%s", strerrorname_np(errno));
    else show_status(name, status);
}

static int reader(void *argument) {
    int *ends = argument;
    dup2(ends[0], 0);
    execl("/bin/cat", "cat", (char *)NULL);
    return 99;
}

/* The parent continues at the child's execve, whether they share memory or not: cat ends when the parent closes its end. */
static void vfork_ends_at_exec(const char *name, int flags) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return;
    pid_t pid = clone(reader, stack + sizeof stack, flags | CLONE_VFORK | SIGCHLD, ends);
    close(ends[1]);
    reap_clone(name, pid);
    close(ends[0]);
}

static volatile sig_atomic_t handled;

static void on_signal(int signo) { handled = signo; }

static int disturber(void *argument) {
    (void)argument;
    pid_t parent = getppid();
    kill(parent, SIGUSR1);
    kill(parent, SIGSTOP);
    sleep_ms(2);
    kill(parent, SIGCONT);
    kill(parent, SIGTSTP);
    kill(parent, SIGCONT);
    sleep_ms(2);
    shared_value = handled;
    return 6;
}

/* Signals to a parent in vfork wait until the child has gone. */
static void vfork_is_not_interrupted(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    shared_value = 77;
    reap_clone("disturbed", clone(disturber, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
    NUM("handled meanwhile", shared_value);
    TRUTH("handled afterwards", handled == SIGUSR1);
}

static int killer(void *argument) {
    kill((pid_t)(intptr_t)argument, SIGKILL);
    sleep_ms(1);
    return 0;
}

/* A parent in vfork can be killed; its child goes on. */
static void vfork_is_killable(void) {
    static char second[16384] __attribute__((aligned(16)));
    pid_t pid = fork();
    if (pid == 0) {
        clone(killer, second + sizeof second, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)(intptr_t)getpid());
        _exit(1);
    }
    reap("killed in vfork", pid);
}

int main(void) {
    char *top = stack + sizeof stack;
    char here[PATH_MAX];
    a_file = open("/dev/null", O_RDONLY);
    reap_clone("own memory", clone(writer, top, SIGCHLD, (void *)1));
    NUM("unchanged", shared_value);
    reap_clone("shared memory", clone(writer, top, CLONE_VM | SIGCHLD, (void *)2));
    NUM("changed", shared_value);
    reap_clone("as vfork", clone(writer, top, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)3));
    NUM("changed", shared_value);
    vfork_ends_at_exec("vfork and exec", CLONE_VM);
    vfork_ends_at_exec("vfork and exec in own memory", 0);
    vfork_is_not_interrupted();
    vfork_is_killable();

    reap_clone("own files", clone(closer, top, SIGCHLD, NULL));
    TRUTH("still open", fcntl(a_file, F_GETFD) != -1);
    TRUTH("same directory", getcwd(here, sizeof here) && strcmp(here, "/"));
    reap_clone("shared files", clone(closer, top, CLONE_FILES | SIGCHLD, NULL));
    TRUTH("closed", fcntl(a_file, F_GETFD) == -1);
    reap_clone("shared directory", clone(closer, top, CLONE_FS | SIGCHLD, NULL));
    TRUTH("another directory", getcwd(here, sizeof here) && !strcmp(here, "/"));

    pid_t pid = clone(child_ids, top, CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | SIGCHLD, NULL, &parent_tid, NULL, &tid_word);
    TRUTH("parent's word", parent_tid == pid);
    reap_clone("child's word", pid);
    tid_word = 99;
    pid = clone(writer, top, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, (void *)4, NULL, NULL, &tid_word);
    reap_clone("clears a word", pid);
    NUM("word", tid_word);

    pid = clone(writer, top, 0, NULL); /* no signal at its end: only __WALL or __WCLONE sees it */
    int status;
    CALL("not seen", waitpid(pid, &status, 0));
    reap_clone("seen", pid);

    CALL("SIGHAND without VM", syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
    CALL("THREAD without SIGHAND", syscall(SYS_clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0));
    CALL("NEWNS with FS", syscall(SYS_clone, CLONE_NEWNS | CLONE_FS, 0, 0, 0, 0));

    struct clone_args args = {.exit_signal = SIGCHLD};
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) _exit(8);
    reap("clone3", pid);
    CALL("clone3 too small", syscall(SYS_clone3, &args, 8));
    args.exit_signal = 100;
    CALL("clone3 bad signal", syscall(SYS_clone3, &args, sizeof args));
    args.exit_signal = SIGCHLD;
    args.stack_size = 100;
    CALL("clone3 size without a stack", syscall(SYS_clone3, &args, sizeof args));
    CALL("clone3 nowhere", syscall(SYS_clone3, 8, sizeof args));

    char name[17] = {0};
    CALL("PR_SET_NAME", prctl(PR_SET_NAME, "a-name-that-is-too-long"));
    CALL("PR_GET_NAME", prctl(PR_GET_NAME, name));
    SHOW("name", "%s", name);
    CALL("PR_SET_PDEATHSIG", prctl(PR_SET_PDEATHSIG, SIGUSR1));
    int signo = 0;
    CALL("PR_GET_PDEATHSIG", prctl(PR_GET_PDEATHSIG, &signo));
    NUM("signal", signo);
    NUM("dumpable", prctl(PR_GET_DUMPABLE));
    CALL("prctl of nonsense", prctl(9999, 0, 0, 0, 0));
    CALL("NO_NEW_PRIVS", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    NUM("NO_NEW_PRIVS is", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    struct utsname names;
    uname(&names);
    SHOW("uname", "%s %s", names.sysname, names.machine);
    cpu_set_t cpus;
    TRUTH("has a CPU", sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) > 0);
    CALL("sched_yield", sched_yield());
    NUM("policy", sched_getscheduler(0));
    TRUTH("set_tid_address", syscall(SYS_set_tid_address, &tid_word) == syscall(SYS_gettid));
    return 0;
}
