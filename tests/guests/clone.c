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
