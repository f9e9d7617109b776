/* inotify: which events come, in which order, with which names. */
#include "guest.h"
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

static int fd;

/* All events that have come, on one line each; cookies are numbered by appearance. */
static void drain(const char *what) {
    char buffer[65536] __attribute__((aligned(8)));
    uint32_t cookies[16];
    int known = 0;
    SHOW(what, " ");
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n <= 0) break;
        for (char *p = buffer; p < buffer + n;) {
            struct inotify_event *e = (struct inotify_event *)p;
            int cookie = 0;
            if (e->cookie) {
                for (cookie = 0; cookie < known && cookies[cookie] != e->cookie; cookie++) {}
                if (cookie == known && known < 16) cookies[known++] = e->cookie;
                cookie++;
            }
            SHOW("  event", "%d %x %d %u %s", e->wd, e->mask, cookie, e->len, e->len ? e->name : "");
            p += sizeof *e + e->len;
        }
    }
}

static void put(const char *path, const char *text) {
    int f = open(path, O_WRONLY | O_CREAT, 0644);
    write(f, text, strlen(text));
    close(f);
}

int main(void) {
    char b[100];
    CALL("bad flags", inotify_init1(1));
    fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    NUM("close-on-exec", fcntl(fd, F_GETFD));
    NUM("flags", fcntl(fd, F_GETFL));
    CALL("nothing", read(fd, b, sizeof b));
    CALL("write", write(fd, b, 1));
    mkdir("d", 0755);
    mkdir("other", 0755);
    put("d/old", "old");
    CALL("no mask", inotify_add_watch(fd, "d", 0));
    CALL("no such file", inotify_add_watch(fd, "nothing", IN_ALL_EVENTS));
    CALL("not an instance", inotify_add_watch(1, "d", IN_ALL_EVENTS));
    CALL("not open", inotify_add_watch(99, "d", IN_ALL_EVENTS));
    CALL("not a directory", inotify_add_watch(fd, "d/old", IN_ALL_EVENTS | IN_ONLYDIR));
    CALL("both", inotify_add_watch(fd, "d", IN_ALL_EVENTS | IN_MASK_ADD | IN_MASK_CREATE));
    CALL("watch", inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    CALL("watch again", inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    CALL("only new", inotify_add_watch(fd, "d", IN_ALL_EVENTS | IN_MASK_CREATE));
    drain("quiet");

    put("d/new", "hello");
    drain("create and write");
    int f = open("d/new", O_RDONLY);
    read(f, b, 2);
    read(f, b, 2);
    read(f, b, 0);
    close(f);
    drain("read");
    f = open("d/new", O_RDWR | O_TRUNC);
    write(f, "x", 1);
    write(f, "", 0);
    pwrite(f, "y", 1, 5);
    pread(f, b, 1, 0);
    ftruncate(f, 3);
    close(f);
    drain("truncate and write");
    f = open("d/new", O_PATH);
    close(f);
    drain("O_PATH");
    chmod("d/new", 0600);
    drain("chmod");
    struct timespec both[2] = {{5, 0}, {5, 0}}, one[2] = {{0, UTIME_OMIT}, {5, 0}}, other[2] = {{5, 0}, {0, UTIME_OMIT}};
    utimensat(AT_FDCWD, "d/new", both, 0);
    drain("both times");
    utimensat(AT_FDCWD, "d/new", one, 0);
    drain("mtime");
    utimensat(AT_FDCWD, "d/new", other, 0);
    drain("atime");
    truncate("d/new", 1);
    drain("truncate");
    link("d/new", "d/link");
    drain("link");
    symlink("new", "d/symlink");
    drain("symlink");
    mkfifo("d/fifo", 0600);
    drain("fifo");
    mkdir("d/sub", 0755);
    drain("mkdir");
    chmod("d", 0700);
    drain("chmod the directory");
    rename("d/new", "d/renamed");
    drain("rename");
    rename("d/renamed", "d/link");
    drain("rename to another name of it");
    rename("d/renamed", "d/old");
    drain("rename over");
    rename("d/old", "other/out");
    drain("move out");
    rename("other/out", "d/in");
    drain("move in");
    syscall(SYS_renameat2, AT_FDCWD, "d/in", AT_FDCWD, "d/sub", 2);
    drain("exchange");
    unlink("d/sub");
    drain("unlink");
    unlink("d/link");
    drain("unlink another");
    rmdir("d/in");
    drain("rmdir");
    f = open("d", O_RDONLY | O_DIRECTORY);
    char entries[1024];
    syscall(SYS_getdents64, f, entries, sizeof entries);
    close(f);
    drain("list");

    /* the file itself */
    put("d/file", "x");
    drain("another file");
    CALL("watch it", inotify_add_watch(fd, "d/file", IN_ALL_EVENTS));
    put("d/file", "y");
    drain("write");
    rename("d/file", "d/moved");
    drain("move");
    f = open("d/moved", O_RDONLY);
    drain("open");
    unlink("d/moved");
    drain("unlink an open file");
    read(f, b, 1);
    drain("read the unlinked");
    close(f);
    drain("close it");
    put("d/file", "x");
    int w = inotify_add_watch(fd, "d/file", IN_DELETE_SELF | IN_ATTRIB);
    NUM("new number", w);
    drain("made again");
    unlink("d/file");
    drain("unlink a closed file");
    CALL("rm of a gone watch", inotify_rm_watch(fd, w));

    /* masks */
    put("plain", "x");
    w = inotify_add_watch(fd, "plain", IN_MODIFY);
    put("plain", "y");
    drain("only modify");
    inotify_add_watch(fd, "plain", IN_OPEN | IN_MASK_ADD);
    put("plain", "z");
    drain("and open");
    inotify_add_watch(fd, "plain", IN_CLOSE_WRITE);
    put("plain", "z");
    drain("only close");
    CALL("rm", inotify_rm_watch(fd, w));
    drain("ignored");
    CALL("rm again", inotify_rm_watch(fd, w));
    put("plain", "z");
    drain("nothing");
    inotify_add_watch(fd, "plain", IN_OPEN | IN_ONESHOT);
    put("plain", "z");
    put("plain", "z");
    drain("once");
    symlink("plain", "to plain");
    inotify_add_watch(fd, "to plain", IN_ATTRIB | IN_DONT_FOLLOW);
    chmod("plain", 0640);
    drain("the link alone");
    inotify_add_watch(fd, "d", IN_ACCESS | IN_EXCL_UNLINK);
    f = open("d/tmp", O_RDWR | O_CREAT, 0600);
    write(f, "abc", 3);
    pread(f, b, 1, 0);
    drain("before");
    unlink("d/tmp");
    pread(f, b, 1, 0);
    drain("excluded");
    close(f);

    /* merging, sizes, attributes */
    inotify_add_watch(fd, "d", IN_ALL_EVENTS);
    put("d/a name of some length", "x");
    f = open("d/a name of some length", O_RDWR);
    drain("padding");
    for (int i = 0; i < 5; i++) write(f, "x", 1);
    int available = 0;
    CALL("FIONREAD", ioctl(fd, FIONREAD, &available));
    NUM("one merged event", available);
    CALL("too small", read(fd, b, 16));
    CALL("large enough", read(fd, b, 48));
    fsetxattr(f, "user.x", "y", 1, 0);
    drain("xattr");
    close(f);
    drain("close");
    struct pollfd p = {fd, POLLIN, 0};
    CALL("poll", poll(&p, 1, 0));
    pid_t pid = fork();
    if (!pid) {
        sleep_ms(20);
        put("d/from a child", "x");
        _exit(0);
    }
    CALL("poll for a child", poll(&p, 1, 2000));
    reap("child", pid);
    drain("child's");
    unlink("d/a name of some length");
    unlink("d/from a child");
    unlink("d/symlink");
    unlink("d/fifo");
    drain("unlinks");
    rmdir("d");
    drain("the directory itself");
    put("other/1", "x");
    inotify_add_watch(fd, "other", IN_CREATE);
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "other/%d", i + 10);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    CALL("several in one read", read(fd, b, sizeof b));
    close(fd);
    return 0;
}
