/* Reading and writing in every way: vectors, positions, holes, and copies between files. */
#include "guest.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

static char page[65536];

static int fresh(const char *name, const char *text) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (write(fd, text, strlen(text)) < 0) SHOW("fresh", "%s", strerrorname_np(errno));
    return fd;
}

static void show_file(const char *name, int fd) {
    ssize_t got = pread(fd, page, sizeof page - 1, 0);
    page[got < 0 ? 0 : got] = 0;
    SHOW(name, "%zd %.60s", got, page);
}

static void vectors(void) {
    int fd = fresh("v", "0123456789");
    char a[3], b[4] = {0};
    struct iovec two[] = {{a, 3}, {b, 4}};
    CALL("readv at the end", readv(fd, two, 2));
    CALL("preadv", preadv(fd, two, 2, 1));
    SHOW("parts", "%.3s %.4s", a, b);
    CALL("preadv at the end", preadv(fd, two, 2, 8));
    CALL("negative count", readv(fd, two, -1));
    CALL("too many", readv(fd, two, 1025));
    CALL("none", readv(fd, two, 0));
    struct iovec bad[] = {{a, 3}, {(void *)8, 4}};
    CALL("second bad", preadv(fd, bad, 2, 0));
    struct iovec worse[] = {{(void *)8, 4}, {a, 3}};
    CALL("first bad", preadv(fd, worse, 2, 0));
    struct iovec negative[] = {{a, 1}, {b, (size_t)-1}};
    CALL("negative length", writev(fd, negative, 2));
    struct iovec out[] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    CALL("writev", writev(fd, out, 3));
    CALL("pwritev", pwritev(fd, out, 3, 2));
    CALL("pwritev negative", pwritev(fd, out, 3, -1));
    CALL("writev second bad", writev(fd, bad, 2));
    CALL("preadv2 here", preadv2(fd, two, 2, -1, 0));
    CALL("pwritev2 append", pwritev2(fd, out, 1, 0, RWF_APPEND));
    CALL("unknown flag", preadv2(fd, two, 2, 0, 0x4000));
    show_file("file", fd);
    close(fd);
    int reader = open("v", O_RDONLY), writer = open("v", O_WRONLY);
    CALL("write to a reader", writev(reader, out, 3));
    CALL("read from a writer", readv(writer, two, 2));
    CALL("zero read from a writer", read(writer, a, 0));
    CALL("zero write to a reader", write(reader, a, 0));
    CALL("bad buffer at the end", pread(reader, (void *)8, 10, 1000));
    CALL("bad buffer", pread(reader, (void *)8, 10, 0));
    CALL("bad buffer, nothing", pread(reader, (void *)8, 0, 0));
    close(reader), close(writer);
}

static void positions(void) {
    int fd = fresh("p", "0123456789");
    CALL("set", lseek(fd, 4, SEEK_SET));
    CALL("cur", lseek(fd, -2, SEEK_CUR));
    CALL("end", lseek(fd, 5, SEEK_END));
    CALL("before", lseek(fd, -11, SEEK_END));
    CALL("whence", lseek(fd, 0, 9));
    CALL("here", lseek(fd, 20, SEEK_SET));
    CALL("read beyond", read(fd, page, 4));
    CALL("write beyond", write(fd, "x", 1));
    show_file("gap", fd);
    CALL("pread negative", pread(fd, page, 1, -1));
    CALL("pwrite negative", pwrite(fd, page, 1, -1));
    CALL("data", lseek(fd, 0, SEEK_DATA));
    CALL("hole", lseek(fd, 0, SEEK_HOLE));
    CALL("data beyond", lseek(fd, 21, SEEK_DATA));
    CALL("hole beyond", lseek(fd, 100, SEEK_HOLE));
    int log = open("p", O_WRONLY | O_APPEND);
    CALL("append", write(log, "yy", 2));
    CALL("where", lseek(log, 0, SEEK_CUR));
    CALL("pwrite ignores its position", pwrite(log, "zz", 2, 0));
    CALL("where still", lseek(log, 0, SEEK_CUR));
    show_file("appended", fd);
    NUM("drop append", fcntl(log, F_SETFL, 0));
    CALL("pwrite now", pwrite(log, "AA", 2, 0));
    show_file("overwritten", fd);
    int again = dup(fd);
    CALL("shared position", lseek(again, 3, SEEK_SET));
    CALL("seen", lseek(fd, 0, SEEK_CUR));
    int pipes[2];
    pipe(pipes);
    CALL("seek in a pipe", lseek(pipes[0], 0, SEEK_CUR));
    CALL("pread of a pipe", pread(pipes[0], page, 1, 0));
    CALL("pwrite of a pipe", pwrite(pipes[1], page, 1, 0));
    int dir = open(".", O_RDONLY);
    CALL("read of a directory", read(dir, page, 1));
    CALL("write of a directory", write(dir, page, 1));
    CALL("pread of a directory", pread(dir, page, 1, 0));
    int path = open("p", O_PATH);
    CALL("read of a path", read(path, page, 1));
    CALL("write of a path", write(path, page, 1));
    CALL("seek of a path", lseek(path, 0, SEEK_SET));
    CALL("truncate of a path", ftruncate(path, 0));
    close(fd), close(log), close(again), close(pipes[0]), close(pipes[1]), close(dir), close(path);
}

static void sizes(void) {
    int fd = fresh("s", "0123456789");
    struct stat st;
    CALL("grow", ftruncate(fd, 200000));
    CALL("put at the end", pwrite(fd, "end", 3, 199997));
    CALL("cut", ftruncate(fd, 70000));
    CALL("grow again", ftruncate(fd, 200000));
    int zeros = 1;
    for (off_t at = 10; at < 200000; at += 65536) {
        ssize_t got = pread(fd, page, sizeof page, at);
        for (ssize_t i = 0; i < got; i++) zeros &= page[i] == 0;
    }
    TRUTH("all zeros", zeros);
    CALL("negative", ftruncate(fd, -1));
    CALL("by name", truncate("s", 5));
    show_file("short", fd);
    CALL("by a name that is none", truncate("none", 5));
    CALL("a directory", truncate(".", 5));
    int reader = open("s", O_RDONLY);
    CALL("of a reader", ftruncate(reader, 0));
    CALL("allocate", fallocate(fd, 0, 0, 100));
    fstat(fd, &st);
    NUM("size", st.st_size);
    CALL("keep size", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10000));
    fstat(fd, &st);
    NUM("size", st.st_size);
    CALL("punch", fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 1, 2));
    NUM("read", pread(fd, page, 5, 0));
    SHOW("punched", "%d %d %d %d", page[0], page[1], page[2], page[3]);
    CALL("zero length", fallocate(fd, 0, 0, 0));
    CALL("negative offset", fallocate(fd, 0, -1, 5));
    CALL("allocate a reader", fallocate(reader, 0, 0, 100));
    CALL("posix", posix_fallocate(fd, 0, 5000));
    CALL("advice", posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    CALL("bad advice", posix_fadvise(fd, 0, 0, 77));
    CALL("sync", fsync(fd));
    CALL("data sync", fdatasync(fd));
    CALL("range sync", sync_file_range(fd, 0, 0, 0));
    close(fd), close(reader);
}

static void copies(void) {
    int in = fresh("in", "the quick brown fox"), out = fresh("out", ""), pipes[2];
    off_t at = 4;
    CALL("sendfile", sendfile(out, in, &at, 5));
    NUM("offset", at);
    NUM("position", lseek(in, 0, SEEK_CUR));
    CALL("at its position", (lseek(in, 0, SEEK_SET), sendfile(out, in, NULL, 3)));
    NUM("position", lseek(in, 0, SEEK_CUR));
    CALL("beyond the end", (at = 100, sendfile(out, in, &at, 5)));
    CALL("negative offset", (at = -1, sendfile(out, in, &at, 5)));
    show_file("out", out);
    pipe(pipes);
    CALL("from a pipe", sendfile(out, pipes[0], NULL, 5));
    CALL("to a pipe", (at = 0, sendfile(pipes[1], in, &at, 100)));
    NUM("in the pipe", read(pipes[0], page, 100));
    loff_t from = 4, to = 1;
    CALL("copy_file_range", copy_file_range(in, &from, out, &to, 5, 0));
    SHOW("offsets", "%lld %lld", (long long)from, (long long)to);
    CALL("with flags", copy_file_range(in, NULL, out, NULL, 5, 1));
    CALL("overlapping", (from = 0, to = 2, copy_file_range(in, &from, in, &to, 5, 0)));
    CALL("from a pipe", copy_file_range(pipes[0], NULL, out, NULL, 5, 0));
    show_file("out", out);
    write(pipes[1], "piped", 5);
    int second[2];
    pipe(second);
    CALL("tee", tee(pipes[0], second[1], 3, 0));
    NUM("teed", read(second[0], page, 10));
    CALL("splice to a file", (to = 2, splice(pipes[0], NULL, out, &to, 100, 0)));
    NUM("offset", to);
    CALL("splice from a file", (from = 0, splice(in, &from, pipes[1], NULL, 9, 0)));
    CALL("splice between pipes", splice(pipes[0], NULL, second[1], NULL, 4, 0));
    NUM("left", read(pipes[0], page, 100));
    SHOW("text", "%.5s", page);
    CALL("an empty pipe", splice(pipes[0], NULL, out, NULL, 10, SPLICE_F_NONBLOCK));
    CALL("two files", splice(in, NULL, out, NULL, 10, 0));
    CALL("offset of a pipe", splice(pipes[0], &from, out, NULL, 10, 0));
    CALL("a pipe to itself", splice(pipes[0], NULL, pipes[1], NULL, 10, 0));
    struct iovec piece = {"gift", 4};
    CALL("vmsplice", vmsplice(second[1], &piece, 1, 0));
    NUM("got", read(second[0], page, 100));
    close(pipes[1]);
    CALL("a closed pipe", splice(pipes[0], NULL, out, NULL, 10, 0));
    show_file("out", out);
    close(in), close(out), close(pipes[0]), close(second[0]), close(second[1]);
}

static void large(void) {
    int fd = open("big", O_RDWR | O_CREAT | O_TRUNC, 0644);
    for (unsigned i = 0; i < sizeof page; i++) page[i] = i * 7;
    uint64_t sum = 0;
    for (int i = 0; i < 40; i++) NUM("part", write(fd, page + i, sizeof page - 40) == sizeof page - 40);
    lseek(fd, 0, SEEK_SET);
    for (ssize_t got; (got = read(fd, page, 4099)) > 0;)
        for (ssize_t i = 0; i < got; i++) sum = sum * 31 + (unsigned char)page[i];
    SHOW("sum", "%llx", (unsigned long long)sum);
    char *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 65536);
    uint64_t mapped = 0;
    for (int i = 0; i < 1 << 20; i++) mapped = mapped * 31 + (unsigned char)map[i];
    SHOW("mapped", "%llx", (unsigned long long)mapped);
    memcpy(map + 5000, "through the map", 15);
    NUM("read back", pread(fd, page, 15, 65536 + 5000));
    SHOW("text", "%.15s", page);
    NUM("write", pwrite(fd, "through the file", 16, 65536 + 9000));
    SHOW("seen", "%.16s", map + 9000);
    char *copy = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 65536);
    memcpy(copy + 5000, "private", 7);
    SHOW("shared", "%.7s", map + 5000);
    TRY("sync", msync(map, 1 << 20, MS_SYNC));
    NUM("unmap", munmap(map, 1 << 20));
    close(fd);
    unlink("big");
    SHOW("after unlink", "%.7s", copy + 5000);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    vectors();
    positions();
    sizes();
    copies();
    large();
    return 0;
}
