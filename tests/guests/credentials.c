/* Ids and capabilities: what may be set, what a change of user drops, what a program with set-id bits gets. */
#include "guest.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

static void show(const char *when) {
    uid_t r, e, s;
    gid_t g, h, i;
    getresuid(&r, &e, &s);
    getresgid(&g, &h, &i);
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    syscall(SYS_capget, &head, data);
    SHOW(when, "%u %u %u, %u %u %u, effective %d permitted %d dumpable %d secure %lu", r, e, s, g, h, i,
         data[0].effective != 0, data[0].permitted != 0, prctl(PR_GET_DUMPABLE), getauxval(AT_SECURE));
}

static void in_child(const char *name, void (*body)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        body();
        fflush(stdout);
        _exit(0);
    }
    reap(name, pid);
}

static void leave(void) {
    TRY("setresuid", setresuid(-1, 1000, 0));
    show("effective user away");
    TRY("setfsuid", setfsuid(5) == 1000 ? 0 : -1);
    TRY("back", seteuid(0));
    show("effective user back");
    TRY("setgroups", setgroups(2, (gid_t[]){9, 4}));
    gid_t groups[4];
    int n = getgroups(4, groups);
    SHOW("groups", "%d: %u %u", n, groups[0], groups[1]);
    TRY("setresgid", setresgid(1, 2, 3));
    TRY("setuid", setuid(1000));
    show("user left");
    TRY("setuid 0", setuid(0));
    TRY("setgid", setgid(3));
    TRY("setgid back", setgid(9));
    TRY("setgroups", setgroups(0, NULL));
    TRY("setuid -1", setuid(-1));
}

static void keep(void) {
    TRY("keep", prctl(PR_SET_KEEPCAPS, 1));
    TRY("keep 2", prctl(PR_SET_KEEPCAPS, 2));
    TRY("setuid", setuid(1000));
    show("kept");
    TRY("securebits", prctl(PR_SET_SECUREBITS, SECBIT_NOROOT));
    TRY("ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 1, 0, 0));
    TRY("ambient, junk", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0));
    TRY("drop", prctl(PR_CAPBSET_DROP, 1));
    TRY("read", prctl(PR_CAPBSET_READ, 99));
}

static void locks(void) {
    TRY("noroot", prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED));
    TRY("unlock", prctl(PR_SET_SECUREBITS, 0));
    SHOW("bits", "%d", prctl(PR_GET_SECUREBITS));
    char *argv[] = {"./copy", "again", NULL};
    execv("./copy", argv);
}

static void set_id(void) {
    TRY("setuid", setresuid(1000, 1000, 1000));
    char *argv[] = {"./copy", "again", NULL};
    execv("./copy", argv);
}

static void no_new_privs(void) {
    TRY("no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    set_id();
}

int main(int argc, char **argv) {
    if (argc > 1) {
        show("executed");
        return 0;
    }
    if (geteuid() != 0) {
        TRY("setuid", setuid(getuid() + 1));
        TRY("setreuid", setreuid(getuid(), -1));
        TRY("setresgid", setresgid(-1, getgid() + 1, -1));
        return 0;
    }
    show("at first");
    in_child("leave", leave);
    in_child("keep", keep);
    int in = open("/proc/self/exe", O_RDONLY), out = open("copy", O_CREAT | O_WRONLY, 0755);
    char buffer[65536];
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, n) != n) return 1;
    close(out);
    in_child("locks", locks);
    TRY("chown", chown("copy", 7, 8));
    TRY("chmod", chmod("copy", 06755));
    in_child("set-id", set_id);
    TRY("chown", chown("copy", 0, 8));
    TRY("chmod", chmod("copy", 04755));
    in_child("set-uid root", set_id);
    in_child("no new privileges", no_new_privs);
    unlink("copy");
    return 0;
}
