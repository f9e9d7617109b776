/* Names: creating, removing, renaming, links, permissions, times, errors of path walks. */
#include "guest.h"
#include <dirent.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static void show_mode(const char *name, const char *path) {
    struct stat st;
    if (lstat(path, &st)) SHOW(name, "%s", strerrorname_np(errno));
    else if (S_ISDIR(st.st_mode)) SHOW(name, "%o", st.st_mode);
    else SHOW(name, "%o links %d size %lld", st.st_mode, (int)st.st_nlink, (long long)st.st_size);
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (write(fd, text, strlen(text)) < 0) SHOW("put", "%s", strerrorname_np(errno));
    close(fd);
}

static void show_text(const char *name, const char *path) {
    char text[100] = {0};
    int fd = open(path, O_RDONLY);
    if (fd < 0) SHOW(name, "%s", strerrorname_np(errno));
    else SHOW(name, "%.*s", (int)read(fd, text, 99), text);
    close(fd);
}

static void finds(void) {
    put("real", "content");
    show_text("missing", "later");
    CALL("becomes a link", symlink("real", "later"));
    show_text("followed", "later");
    put("later", "written through it");
    show_text("what it leads to", "real");
    show_text("missing", "much-later");
    CALL("becomes a name of a link", linkat(AT_FDCWD, "later", AT_FDCWD, "much-later", 0));
    show_text("followed", "much-later");
    CALL("a directory", mkdir("place", 0755));
    CALL("a link to it", symlink("place", "alias"));
    CALL("a hard link to a directory", link("alias/", "no"));
    CALL("rmdir of a link", rmdir("alias/"));
    unlink("later"), unlink("much-later"), unlink("real"), unlink("alias"), rmdir("place");
}

static void creation(void) {
    umask(022);
    NUM("open", open("new", O_RDWR | O_CREAT | O_EXCL, 0666) >= 0);
    show_mode("mode", "new");
    CALL("O_EXCL", open("new", O_RDWR | O_CREAT | O_EXCL, 0666));
    CALL("no O_CREAT", open("other", O_RDWR));
    CALL("O_DIRECTORY of a file", open("new", O_RDONLY | O_DIRECTORY));
    CALL("below a file", open("new/x", O_RDONLY));
    CALL("below nothing", open("none/x", O_RDWR | O_CREAT, 0644));
    CALL("an empty name", open("", O_RDONLY));
    CALL("slash after a new file", open("slash/", O_RDWR | O_CREAT, 0644));
    NUM("umask", umask(027));
    CALL("mkdir", mkdir("dir", 0777));
    show_mode("mode", "dir");
    CALL("mkdir again", mkdir("dir", 0777));
    CALL("mkdir below nothing", mkdir("none/dir", 0777));
    CALL("mkdir with a slash", mkdir("dir2/", 0700));
    CALL("rmdir", rmdir("dir2"));
    CALL("mknod of a file", mknod("node", S_IFREG | 0600, 0));
    CALL("mknod of a FIFO", mknod("pipe", S_IFIFO | 0600, 0));
    show_mode("FIFO", "pipe");
    umask(022);
    char name[300];
    memset(name, 'n', sizeof name);
    name[255] = 0;
    TRY("longest name", open(name, O_CREAT | O_WRONLY, 0600));
    CALL("remove it", unlink(name));
    name[255] = 'n', name[256] = 0;
    CALL("name too long", open(name, O_CREAT | O_WRONLY, 0600));
    char *path = malloc(5000);
    memset(path, '/', 5000);
    path[4999] = 0;
    CALL("path too long", open(path, O_RDONLY));
    path[4095] = 0;
    TRY("longest path", open(path, O_RDONLY));
}

static void removal(void) {
    put("dir/file", "content");
    CALL("rmdir of a full one", rmdir("dir"));
    CALL("rmdir of a file", rmdir("dir/file"));
    CALL("rmdir of dot", rmdir("dir/."));
    CALL("rmdir of dot-dot", rmdir("dir/.."));
    CALL("unlink of a directory", unlink("dir"));
    CALL("unlink of nothing", unlink("none"));
    int fd = open("dir/file", O_RDWR);
    CALL("unlink while open", unlink("dir/file"));
    struct stat st;
    fstat(fd, &st);
    NUM("links", st.st_nlink);
    char text[10] = {0};
    NUM("still there", read(fd, text, 9));
    CALL("and writable", write(fd, "more", 4));
    CALL("name is free", mkdir("dir/file", 0700));
    CALL("unlinkat", unlinkat(AT_FDCWD, "dir/file", AT_REMOVEDIR));
    CALL("rmdir", rmdir("dir"));
    close(fd);
    mkdir("gone", 0755);
    if (chdir("gone")) return;
    rmdir("../gone");
    CALL("in a removed directory", open("x", O_CREAT | O_WRONLY, 0600));
    CALL("getcwd there", getcwd(text, 10) ? 0 : -1);
    DIR *dir = opendir(".");
    int entries = 0;
    while (dir && readdir(dir)) entries++;
    TRUTH("has no entry", entries == 0);
    closedir(dir);
}

static void renames(void) {
    put("a", "A"), put("b", "B");
    CALL("rename over", rename("a", "b"));
    show_text("b", "b");
    show_text("a", "a");
    mkdir("d1", 0755), mkdir("d2", 0755), mkdir("d2/sub", 0755);
    CALL("file over a directory", rename("b", "d1"));
    CALL("directory over a file", rename("d1", "b"));
    CALL("over a full directory", rename("d1", "d2"));
    CALL("over an empty one", rename("d2", "d1"));
    show_mode("sub", "d1/sub");
    CALL("into itself", rename("d1", "d1/sub/x"));
    CALL("to itself", rename("b", "b"));
    CALL("of nothing", rename("none", "x"));
    CALL("of dot", rename("d1/.", "x"));
    CALL("into a directory", rename("b", "d1/sub/b"));
    show_text("moved", "d1/sub/b");
    put("c", "C");
    CALL("RENAME_NOREPLACE", renameat2(AT_FDCWD, "c", AT_FDCWD, "d1/sub/b", RENAME_NOREPLACE));
    CALL("RENAME_EXCHANGE", renameat2(AT_FDCWD, "c", AT_FDCWD, "d1/sub/b", RENAME_EXCHANGE));
    show_text("exchanged", "c");
    CALL("bad flags", renameat2(AT_FDCWD, "c", AT_FDCWD, "x", RENAME_NOREPLACE | RENAME_EXCHANGE));
    int fd = open("d1", O_RDONLY | O_DIRECTORY);
    CALL("renameat", renameat(AT_FDCWD, "c", fd, "c2"));
    show_text("by descriptor", "d1/c2");
    CALL("openat of a bad descriptor", openat(99, "x", O_RDONLY));
    CALL("openat of a file", openat(open("d1/c2", O_RDONLY), "x", O_RDONLY));
    NUM("openat absolute", openat(99, "/dev/null", O_RDONLY) >= 0);
}

static void links(void) {
    put("target", "T");
    CALL("link", link("target", "hard"));
    show_mode("two names", "target");
    CALL("link over", link("target", "hard"));
    CALL("link of a directory", link("d1", "hard2"));
    CALL("unlink one", unlink("target"));
    show_text("the other", "hard");
    CALL("symlink", symlink("hard", "soft"));
    CALL("symlink over", symlink("x", "soft"));
    CALL("symlink to nothing", symlink("", "x"));
    char text[100] = {0};
    NUM("readlink", readlink("soft", text, 100));
    SHOW("it says", "%s", text);
    NUM("readlink cut", readlink("soft", text, 2));
    CALL("readlink of a file", readlink("hard", text, 100));
    CALL("readlink into nothing", syscall(SYS_readlink, "soft", text, 0));
    show_mode("lstat", "soft");
    show_text("through it", "soft");
    CALL("O_NOFOLLOW", open("soft", O_RDONLY | O_NOFOLLOW));
    symlink("dangling-target", "dangling");
    CALL("dangling", open("dangling", O_RDONLY));
    CALL("O_EXCL does not follow", open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600));
    NUM("O_CREAT does", open("dangling", O_CREAT | O_WRONLY, 0600) >= 0);
    show_mode("made", "dangling-target");
    symlink("loop2", "loop1"), symlink("loop1", "loop2");
    CALL("a loop", open("loop1", O_RDONLY));
    symlink("d1", "dirlink");
    show_text("through a directory link", "dirlink/c2");
    CALL("mkdir over a link", mkdir("dangling", 0700));
    CALL("rename of a link", rename("soft", "soft2"));
    show_mode("is still a link", "soft2");
    CALL("unlink of a link", unlink("dirlink"));
    show_mode("directory is still there", "d1");
    CALL("linkat follows", linkat(AT_FDCWD, "soft2", AT_FDCWD, "hard3", AT_SYMLINK_FOLLOW));
    show_mode("is no link", "hard3");
    char *before = "l0";
    put("l0", "deep");
    for (int i = 1; i <= 41; i++) {
        static char names[42][8];
        sprintf(names[i], "l%d", i);
        symlink(before, names[i]);
        before = names[i];
    }
    show_text("forty links", "l40");
    show_text("forty-one links", "l41");
}

static void attributes(void) {
    put("file", "12345");
    CALL("chmod", chmod("file", 04751));
    show_mode("mode", "file");
    CALL("fchmod", fchmod(open("file", O_RDONLY), 0600));
    show_mode("mode", "file");
    CALL("chmod of nothing", chmod("none", 0600));
    CALL("access", access("file", R_OK | W_OK));
    CALL("access to nothing", access("none", F_OK));
    CALL("access nonsense", access("file", 0xff));
    CALL("truncate", truncate("file", 3));
    show_text("cut", "file");
    CALL("truncate longer", truncate("file", 6));
    show_mode("grown", "file");
    CALL("truncate of a directory", truncate("d1", 0));
    CALL("truncate negative", truncate("file", -1));
    struct timespec times[2] = {{1000000, 123456789}, {2000000, 987654321}};
    CALL("utimensat", utimensat(AT_FDCWD, "file", times, 0));
    struct stat st;
    stat("file", &st);
    SHOW("times", "%lld.%09ld %lld.%09ld", (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec,
         st.st_mtim.tv_nsec);
    times[0].tv_nsec = UTIME_OMIT, times[1].tv_nsec = UTIME_NOW;
    CALL("now and omitted", utimensat(AT_FDCWD, "file", times, 0));
    stat("file", &st);
    TRUTH("one kept, one new", st.st_atim.tv_sec == 1000000 && st.st_mtim.tv_sec > 1500000000);
    times[0].tv_nsec = 2000000000;
    CALL("bad nanoseconds", utimensat(AT_FDCWD, "file", times, 0));
    TRUTH("owner", st.st_uid == geteuid());
    NUM("block size", st.st_blksize);
    struct statx stx;
    CALL("statx", statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &stx));
    SHOW("statx says", "%o %llu mask %d", stx.stx_mode, (unsigned long long)stx.stx_size,
         (stx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    TRUTH("same inode", stx.stx_ino == st.st_ino && makedev(stx.stx_dev_major, stx.stx_dev_minor) == st.st_dev);
    CALL("fstatat of an empty path", fstatat(open("file", O_RDONLY), "", &st, AT_EMPTY_PATH));
    CALL("empty path without the flag", fstatat(AT_FDCWD, "", &st, 0));
    stat("/dev/null", &st);
    SHOW("/dev/null", "%o %d %d", st.st_mode, major(st.st_rdev), minor(st.st_rdev));
    char buffer[16];
    int fd = open("/dev/zero", O_RDONLY);
    NUM("/dev/zero", read(fd, buffer, 16));
    NUM("/dev/urandom", read(open("/dev/urandom", O_RDONLY), buffer, 16));
    NUM("/dev/null", read(open("/dev/null", O_RDWR), buffer, 16));
    CALL("/dev/full", write(open("/dev/full", O_WRONLY), buffer, 16));
    struct statfs sfs;
    CALL("statfs", statfs(".", &sfs));
    NUM("longest name", sfs.f_namelen);
}

static void directories(void) {
    char here[PATH_MAX], there[PATH_MAX];
    if (!getcwd(here, sizeof here)) return;
    mkdir("walk", 0755);
    CALL("chdir", chdir("walk"));
    if (!getcwd(there, sizeof there)) return;
    TRUTH("getcwd", strncmp(there, here, strlen(here)) == 0 && !strcmp(there + strlen(here), "/walk"));
    CALL("back", chdir(".."));
    CALL("chdir to a file", chdir("file"));
    CALL("chdir to nothing", chdir("none"));
    int fd = open("walk", O_RDONLY);
    CALL("fchdir", fchdir(fd));
    CALL("fchdir of a file", fchdir(open("../file", O_RDONLY)));
    if (chdir("..")) return;
    CALL("getcwd into little", syscall(SYS_getcwd, there, 1));
    TRUTH("dots", !chdir("walk/.././walk/../") && getcwd(there, sizeof there) && !strcmp(here, there));
    TRUTH("root's parent", !chdir("/../..") && getcwd(there, sizeof there) && !strcmp(there, "/"));
    if (chdir(here)) return;
}

int main(void) {
    finds();
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return 1;
    creation();
    removal();
    if (chdir(here)) return 2;
    renames();
    links();
    attributes();
    directories();
    if (system("rm -rf ./*")) return 3;
    return 0;
}
