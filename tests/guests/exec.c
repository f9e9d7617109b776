/* execve: arguments, environment, descriptors, signals, scripts, errors, and from a thread. */
#include "guest.h"
#include <pthread.h>
#include <spawn.h>

extern char **environ;
static char self[PATH_MAX];

static int second(int argc, char **argv) {
    for (int i = 1; i < argc; i++) SHOW("argument", "%s", argv[i]);
    const char *value = getenv("GUEST");
    SHOW("environment", "%s", value ? value : "(none)");
    TRUTH("descriptor 50 stays", fcntl(50, F_GETFD) != -1);
    TRUTH("descriptor 51 is gone", fcntl(51, F_GETFD) == -1);
    struct sigaction action;
    sigaction(SIGUSR1, NULL, &action);
    TRUTH("a handler is reset", action.sa_handler == SIG_DFL);
    sigaction(SIGUSR2, NULL, &action);
    TRUTH("ignored stays ignored", action.sa_handler == SIG_IGN);
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    TRUTH("the mask stays", sigismember(&mask, SIGWINCH) == 1);
    char comm[17] = {0};
    int fd = open("/proc/self/comm", O_RDONLY);
    if (fd >= 0 && read(fd, comm, 16) > 0) SHOW("comm", "%.*s", (int)strcspn(comm, "\n"), comm);
    return argc;
}

static void nothing(int signo) { (void)signo; }

static void full(void) {
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("/dev/null", O_RDONLY);
        dup2(fd, 50);
        dup3(fd, 51, O_CLOEXEC);
        signal(SIGUSR1, nothing);
        signal(SIGUSR2, SIG_IGN);
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGWINCH);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        char *argv[] = {"guest", "second", "", "two words", "\xff\x01", NULL};
        char *env[] = {"GUEST=value with = and spaces", NULL};
        execve(self, argv, env);
        _exit(99);
    }
    reap("exec", pid);
}

static void errors(void) {
    char *argv[] = {"x", NULL};
    TRY("missing", execve("./missing", argv, environ));
    TRY("a directory", execve("/", argv, environ));
    TRY("below a file", execve("/bin/true/x", argv, environ));
    TRY("an empty name", execve("", argv, environ));
    int fd = open("plain", O_CREAT | O_WRONLY, 0644);
    if (write(fd, "no program\n", 11) != 11) return;
    close(fd);
    TRY("not executable", execve("./plain", argv, environ));
    chmod("plain", 0755);
    TRY("no program", execve("./plain", argv, environ));
    fd = open("short", O_CREAT | O_WRONLY, 0755);
    if (write(fd, "\177ELF", 4) != 4) return;
    close(fd);
    TRY("a short ELF", execve("./short", argv, environ));
    fd = open("lost", O_CREAT | O_WRONLY, 0755);
    if (write(fd, "#!/no/such/interpreter\n", 23) != 23) return;
    close(fd);
    TRY("interpreter is missing", execve("./lost", argv, environ));
    TRY("a bad pointer", syscall(SYS_execve, 8, argv, environ));
    TRY("bad arguments", syscall(SYS_execve, self, 8, environ));
    size_t length = 132 * 1024;
    char *big = malloc(length);
    memset(big, 'x', length - 1);
    big[length - 1] = 0;
    char *long_argv[] = {"x", big, NULL};
    TRY("one argument too long", execve(self, long_argv, environ));
    free(big);
}

static void script(void) {
    FILE *file = fopen("script", "w");
    fprintf(file, "#!/bin/sh -e\necho \"script: $0 $1\"\nexit 9\n");
    fclose(file);
    chmod("script", 0755);
    pid_t pid = fork();
    if (pid == 0) {
        execl("./script", "ignored", "argument", NULL);
        _exit(99);
    }
    reap("script", pid);
}

static void spawns(void) {
    pid_t pid;
    char *argv[] = {"sh", "-c", "exit 5", NULL};
    NUM("posix_spawn", posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ));
    reap("spawned", pid);
    NUM("posix_spawn of nothing", posix_spawn(&pid, "/missing", NULL, NULL, argv, environ));
    show_status("system", system("exit 6"));
}

static void *other(void *unused) {
    (void)unused;
    execl("/bin/sh", "sh", "-c", "exit 11", NULL);
    return NULL;
}

static void from_a_thread(void) {
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, other, NULL);
        for (;;) pause();
    }
    reap("exec from a thread", pid);
}

static void written(void) {
    char script[] = "/var/tmp/script-XXXXXX";
    int fd = mkstemp(script), other = open(script, O_RDONLY);
    write(fd, "#!/bin/true\n", 12);
    fchmod(fd, 0755);
    TRY("execute a script that is written to", execl(script, script, NULL));
    int again = dup(fd);
    close(fd);
    TRY("while another number is open", execl(script, script, NULL));
    close(again);
    pid_t pid = fork();
    if (pid == 0) {
        execl(script, script, NULL);
        _exit(1);
    }
    reap("when it is only read", pid);
    close(other);
    unlink(script);
    int memory = memfd_create("program", 0);
    write(memory, "#!/bin/true\n", 12);
    pid = fork();
    if (pid == 0) {
        fexecve(memory, (char *[]){"x", NULL}, environ);
        _exit(1);
    }
    reap("a memory file that can be written to", pid);
    close(memory);
}

static void busy(void) {
    char name[] = "/var/tmp/busy-XXXXXX", data[65536];
    TRY("write to a running program", open(self, O_WRONLY));
    TRY("truncate a running program", truncate(self, 3));
    TRY("read a running program", open(self, O_RDONLY));
    int in = open(self, O_RDONLY), out = mkstemp(name);
    for (ssize_t n; (n = read(in, data, sizeof data)) > 0;) write(out, data, n);
    fchmod(out, 0755);
    close(out);
    int fd = open(name, O_RDWR);
    TRY("write to a copy", fd);
    TRY("execute what is written to", execl(name, name, "wait", NULL));
    close(fd);
    int fds[2];
    pipe(fds);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        close(fds[1]);
        execl(name, name, "wait", NULL);
        _exit(1);
    }
    close(fds[1]);
    read(fds[0], data, 1); // it runs now
    TRY("write to a copy that runs", open(name, O_RDWR));
    TRY("unlink a copy that runs", unlink(name));
    TRY("another of its name", open(name, O_RDWR | O_CREAT | O_EXCL, 0755));
    TRY("written to", open(name, O_RDWR | O_TRUNC));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(name);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "wait")) return write(1, "x", 1), pause();
    if (argc > 1) return second(argc, argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    TRUTH("/proc/self/exe", n > 0 && access(self, X_OK) == 0);
    full();
    errors();
    script();
    spawns();
    from_a_thread();
    written();
    busy();
    return 0;
}
