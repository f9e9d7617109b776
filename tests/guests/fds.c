/* Descriptors: numbers, duplicates, shared offsets, flags, vectors, limits. */
#include "guest.h"
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/uio.h>

int main(void) {
    char buffer[100];
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0640);
    NUM("lowest free", fd);
    CALL("dup", dup(fd));
    CALL("dup2", dup2(fd, 100));
    CALL("dup2 of itself", dup2(fd, fd));
    CALL("dup2 of a closed one", dup2(77, 77));
    CALL("dup3 of itself", dup3(fd, fd, 0));
    CALL("dup3", dup3(fd, 101, O_CLOEXEC));
    NUM("its flag", fcntl(101, F_GETFD));
    CALL("dup3 bad flag", dup3(fd, 102, O_APPEND));
    CALL("F_DUPFD", fcntl(fd, F_DUPFD, 50));
    CALL("F_DUPFD_CLOEXEC", fcntl(fd, F_DUPFD_CLOEXEC, 50));
    CALL("F_DUPFD negative", fcntl(fd, F_DUPFD, -1));
    CALL("dup of nothing", dup(-1));
    CALL("dup2 too far", dup2(fd, 1 << 30));
    CALL("close", close(100));
    CALL("close again", close(100));
    CALL("lowest free again", dup(fd));
    CALL("close", close(5));
    CALL("F_SETFD", fcntl(fd, F_SETFD, FD_CLOEXEC));
    NUM("F_GETFD", fcntl(fd, F_GETFD));
    NUM("its duplicate", fcntl(4, F_GETFD));
    SHOW("F_GETFL", "%o", fcntl(fd, F_GETFL));
    CALL("F_SETFL", fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_RDONLY));
    SHOW("F_GETFL of the duplicate", "%o", fcntl(4, F_GETFL));
    CALL("fcntl of nonsense", fcntl(fd, 9999));

    CALL("write", write(fd, "0123456789", 10));
    NUM("offset is shared", lseek(4, 0, SEEK_CUR));
    CALL("seek", lseek(fd, 2, SEEK_SET));
    CALL("append goes to the end", write(fd, "ab", 2));
    NUM("offset after it", lseek(fd, 0, SEEK_CUR));
    fcntl(fd, F_SETFL, 0);
    CALL("seek from the end", lseek(fd, -4, SEEK_END));
    NUM("read", read(fd, buffer, 100));
    SHOW("data", "%.4s", buffer);
    CALL("at the end", read(fd, buffer, 100));
    CALL("seek before the start", lseek(fd, -1, SEEK_SET));
    CALL("seek nonsense", lseek(fd, 0, 99));
    CALL("seek far", lseek(fd, 1ll << 40, SEEK_SET));
    CALL("read there", read(fd, buffer, 1));
    CALL("pread", pread(fd, buffer, 3, 5));
    SHOW("data", "%.3s", buffer);
    CALL("pread negative", pread(fd, buffer, 3, -1));
    CALL("pwrite", pwrite(fd, "ZZ", 2, 20));
    struct stat st;
    fstat(fd, &st);
    NUM("size with a hole", st.st_size);
    CALL("read the hole", pread(fd, buffer, 10, 11));
    SHOW("hole", "%d %d %d", buffer[0], buffer[1], buffer[8]);
    struct iovec iov[3] = {{"one", 3}, {"two", 3}, {"three", 5}};
    lseek(fd, 0, SEEK_SET);
    CALL("writev", writev(fd, iov, 3));
    CALL("writev of none", writev(fd, iov, 0));
    CALL("writev of too many", writev(fd, iov, 2000));
    char a[4], b[10];
    struct iovec in[2] = {{a, 4}, {b, 10}};
    CALL("preadv", preadv(fd, in, 2, 1));
    SHOW("data", "%.4s %.6s", a, b);
    CALL("pwritev", pwritev(fd, iov, 2, 30));

    pid_t pid = fork();
    if (pid == 0) {
        lseek(fd, 7, SEEK_SET);
        close(4);
        _exit(0);
    }
    reap("child", pid);
    NUM("offset is shared with a child", lseek(fd, 0, SEEK_CUR));
    TRUTH("the table is not", fcntl(4, F_GETFD) != -1);

    CALL("read of write-only", read(open("file", O_WRONLY), buffer, 1));
    CALL("write of read-only", write(open("file", O_RDONLY), buffer, 1));
    CALL("read of a directory", read(open(".", O_RDONLY), buffer, 1));
    CALL("open a directory to write", open(".", O_WRONLY));
    CALL("ioctl of a file", ioctl(fd, TIOCGWINSZ, buffer));
    CALL("FIONBIO", ioctl(fd, FIONBIO, &(int){1}));
    CALL("O_PATH read", read(open("file", O_PATH), buffer, 1));
    CALL("fsync", fsync(fd));
    CALL("fdatasync", fdatasync(fd));
    CALL("ftruncate", ftruncate(fd, 5));
    fstat(fd, &st);
    NUM("size", st.st_size);
    CALL("ftruncate negative", ftruncate(fd, -1));
    CALL("ftruncate read-only", ftruncate(open("file", O_RDONLY), 1));

    struct rlimit limit = {20, 4096};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 20;
    CALL("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
    int last = -1, next;
    while ((next = dup(fd)) != -1) last = next;
    SHOW("EMFILE", "%s after %d", strerrorname_np(errno), last);
    CALL("open too", open("file", O_RDONLY));
    CALL("pipe too", pipe((int[2]){0, 0}));
    CALL("F_DUPFD beyond the limit", fcntl(fd, F_DUPFD, 20));
    TRUTH("101 is still there", fcntl(101, F_GETFD) != -1);
    CALL("close_range", close_range(6, 200, 0));
    CALL("lowest free", dup(fd));
    close(1);
    CALL("standard output closed", write(1, "x", 1));
    dup2(2, 1);
    return 0;
}
