/* Owners, rights as another user, times, extended attributes, moves with flags, files without names, /proc's links. */
#include "guest.h"
#include <grp.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static void put(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (write(fd, text, strlen(text)) < 0) SHOW("put", "%s", strerrorname_np(errno));
    fchmod(fd, mode);
    close(fd);
}

static void show_mode(const char *name, const char *path) {
    struct stat st;
    if (lstat(path, &st)) SHOW(name, "%s", strerrorname_np(errno));
    else SHOW(name, "%o %d %d", st.st_mode, (int)st.st_uid, (int)st.st_gid);
}

static void owners(void) {
    put("mine", "x", 06777);
    CALL("give away", chown("mine", 1000, 2000));
    show_mode("given", "mine");
    CALL("only the group", chown("mine", -1, 7));
    show_mode("group", "mine");
    CALL("mode", chmod("mine", 04755));
    CALL("write clears", truncate("mine", 3));
    int fd = open("mine", O_WRONLY);
    write(fd, "y", 1);
    show_mode("written", "mine");
    CALL("fchown", fchown(fd, 0, 0));
    CALL("fchmod", fchmod(fd, 0640));
    show_mode("after", "mine");
    symlink("mine", "link");
    CALL("lchown", lchown("link", 5, 6));
    show_mode("link", "link");
    CALL("no follow", fchownat(AT_FDCWD, "link", 8, 9, AT_SYMLINK_NOFOLLOW));
    CALL("empty path", fchownat(fd, "", 1, 1, AT_EMPTY_PATH));
    show_mode("mine", "mine");
    CALL("bad flags", fchownat(AT_FDCWD, "link", 8, 9, 0x8000));
    mkdir("group", 0755);
    chown("group", 0, 44);
    chmod("group", 02775);
    mkdir("group/dir", 0755);
    show_mode("inherited", "group/dir");
    put("group/file", "", 0600);
    show_mode("inherited", "group/file");
    close(fd);
}

static void as_other(void) {
    mkdir("closed", 0700), mkdir("listed", 0744), mkdir("open", 0777), mkdir("sticky", 0777);
    chmod("open", 0777), chmod("listed", 0744), chmod("sticky", 01777), chmod(".", 0755);
    put("closed/f", "x", 0666), put("listed/f", "x", 0666), put("open/f", "x", 0600), put("sticky/f", "x", 0666);
    put("secret", "x", 0600), put("public", "x", 0644), put("run", "#!/bin/sh\n", 0711);
    put("group-only", "x", 0640), chown("group-only", 0, 2000);
    pid_t child = fork();
    if (!child) {
        gid_t groups[] = {2000};
        setgroups(1, groups);
        if (setgid(1000) || setuid(1000)) _exit(1);
        TRY("secret", open("secret", O_RDONLY));
        TRY("public", open("public", O_RDONLY));
        TRY("public for writing", open("public", O_RDWR));
        TRY("by group", open("group-only", O_RDONLY));
        TRY("by group for writing", open("group-only", O_WRONLY));
        TRY("closed", open("closed/f", O_RDONLY));
        TRY("closed, stat", access("closed/f", F_OK));
        TRY("listed", open("listed/f", O_RDONLY));
        TRY("list", open("listed", O_RDONLY));
        TRY("list closed", open("closed", O_RDONLY));
        TRY("truncate", open("public", O_RDONLY | O_TRUNC));
        TRY("remove in open", unlink("open/f"));
        TRY("remove in sticky", unlink("sticky/f"));
        TRY("move in sticky", rename("sticky/f", "sticky/g"));
        TRY("make here", open("new", O_CREAT | O_WRONLY, 0644));
        TRY("make in open", open("open/new", O_CREAT | O_WRONLY, 0644));
        TRY("chmod another's", chmod("public", 0666));
        TRY("chmod own", chmod("open/new", 0600));
        TRY("chown own", chown("open/new", 1001, -1));
        TRY("group of own", chown("open/new", -1, 2000));
        TRY("foreign group of own", chown("open/new", -1, 3000));
        TRY("times of another's", utimensat(AT_FDCWD, "public", NULL, 0));
        TRY("access x", access("run", X_OK));
        TRY("access r", access("run", R_OK));
        TRY("access w", access("public", W_OK));
        TRY("link to another's", link("secret", "open/hard"));
        TRY("chroot", chroot("open"));
        TRY("mknod", mknod("open/dev", S_IFCHR | 0600, 0x103));
        TRY("fifo", mknod("open/fifo", S_IFIFO | 0600, 0));
        TRY("rename into a closed one", rename("open/new", "closed/new"));
        _exit(0);
    }
    reap("other", child);
}

static void times(void) {
    put("t", "x", 0644);
    struct timespec stamps[2] = {{1000, 5}, {2000, 6}};
    struct stat st;
    CALL("set", utimensat(AT_FDCWD, "t", stamps, 0));
    stat("t", &st);
    SHOW("times", "%ld.%09ld %ld.%09ld", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    stamps[0].tv_nsec = UTIME_OMIT, stamps[1].tv_sec = 7, stamps[1].tv_nsec = 8;
    CALL("omit", utimensat(AT_FDCWD, "t", stamps, 0));
    stat("t", &st);
    SHOW("times", "%ld.%09ld %ld.%09ld", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    stamps[1].tv_nsec = UTIME_NOW;
    CALL("now", utimensat(AT_FDCWD, "t", stamps, 0));
    stat("t", &st);
    TRUTH("recent", st.st_mtim.tv_sec > 1000000000);
    stamps[1].tv_nsec = 1000000000;
    CALL("bad", utimensat(AT_FDCWD, "t", stamps, 0));
    stamps[1].tv_nsec = 0, stamps[1].tv_sec = -5;
    CALL("before 1970", utimensat(AT_FDCWD, "t", stamps, 0));
    stat("t", &st);
    NUM("seconds", st.st_mtim.tv_sec);
    int fd = open("t", O_RDONLY);
    CALL("futimens", futimens(fd, NULL));
    struct statx sx;
    CALL("statx", statx(AT_FDCWD, "t", 0, STATX_BASIC_STATS, &sx));
    SHOW("statx", "%x %o %d %llu", sx.stx_mask & STATX_BASIC_STATS, sx.stx_mode, sx.stx_nlink, sx.stx_size);
    TRUTH("device", makedev(sx.stx_dev_major, sx.stx_dev_minor) == st.st_dev);
    CALL("statx of a descriptor", statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &sx));
    CALL("bad mask", statx(fd, "", AT_EMPTY_PATH, 0x80000000, &sx));
    CALL("bad flags", statx(fd, "", 0x10000, STATX_ALL, &sx));
    close(fd);
}

static void xattrs(void) {
    char buf[100];
    put("x", "x", 0644);
    CALL("none", getxattr("x", "user.a", buf, 100));
    CALL("set", setxattr("x", "user.a", "value", 5, 0));
    CALL("get", getxattr("x", "user.a", buf, 100));
    SHOW("value", "%.5s", buf);
    CALL("size", getxattr("x", "user.a", NULL, 0));
    CALL("small", getxattr("x", "user.a", buf, 2));
    CALL("create again", setxattr("x", "user.a", "v", 1, XATTR_CREATE));
    CALL("replace", setxattr("x", "user.a", "v", 1, XATTR_REPLACE));
    CALL("replace none", setxattr("x", "user.b", "v", 1, XATTR_REPLACE));
    CALL("no prefix", setxattr("x", "plain", "v", 1, 0));
    CALL("bad flags", setxattr("x", "user.c", "v", 1, 9));
    CALL("list", listxattr("x", buf, 100));
    SHOW("names", "%s", buf);
    CALL("small list", listxattr("x", buf, 2));
    CALL("remove", removexattr("x", "user.a"));
    CALL("remove again", removexattr("x", "user.a"));
    CALL("empty list", listxattr("x", buf, 100));
    symlink("x", "xl");
    CALL("on a link", lsetxattr("xl", "user.a", "v", 1, 0));
    CALL("on a directory", setxattr(".", "user.a", "v", 1, 0));
    CALL("of no file", getxattr("nothing", "user.a", buf, 100));
}

static void moves(void) {
    put("a", "a", 0644), put("b", "bb", 0644), mkdir("d1", 0755), mkdir("d2", 0755), put("d1/x", "x", 0644);
    struct stat st;
    CALL("no replace", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
    CALL("exchange", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
    stat("a", &st);
    NUM("size", st.st_size);
    CALL("exchange with a directory", renameat2(AT_FDCWD, "a", AT_FDCWD, "d1", RENAME_EXCHANGE));
    stat("d1", &st);
    NUM("size", st.st_size);
    CALL("and back", renameat2(AT_FDCWD, "a", AT_FDCWD, "d1", RENAME_EXCHANGE));
    CALL("exchange with none", renameat2(AT_FDCWD, "a", AT_FDCWD, "none", RENAME_EXCHANGE));
    CALL("both flags", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
    CALL("bad flag", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", 64));
    CALL("into itself", rename("d1", "d1/y"));
    CALL("over a full one", rename("d2", "d1"));
    CALL("over an empty one", rename("d1", "d2"));
    CALL("file over directory", rename("a", "d2"));
    CALL("directory over file", rename("d2", "a"));
    char here[PATH_MAX], *base;
    mkdir("w", 0755), chdir("w");
    CALL("rename the cwd", rename("../w", "../moved"));
    base = strrchr(getcwd(here, sizeof here), '/');
    SHOW("cwd", "%s", base);
    CALL("remove the cwd", rmdir("../moved"));
    SHOW("cwd", "%s", getcwd(here, sizeof here) ? "there" : strerrorname_np(errno));
    TRY("make in it", open("f", O_CREAT | O_WRONLY, 0644));
    TRY("open it", open(".", O_RDONLY));
    CALL("up", chdir(".."));
    TRUTH("back", access("d2/x", F_OK) == 0);
}

static void nameless(void) {
    char text[200] = {0}, path[64];
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    NUM("write", write(fd, "tmp", 3));
    struct stat st;
    fstat(fd, &st);
    NUM("links", st.st_nlink);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CALL("name it", linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    fstat(fd, &st);
    NUM("links", st.st_nlink);
    CALL("as reader only", open(".", O_TMPFILE | O_RDONLY, 0600));
    unlink("named");
    readlink(path, text, sizeof text - 1);
    TRUTH("deleted", strstr(text, " (deleted)") != NULL);
    int again = open(path, O_RDONLY);
    TRUTH("opened again", again >= 0);
    NUM("read", read(again, text, 10));
    CALL("write to the second", write(again, "x", 1));
    put("gone", "content", 0644);
    int keep = open("gone", O_RDWR);
    unlink("gone");
    put("gone", "new", 0644);
    NUM("old", pread(keep, text, 100, 0));
    fstat(keep, &st);
    NUM("links", st.st_nlink);
    int p[2];
    pipe(p);
    write(p[1], "pipe", 4);
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    int reader = open(path, O_RDONLY);
    NUM("from the pipe", read(reader, text, 10));
    readlink(path, text, sizeof text - 1);
    SHOW("link", "%.5s", text);
    CALL("stat", stat(path, &st));
    NUM("FIFO", S_ISFIFO(st.st_mode));
    int dir = open("d2", O_RDONLY | O_DIRECTORY);
    CALL("below it", openat(dir, "x", O_RDONLY) >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d/x", dir);
    TRY("through its link", open(path, O_RDONLY));
    snprintf(path, sizeof path, "/proc/self/fd/%d", 77);
    TRY("none", open(path, O_RDONLY));
    TRY("fd 01", open("/proc/self/fd/01", O_RDONLY));
    int lone = open("a", O_PATH | O_NOFOLLOW);
    snprintf(path, sizeof path, "/proc/self/fd/%d", lone);
    TRUTH("reopen a path", open(path, O_RDONLY) >= 0);
    CALL("fchdir of a file", fchdir(lone));
    CALL("fstat of a path", fstat(lone, &st));
    CALL("fchmod of a path", fchmod(lone, 0600));
}

int main(void) {
    umask(022);
    if (geteuid()) return 0;
    owners();
    as_other();
    times();
    xattrs();
    moves();
    nameless();
    return 0;
}
