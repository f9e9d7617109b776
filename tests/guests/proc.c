/* /proc: what a process can read about itself and its children. */
#include "guest.h"
#include <dirent.h>

static char text[1 << 16];

static ssize_t slurp(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) return -1;
    ssize_t total = 0, got;
    while ((got = read(fd, text + total, sizeof text - 1 - total)) > 0) total += got;
    text[total] = 0;
    close(fd);
    return got < 0 ? -1 : total;
}

static void line(const char *path, const char *name) {
    slurp(path);
    char *at = strstr(text, name);
    if (at) at[strcspn(at, "\n")] = 0;
    SHOW(path, "%s", at ? at : "none");
}

static void show_link(const char *path) {
    char target[PATH_MAX] = {0};
    ssize_t got = readlink(path, target, sizeof target - 1);
    char *base = strrchr(target, '/');
    SHOW(path, "%s", got < 0 ? strerrorname_np(errno) : base ? base : target);
}

static void self(char **argv) {
    char path[64];
    slurp("/proc/self/comm");
    SHOW("comm", "%s", text);
    FILE *comm = fopen("/proc/self/comm", "w");
    fputs("a name longer than fifteen", comm);
    fclose(comm);
    slurp("/proc/self/comm");
    SHOW("comm", "%s", text);
    NUM("cmdline", slurp("/proc/self/cmdline") == (ssize_t)strlen(argv[0]) + 1);
    line("/proc/self/status", "Name:");
    line("/proc/self/status", "Threads:");
    line("/proc/self/status", "SigIgn:");
    line("/proc/self/status", "Umask:");
    signal(SIGPIPE, SIG_IGN), signal(SIGUSR1, SIG_IGN), umask(027);
    line("/proc/self/status", "SigIgn:");
    line("/proc/self/status", "Umask:");
    snprintf(path, sizeof path, "/proc/%d", getpid());
    TRUTH("own number", access(path, F_OK) == 0);
    char target[16] = {0};
    NUM("self", readlink("/proc/self", target, 15) > 0 && atoi(target) == getpid());
    show_link("/proc/self/exe");
    show_link("/proc/self/root");
    char here[PATH_MAX] = {0}, there[PATH_MAX] = {0};
    readlink("/proc/self/cwd", there, sizeof there - 1);
    TRUTH("cwd", !strcmp(getcwd(here, sizeof here), there));
    slurp("/proc/self/maps");
    TRUTH("stack", strstr(text, "[stack]") != NULL);
    TRUTH("program", strstr(text, "/proc\n") != NULL);
    slurp("/proc/self/stat");
    int pid, ppid;
    char state, name[32];
    NUM("stat", sscanf(text, "%d (%31[^)]) %c %d", &pid, name, &state, &ppid));
    SHOW("fields", "%d %s %c %d", pid == getpid(), name, state, ppid == getppid());
    int fields = 0;
    for (char *at = strrchr(text, ')'); at && *at; at++) fields += *at == ' ';
    NUM("fields", fields);
    NUM("statm", slurp("/proc/self/statm") > 10);
    line("/proc/self/limits", "Max open files");
    NUM("auxv", slurp("/proc/self/auxv") % 16);
    NUM("environ", slurp("/proc/self/environ") > 0);
}

static void descriptors(void) {
    for (int i = 3; i < 1024; i++) close(i);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), count = 0, high = dup2(fd, 100);
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *e; (e = readdir(dir));) count += e->d_name[0] != '.' && atoi(e->d_name) > 2;
    closedir(dir);
    NUM("descriptors", count);
    show_link("/proc/self/fd/100");
    struct stat st;
    CALL("lstat", lstat("/proc/self/fd/100", &st));
    SHOW("mode", "%o", st.st_mode);
    CALL("stat", stat("/proc/self/fd/100", &st));
    NUM("device", st.st_rdev);
    line("/proc/self/fdinfo/100", "pos:");
    line("/proc/self/fdinfo/100", "flags:");
    close(high);
    show_link("/proc/self/fd/100");
    TRY("closed", open("/proc/self/fd/100", O_RDONLY));
    TRY("no number", open("/proc/self/fd/x", O_RDONLY));
    close(fd);
}

static void others(void) {
    int hold[2];
    pipe(hold);
    pid_t child = fork();
    if (!child) {
        close(hold[1]);
        char c;
        read(hold[0], &c, 1);
        _exit(3);
    }
    char path[64];
    sleep_ms(50);
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    slurp(path);
    SHOW("child", "%.1s", strrchr(text, ')') + 2);
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", child, child);
    NUM("its thread", slurp(path) > 0);
    close(hold[1]);
    sleep_ms(100);
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    slurp(path);
    SHOW("zombie", "%.1s", strrchr(text, ')') + 2);
    snprintf(path, sizeof path, "/proc/%d/cmdline", child);
    NUM("its cmdline", slurp(path));
    snprintf(path, sizeof path, "/proc/%d/exe", child);
    TRY("its exe", open(path, O_RDONLY));
    snprintf(path, sizeof path, "/proc/%d", child);
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    reap("child", child);
    TRY("gone", access(path, F_OK));
    TRY("below a held directory", openat(dir, "stat", O_RDONLY));
    TRY("no process", open("/proc/999999/stat", O_RDONLY));
    TRY("leading zero", open("/proc/01/stat", O_RDONLY));
    TRY("make a file", open("/proc/new", O_CREAT | O_WRONLY, 0644));
    TRY("make a directory", mkdir("/proc/new", 0755));
    TRY("remove", unlink("/proc/version"));
    TRY("write to a figure", open("/proc/version", O_RDONLY | O_DIRECTORY));
    TRUTH("uptime", slurp("/proc/uptime") > 5);
    TRUTH("meminfo", slurp("/proc/meminfo") > 100 && !strncmp(text, "MemTotal:", 9));
    TRUTH("cpuinfo", slurp("/proc/cpuinfo") > 100 && !strncmp(text, "processor", 9));
    TRUTH("mounts", slurp("/proc/mounts") > 10 && strstr(text, " / "));
    NUM("uuid", slurp("/proc/sys/kernel/random/uuid"));
    NUM("ostype", slurp("/proc/sys/kernel/ostype"));
}

int main(int argc, char **argv) {
    (void)argc;
    umask(022);
    self(argv);
    descriptors();
    others();
    return 0;
}
