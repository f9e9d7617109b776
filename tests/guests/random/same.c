/* Random calls whose results do not depend on the machine: `same SEED COUNT [GROUP...]` prints a line for each call.
 * The host and the sandbox must print the same. It works in its empty working directory, with descriptors 3 to 15, in
 * one fixed region of memory, and never blocks: whatever could is opened with O_NONBLOCK. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static uint64_t state;
static long line;

static uint32_t rnd(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (state * 0x2545F4914F6CDD1Dull) >> 32;
}

static int pick(int n) { return rnd() % (unsigned)n; }
static int chance(int n) { return pick(n) == 0; }

#define ONE_OF(...)                                      \
    ({                                                   \
        __typeof__(({ __VA_ARGS__; })) all_[] = {__VA_ARGS__}; \
        all_[pick(sizeof all_ / sizeof *all_)];          \
    })

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    va_list args;
    printf("%ld ", line++);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* The call's text, then its value or its error. */
#define DO(call, format, ...)                                                            \
    ({                                                                                   \
        errno = 0;                                                                       \
        long result_ = (long)(call);                                                     \
        if (result_ == -1) say(format " = %s" __VA_OPT__(, ) __VA_ARGS__, strerrorname_np(errno)); \
        else say(format " = %ld" __VA_OPT__(, ) __VA_ARGS__, result_);                   \
        result_;                                                                         \
    })

static int some_fd(void) { return chance(25) ? ONE_OF(-1, 99) : 3 + pick(13); }

static const char *some_name(void) {
    return ONE_OF("a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/f", "l", "d/l", "m", "m/a", "./a", "d/../b",
                  "d/", "a/", "l/", "missing/a", "d//b", ".", "..", "", "d/.", "d/e/..", "p", "s");
}

static int some_dir(void) { return chance(3) ? some_fd() : AT_FDCWD; }

static size_t some_size(void) { return ONE_OF(0, 1, 7, 100, 511, 4095, 4096, 4097, 10000); }

static off_t some_offset(void) { return ONE_OF(0, 0, 1, 100, 4095, 4096, 5000, 8192, 20000, -1, 1l << 32); }

static char buffer[65536];
static char given[65536] = "given";

static void fill(size_t n) {
    char first = 'A' + pick(50);
    for (size_t i = 0; i < n; i++) buffer[i] = first + i % 23;
}

static uint32_t sum(const void *data, size_t n) {
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < n; i++) value = (value ^ ((const uint8_t *)data)[i]) * 16777619u;
    return value;
}

/* Keep a new descriptor within 3 to 15. */
static void keep(long fd) {
    if (fd > 15) close(fd);
}

static void show_stat(const char *what, const struct stat *st) {
    int dir = S_ISDIR(st->st_mode);
    say("%s: mode %o links %ld uid %d gid %d size %ld", what, st->st_mode, dir ? 0l : (long)st->st_nlink, st->st_uid,
        st->st_gid, dir ? 0l : (long)st->st_size);
}

/* ---- names ---- */

static void op_open(void) {
    const char *name = some_name();
    int dir = some_dir();
    int flags = ONE_OF(O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, 3) | O_NONBLOCK;
    for (int i = 0; i < 2; i++)
        flags |= ONE_OF(0, O_CREAT, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC, O_PATH);
    int mode = ONE_OF(0644, 0600, 0755, 0, 04755, 0444);
    keep(DO(openat(dir, name, flags, mode), "openat(%d, '%s', %x, %o)", dir, name, flags, mode));
}

static void op_close(void) {
    int fd = some_fd();
    DO(close(fd), "close(%d)", fd);
}

static void op_stat(void) {
    const char *name = some_name();
    int dir = some_dir(), flags = ONE_OF(0, 0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 0x10000000);
    struct stat st;
    if (!DO(fstatat(dir, name, &st, flags), "fstatat(%d, '%s', %x)", dir, name, flags)) show_stat("it", &st);
}

static void op_fstat(void) {
    int fd = some_fd();
    struct stat st;
    if (!DO(fstat(fd, &st), "fstat(%d)", fd)) show_stat("it", &st);
}

static void op_statx(void) {
    const char *name = some_name();
    int dir = some_dir(), flags = ONE_OF(0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_STATX_DONT_SYNC, 0x20000);
    struct statx st;
    unsigned mask = ONE_OF(STATX_BASIC_STATS, STATX_TYPE, 0u, 0x80000000u);
    if (!DO(statx(dir, name, flags, mask, &st), "statx(%d, '%s', %x, %x)", dir, name, flags, mask))
        say("it: mode %o uid %d", st.stx_mode, st.stx_uid);
}

static void op_mkdir(void) {
    const char *name = some_name();
    int dir = some_dir(), mode = ONE_OF(0755, 0700, 01777, 02755, 0777);
    DO(mkdirat(dir, name, mode), "mkdirat(%d, '%s', %o)", dir, name, mode);
}

static void op_unlink(void) {
    const char *name = some_name();
    int dir = some_dir(), flags = ONE_OF(0, 0, AT_REMOVEDIR, AT_REMOVEDIR, 1);
    if (flags == AT_REMOVEDIR && chance(2)) dir = AT_FDCWD;
    DO(unlinkat(dir, name, flags), "unlinkat(%d, '%s', %x)", dir, name, flags);
}

static void op_rename(void) {
    const char *from = some_name(), *to = some_name();
    int a = some_dir(), b = some_dir(), flags = ONE_OF(0, 0, 0, 1, 2, 3, 8);
    DO(renameat2(a, from, b, to, flags), "renameat2(%d, '%s', %d, '%s', %x)", a, from, b, to, flags);
}

static void op_link(void) {
    const char *from = some_name(), *to = some_name();
    int a = some_dir(), b = some_dir(), flags = ONE_OF(0, 0, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH, 1);
    DO(linkat(a, from, b, to, flags), "linkat(%d, '%s', %d, '%s', %x)", a, from, b, to, flags);
}

static void op_symlink(void) {
    const char *target = ONE_OF("a", "d", "d/a", "../b", "l", "missing", "", "..", "./b/", "b"), *name = some_name();
    int dir = some_dir();
    DO(symlinkat(target, dir, name), "symlinkat('%s', %d, '%s')", target, dir, name);
}

static void op_readlink(void) {
    const char *name = some_name();
    int dir = some_dir(), size = ONE_OF(100, 100, 2, 0);
    memset(buffer, 0, 101);
    if (DO(readlinkat(dir, name, buffer, size), "readlinkat(%d, '%s', %d)", dir, name, size) > 0) say("to '%s'", buffer);
}

static void op_mknod(void) {
    const char *name = some_name();
    int dir = some_dir(), mode = ONE_OF(S_IFIFO, S_IFREG, 0, S_IFSOCK, S_IFDIR, S_IFLNK) | 0644;
    DO(mknodat(dir, name, mode, 0), "mknodat(%d, '%s', %o)", dir, name, mode);
}

static void op_chmod(void) {
    const char *name = some_name();
    int dir = some_dir(), mode = ONE_OF(0644, 0, 07777, 0755, 0400, 02644);
    DO(fchmodat(dir, name, mode, 0), "fchmodat(%d, '%s', %o)", dir, name, mode);
}

static void op_fchmod(void) {
    int fd = some_fd(), mode = ONE_OF(0644, 0600, 06755);
    DO(fchmod(fd, mode), "fchmod(%d, %o)", fd, mode);
}

static void op_chown(void) {
    const char *name = some_name();
    int dir = some_dir(), uid = ONE_OF(0, -1, 7), gid = ONE_OF(0, -1, 9), flags = ONE_OF(0, AT_SYMLINK_NOFOLLOW);
    DO(fchownat(dir, name, uid, gid, flags), "fchownat(%d, '%s', %d, %d, %x)", dir, name, uid, gid, flags);
}

static void op_access(void) {
    const char *name = some_name();
    int dir = some_dir(), mode = ONE_OF(0, 4, 2, 1, 7, 8), flags = ONE_OF(0, AT_EACCESS, AT_SYMLINK_NOFOLLOW);
    DO(faccessat(dir, name, mode, flags), "faccessat(%d, '%s', %d, %x)", dir, name, mode, flags);
}

static void op_truncate(void) {
    const char *name = some_name();
    off_t size = some_offset();
    DO(truncate(name, size), "truncate('%s', %ld)", name, size);
}

static void op_utimens(void) {
    const char *name = some_name();
    struct timespec times[2] = {{ONE_OF(0, 5, -7), ONE_OF(0, 999999999, 1000000000)}, {12345, ONE_OF(0, UTIME_OMIT)}};
    int dir = some_dir(), flags = ONE_OF(0, AT_SYMLINK_NOFOLLOW, 1);
    struct stat st;
    if (!DO(utimensat(dir, name, times, flags), "utimensat(%d, '%s', %ld.%ld, %ld, %x)", dir, name, times[0].tv_sec,
            times[0].tv_nsec, times[1].tv_nsec, flags)
        && !fstatat(dir, name, &st, flags))
        say("atime %ld.%09ld", st.st_atim.tv_sec, st.st_atim.tv_nsec);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void op_list(void) {
    const char *name = ONE_OF(".", "d", "d/e", "m", "a", "l");
    DIR *dir = opendir(name);
    DO(dir ? 0 : -1, "opendir('%s')", name);
    if (!dir) return;
    char *names[100];
    int n = 0;
    for (struct dirent *entry; n < 100 && (entry = readdir(dir));)
        asprintf(&names[n++], "%s(%d)", entry->d_name, entry->d_type);
    closedir(dir);
    qsort(names, n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) say("%s", names[i]), free(names[i]);
}

static char top[4096];

static void op_chdir(void) {
    const char *name = ONE_OF("d", "d/e", ".", "m", "a", "missing", "l");
    if (DO(chdir(name), "chdir('%s')", name)) return;
    char here[4096];
    char *got = getcwd(here, sizeof here);
    size_t n = strlen(top);
    say("at '%s'", !got ? "nowhere" : !strncmp(here, top, n) ? here + n : "elsewhere");
    if (chance(2)) op_open();
    if (chance(2)) op_stat();
    int back = chdir(top);
    if (back) say("no way back");
}

static void op_umask(void) {
    int mask = ONE_OF(022, 0, 077, 027);
    DO(umask(mask), "umask(%o)", mask);
}

static void op_xattr(void) {
    const char *name = some_name(), *key = ONE_OF("user.a", "user.b", "user.", "nothing", "system.x", "");
    int size = ONE_OF(0, 1, 50, 300), flags = ONE_OF(0, 0, XATTR_CREATE, XATTR_REPLACE, 4);
    fill(300);
    switch (pick(4)) {
    case 0: DO(setxattr(name, key, buffer, size, flags), "setxattr('%s', '%s', %d, %d)", name, key, size, flags); break;
    case 1: {
        long n = DO(getxattr(name, key, buffer, size), "getxattr('%s', '%s', %d)", name, key, size);
        if (n > 0 && size) say("value %x", sum(buffer, n));
        break;
    }
    case 2: DO(removexattr(name, key), "removexattr('%s', '%s')", name, key); break;
    default: DO(lgetxattr(name, key, buffer, size), "lgetxattr('%s', '%s', %d)", name, key, size);
    }
}

/* ---- descriptors ---- */

static void op_read(void) {
    int fd = some_fd();
    size_t n = some_size();
    memset(buffer, 0, n);
    long got = DO(read(fd, buffer, n), "read(%d, %zu)", fd, n);
    if (got > 0) say("data %x", sum(buffer, got));
}

static void op_write(void) {
    int fd = some_fd();
    size_t n = some_size();
    fill(n);
    DO(write(fd, buffer, n), "write(%d, %zu)", fd, n);
}

static void op_pread(void) {
    int fd = some_fd();
    size_t n = some_size();
    off_t at = some_offset();
    memset(buffer, 0, n);
    long got = DO(pread(fd, buffer, n, at), "pread(%d, %zu, %ld)", fd, n, at);
    if (got > 0) say("data %x", sum(buffer, got));
}

static void op_pwrite(void) {
    int fd = some_fd();
    size_t n = some_size();
    off_t at = some_offset();
    fill(n);
    DO(pwrite(fd, buffer, n, at), "pwrite(%d, %zu, %ld)", fd, n, at);
}

static void op_vectors(void) {
    int fd = some_fd(), count = ONE_OF(0, 1, 3, 5), flags = ONE_OF(0, 0, RWF_HIPRI, RWF_APPEND, 0x1000);
    struct iovec iov[5];
    for (int i = 0; i < 5; i++) iov[i] = (struct iovec){buffer + 5000 * i, some_size() % 5000};
    off_t at = ONE_OF(-1, 0, 4096, 100);
    if (chance(10)) iov[pick(5)].iov_len = -1;
    if (chance(10)) iov[pick(5)].iov_base = (void *)8;
    if (chance(2)) {
        fill(25000);
        DO(pwritev2(fd, iov, count, at, flags), "pwritev2(%d, %d, %ld, %x)", fd, count, at,
           flags);
    } else {
        memset(buffer, 0, 25000);
        DO(preadv2(fd, iov, count, at, flags), "preadv2(%d, %d, %ld, %x)", fd, count, at, flags);
        say("data %x", sum(buffer, 25000));
    }
}

static void op_seek(void) {
    int fd = some_fd(), whence = ONE_OF(SEEK_SET, SEEK_CUR, SEEK_END, 9);
    off_t at = some_offset();
    struct stat st;
    if (whence == SEEK_END && !fstat(fd, &st) && S_ISDIR(st.st_mode)) return; // each file system has its own
    DO(lseek(fd, at, whence), "lseek(%d, %ld, %d)", fd, at, whence);
}

static void op_ftruncate(void) {
    int fd = some_fd();
    off_t size = some_offset();
    DO(ftruncate(fd, size), "ftruncate(%d, %ld)", fd, size);
}

static void op_fallocate(void) {
    int fd = some_fd(), mode = ONE_OF(0, 0, 1, 3, 2);
    off_t at = ONE_OF(0, 4096, 100, -1), n = ONE_OF(0, 1, 5000, 8192);
    DO(fallocate(fd, mode, at, n), "fallocate(%d, %d, %ld, %ld)", fd, mode, at, n);
}

static void op_dup(void) {
    int a = some_fd(), b = chance(20) ? -1 : 3 + pick(13), flags = ONE_OF(0, O_CLOEXEC, 1);
    switch (pick(3)) {
    case 0: keep(DO(dup(a), "dup(%d)", a)); break;
    case 1: DO(dup2(a, b), "dup2(%d, %d)", a, b); break;
    default: DO(dup3(a, b, flags), "dup3(%d, %d, %x)", a, b, flags);
    }
}

static void op_fcntl(void) {
    int fd = some_fd(), command = ONE_OF(F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC, F_GETPIPE_SZ,
                                         F_SETPIPE_SZ, F_GET_SEALS, F_GETOWN, F_GETSIG, F_GETLEASE, 7777);
    long arg = ONE_OF(0, 1, 3, 4096, 70000);
    if (command == F_SETFL) arg = O_NONBLOCK | ONE_OF(0, O_APPEND);
    if (command == F_GETPIPE_SZ && chance(2)) command = F_ADD_SEALS, arg = ONE_OF(1, 2, 4, 8, 16, 32);
    long got = DO(fcntl(fd, command, arg), "fcntl(%d, %d, %ld)", fd, command, arg);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) keep(got);
}

static void op_lock(void) {
    int fd = some_fd(), command = ONE_OF(F_SETLK, F_SETLK, F_GETLK, F_OFD_SETLK, F_OFD_GETLK);
    struct flock what = {ONE_OF(F_RDLCK, F_WRLCK, F_UNLCK, 9), ONE_OF(0, 1, 2), some_offset() % 100, pick(20) - 5};
    struct stat st;
    if (what.l_whence == SEEK_END && !fstat(fd, &st) && S_ISDIR(st.st_mode)) return; // how long a directory is
    struct flock asked = what;
    long got = DO(fcntl(fd, command, &what), "lock(%d, %d, %d %d %ld %ld)", fd, command, asked.l_type, asked.l_whence,
                  asked.l_start, asked.l_len);
    if (!got && (command == F_GETLK || command == F_OFD_GETLK))
        say("type %d whence %d from %ld for %ld", what.l_type, what.l_whence, what.l_start, what.l_len);
}

static void op_flock(void) {
    int fd = some_fd(), what = ONE_OF(LOCK_SH, LOCK_EX, LOCK_UN, 0) | LOCK_NB;
    DO(flock(fd, what), "flock(%d, %d)", fd, what);
}

static void op_pipe(void) {
    int fds[2] = {-1, -1}, flags = O_NONBLOCK | ONE_OF(0, O_CLOEXEC, O_DIRECT, 1);
    if (!DO(pipe2(fds, flags), "pipe2(%x)", flags)) {
        say("%d %d", fds[0], fds[1]);
        keep(fds[0]), keep(fds[1]);
    }
}

static void op_move(void) {
    int in = some_fd(), out = some_fd(), flags = SPLICE_F_NONBLOCK;
    off_t from = some_offset(), to = some_offset(), *a = chance(2) ? &from : NULL, *b = chance(2) ? &to : NULL;
    size_t n = some_size();
    long got = 0;
    switch (pick(5)) {
    case 0:
        got = DO(splice(in, a, out, b, n, flags), "splice(%d, %ld, %d, %ld, %zu)", in, a ? from : -2, out, b ? to : -2, n);
        break;
    case 1: got = DO(tee(in, out, n, flags), "tee(%d, %d, %zu)", in, out, n); break;
    case 2: got = DO(sendfile(out, in, a, n), "sendfile(%d, %d, %ld, %zu)", out, in, a ? from : -2, n); break;
    case 3:
        got = DO(copy_file_range(in, a, out, b, n, 0), "copy_file_range(%d, %ld, %d, %ld, %zu)", in, a ? from : -2, out,
                 b ? to : -2, n);
        break;
    default: {
        // never changed: what is in the pipe are these very pages
        struct iovec iov = {(fcntl(out, F_GETFL) & O_ACCMODE) == O_RDONLY ? buffer : given, n};
        got = DO(vmsplice(out, &iov, 1, flags), "vmsplice(%d, %zu)", out, n);
    }
    }
    if (got >= 0 && (a || b)) say("offsets %ld %ld", from, to);
}

static void op_poll(void) {
    struct pollfd fds[13];
    short events = ONE_OF(POLLIN, POLLOUT, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0);
    for (int i = 0; i < 13; i++) fds[i] = (struct pollfd){3 + i, events, 0};
    DO(poll(fds, 13, 0), "poll(%x)", events);
    for (int i = 0; i < 13; i++) printf(" %x", fds[i].revents);
    printf("\n");
}

static void op_select(void) {
    fd_set sets[3];
    for (int s = 0; s < 3; s++) {
        FD_ZERO(&sets[s]);
        for (int fd = 3; fd < 16; fd++)
            if (fcntl(fd, F_GETFD) >= 0) FD_SET(fd, &sets[s]);
    }
    struct timespec none = {0, 0};
    DO(pselect(16, &sets[0], &sets[1], &sets[2], &none, NULL), "pselect()");
    for (int s = 0; s < 3; s++)
        for (int fd = 3; fd < 16; fd++) putchar(FD_ISSET(fd, &sets[s]) ? '1' : '0');
    printf("\n");
}

static void op_eventfd(void) {
    int flags = EFD_NONBLOCK | ONE_OF(0, EFD_SEMAPHORE, 7), first = ONE_OF(0, 3);
    keep(DO(eventfd(first, flags), "eventfd(%d, %x)", first, flags));
}

static void op_count(void) {
    int fd = some_fd();
    uint64_t value = ONE_OF(0ull, 1ull, 5ull, ~0ull, ~0ull - 1);
    if (chance(2)) {
        value = 0;
        DO(read(fd, &value, 8), "read8(%d)", fd);
        say("%d", value != 0);
    } else DO(write(fd, &value, 8), "write8(%d, %lx)", fd, (long)value);
}

static void op_timerfd(void) {
    int fd = some_fd();
    struct itimerspec when = {{ONE_OF(0, 1000), 0}, {ONE_OF(0, 100000), ONE_OF(0, 999999999, 1000000000)}}, old;
    switch (pick(3)) {
    case 0: {
        int clock = ONE_OF(CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, 99);
        keep(DO(timerfd_create(clock, TFD_NONBLOCK), "timerfd_create(%d)", clock));
        break;
    }
    case 1:
        if (!DO(timerfd_settime(fd, 0, &when, &old), "timerfd_settime(%d, %ld.%ld)", fd, when.it_value.tv_sec,
                when.it_value.tv_nsec))
            say("before %d", old.it_value.tv_sec != 0);
        break;
    default:
        if (!DO(timerfd_gettime(fd, &when), "timerfd_gettime(%d)", fd))
            say("left %ld every %ld", when.it_value.tv_sec / 1000, when.it_interval.tv_sec);
    }
}

static int by_data(const void *a, const void *b) {
    return (int)((const struct epoll_event *)a)->data.u32 - (int)((const struct epoll_event *)b)->data.u32;
}

static void op_epoll(void) {
    int ep = some_fd(), fd = some_fd(), how = ONE_OF(EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, 9);
    struct epoll_event event = {ONE_OF(EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 0u, EPOLLIN | EPOLLET,
                                       EPOLLOUT | EPOLLONESHOT, EPOLLIN | EPOLLEXCLUSIVE),
                                {.u64 = fd}};
    struct epoll_event got[20];
    switch (pick(4)) {
    case 0: keep(DO(epoll_create1(0), "epoll_create1()")); break;
    case 1:
        DO(epoll_ctl(ep, how, fd, &event), "epoll_ctl(%d, %d, %d, %x)", ep, how, fd, event.events);
        break;
    default: {
        int most = ONE_OF(20, 20, 20, 0);
        long n = DO(epoll_wait(ep, got, most, 0), "epoll_wait(%d, %d)", ep, most);
        if (n > 0) qsort(got, n, sizeof *got, by_data);
        for (long i = 0; i < n; i++) say("event %x of %d", got[i].events, (int)got[i].data.u32);
    }
    }
}

static void op_inotify(void) {
    int fd = some_fd();
    const char *name = some_name();
    uint32_t mask = ONE_OF(IN_ALL_EVENTS, IN_ALL_EVENTS & ~IN_ACCESS & ~IN_OPEN, IN_CREATE | IN_DELETE, IN_MODIFY,
                           IN_MOVE | IN_ONLYDIR, IN_ALL_EVENTS | IN_ONESHOT, 0u, IN_ATTRIB | IN_MASK_ADD);
    switch (pick(3)) {
    case 0: keep(DO(inotify_init1(IN_NONBLOCK), "inotify_init1()")); break;
    case 1: DO(inotify_add_watch(fd, name, mask), "inotify_add_watch(%d, '%s', %x)", fd, name, mask); break;
    default: {
        int wd = 1 + pick(4);
        DO(inotify_rm_watch(fd, wd), "inotify_rm_watch(%d, %d)", fd, wd);
    }
    }
}

/* Read what an inotify descriptor has, if it is one. */
static void op_events(void) {
    int fd = 3 + pick(13), left = 0;
    char link[100] = {0}, path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (readlink(path, link, 99) < 0 || !strstr(link, "inotify")) return;
    if (!ioctl(fd, FIONREAD, &left)) say("FIONREAD %d", left);
    long n = DO(read(fd, buffer, sizeof buffer), "read events(%d)", fd);
    for (long at = 0; at < n;) {
        struct inotify_event *event = (void *)(buffer + at);
        say("event %d %x %d '%s'", event->wd, event->mask, event->cookie != 0, event->len ? event->name : "");
        at += sizeof *event + event->len;
    }
}

static void op_memfd(void) {
    int flags = ONE_OF(0, MFD_ALLOW_SEALING, MFD_CLOEXEC, 0x1000);
    keep(DO(memfd_create("x", flags), "memfd_create(%x)", flags));
}

static void op_ioctl(void) {
    int fd = some_fd(), value = 1;
    unsigned long command = ONE_OF(FIONREAD, FIONREAD, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ, 0x1234ul);
    struct termios2_ { char bytes[100]; } settings;
    memset(&settings, 0, sizeof settings);
    void *arg = command == FIONREAD ? (void *)&value : &settings;
    if (!DO(ioctl(fd, command, arg), "ioctl(%d, %lx)", fd, command) && command == FIONREAD) say("%d", value);
}

/* ---- sockets ---- */

static void address(struct sockaddr_un *name, socklen_t *size) {
    memset(name, 0, sizeof *name);
    name->sun_family = chance(20) ? AF_INET : AF_UNIX;
    strcpy(name->sun_path, ONE_OF("s", "d/s", "a", "missing/s", "l"));
    *size = chance(20) ? ONE_OF(0, 1, 2) : sizeof *name;
}

static void op_socket(void) {
    int fds[2] = {-1, -1}, kind = ONE_OF(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW, 9) | SOCK_NONBLOCK;
    int family = chance(15) ? ONE_OF(0, 99) : AF_UNIX, protocol = chance(15) ? ONE_OF(1, 7) : 0;
    if (chance(3)) {
        keep(DO(socket(family, kind, protocol), "socket(%d, %x, %d)", family, kind, protocol));
    } else if (!DO(socketpair(family, kind, protocol, fds), "socketpair(%d, %x, %d)", family, kind, protocol)) {
        say("%d %d", fds[0], fds[1]);
        keep(fds[0]), keep(fds[1]);
    }
}

static void op_name(void) {
    int fd = some_fd();
    struct sockaddr_un name;
    socklen_t size;
    address(&name, &size);
    switch (pick(6)) {
    case 0: DO(bind(fd, (void *)&name, size), "bind(%d, %d '%s', %d)", fd, name.sun_family, name.sun_path, size); break;
    case 1: case 2:
        DO(connect(fd, (void *)&name, size), "connect(%d, %d '%s', %d)", fd, name.sun_family, name.sun_path, size);
        break;
    case 3: {
        int backlog = ONE_OF(0, 1, 5, -1);
        DO(listen(fd, backlog), "listen(%d, %d)", fd, backlog);
        break;
    }
    case 4: {
        size = sizeof name;
        long got = DO(accept4(fd, (void *)&name, &size, SOCK_NONBLOCK), "accept4(%d)", fd);
        if (got >= 0) say("from %d bytes", size);
        keep(got);
        break;
    }
    default: {
        size = ONE_OF(110, 2, 0);
        memset(&name, 0, sizeof name);
        int peer = pick(2);
        if (!DO(peer ? getpeername(fd, (void *)&name, &size) : getsockname(fd, (void *)&name, &size), "get%sname(%d)",
                peer ? "peer" : "sock", fd))
            say("size %d family %d '%s'", size, name.sun_family, name.sun_path);
    }
    }
}

static void op_sockopt(void) {
    int fd = some_fd(), option = ONE_OF(SO_TYPE, SO_ERROR, SO_ACCEPTCONN, SO_PASSCRED, SO_DOMAIN, SO_PROTOCOL,
                                        SO_REUSEADDR, SO_KEEPALIVE, SO_RCVLOWAT, SO_OOBINLINE, SO_BROADCAST, 999);
    int value = pick(3), level = chance(15) ? 77 : SOL_SOCKET;
    socklen_t size = ONE_OF(4, 4, 4, 8, 2, 0);
    if (chance(2)) DO(setsockopt(fd, level, option, &value, size), "setsockopt(%d, %d, %d, %d)", fd, level, option, size);
    else {
        value = 0;
        if (!DO(getsockopt(fd, level, option, &value, &size), "getsockopt(%d, %d, %d)", fd, level, option))
            say("value %d size %d", value, size);
    }
}

static void op_shutdown(void) {
    int fd = some_fd(), how = ONE_OF(SHUT_RD, SHUT_WR, SHUT_RDWR, 9);
    DO(shutdown(fd, how), "shutdown(%d, %d)", fd, how);
}

static void op_send(void) {
    int fd = some_fd(), flags = MSG_NOSIGNAL | MSG_DONTWAIT | ONE_OF(0, 0, MSG_EOR, MSG_MORE);
    size_t n = ONE_OF(0, 1, 10, 500, 1500);
    struct sockaddr_un name;
    socklen_t size;
    address(&name, &size);
    fill(n);
    if (chance(2)) {
        DO(send(fd, buffer, n, flags), "send(%d, %zu, %x)", fd, n, flags);
    } else if (chance(2)) {
        DO(sendto(fd, buffer, n, flags, (void *)&name, size), "sendto(%d, %zu, %x, '%s', %d)", fd, n, flags,
           name.sun_path, size);
    } else {
        char cmsgs[CMSG_SPACE(sizeof(int[2]))] = {0};
        struct iovec iov[2] = {{buffer, n}, {buffer, 3}};
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = 1 + pick(2)};
        int with = chance(2) ? some_fd() : -2;
        struct stat st;
        if (!fstat(with, &st) && S_ISSOCK(st.st_mode)) with = -2; // when cycles are collected differs
        if (with != -2) {
            message.msg_control = cmsgs, message.msg_controllen = sizeof cmsgs;
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            *header = (struct cmsghdr){CMSG_LEN(sizeof(int[2])), SOL_SOCKET, SCM_RIGHTS};
            int both[2] = {with, with};
            memcpy(CMSG_DATA(header), both, sizeof both);
        }
        DO(sendmsg(fd, &message, flags), "sendmsg(%d, %zu, %x, with %d)", fd, n, flags, with);
    }
}

static void op_recv(void) {
    int fd = some_fd(), flags = MSG_DONTWAIT | ONE_OF(0, 0, 0, MSG_PEEK, MSG_TRUNC, MSG_WAITALL);
    size_t n = ONE_OF(0, 1, 5, 100, 3000);
    memset(buffer, 0, 3000);
    if (chance(2)) {
        struct sockaddr_un name = {0};
        socklen_t size = sizeof name;
        long got = DO(recvfrom(fd, buffer, n, flags, (void *)&name, &size), "recvfrom(%d, %zu, %x)", fd, n, flags);
        if (got >= 0) say("data %x from %d '%s'", sum(buffer, 3000), size, size > 2 ? name.sun_path : "");
    } else {
        char cmsgs[200] = {0};
        struct iovec iov = {buffer, n};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = cmsgs};
        message.msg_controllen = ONE_OF(sizeof cmsgs, sizeof cmsgs, (size_t)0, (size_t)20);
        long got = DO(recvmsg(fd, &message, flags), "recvmsg(%d, %zu, %x, %zu)", fd, n, flags, message.msg_controllen);
        if (got < 0) return;
        say("data %x flags %x control %zu", sum(buffer, 3000), message.msg_flags & ~MSG_CMSG_CLOEXEC, message.msg_controllen);
        for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
            say("level %d type %d length %zu", header->cmsg_level, header->cmsg_type, header->cmsg_len);
            if (header->cmsg_type != SCM_RIGHTS) continue;
            for (size_t at = 0; at + 4 <= header->cmsg_len - CMSG_LEN(0); at += 4) {
                int got_fd;
                memcpy(&got_fd, CMSG_DATA(header) + at, 4);
                say("descriptor %d", got_fd);
                keep(got_fd);
            }
        }
    }
}

/* ---- TCP and UDP over loopback; ports are shown as the order in which they came up ---- */

static int ports[200], port_count;

static int shown_port(int port) {
    if (!port) return -1;
    for (int i = 0; i < port_count; i++)
        if (ports[i] == port) return i;
    if (port_count < 200) ports[port_count++] = port;
    return port_count - 1;
}

static void show_address(const char *what, const struct sockaddr_in *name, socklen_t size) {
    if (size < sizeof *name) say("%s: %d bytes", what, size);
    else say("%s: family %d address %x port %d", what, name->sin_family, ntohl(name->sin_addr.s_addr), shown_port(ntohs(name->sin_port)));
}

static struct sockaddr_in some_place(int *which) {
    struct sockaddr_in name = {.sin_family = chance(25) ? 99 : AF_INET};
    name.sin_addr.s_addr = htonl(chance(15) ? INADDR_ANY : INADDR_LOOPBACK);
    *which = port_count ? pick(port_count > 8 ? 8 : port_count) : -1;
    name.sin_port = *which < 0 ? 0 : htons(ports[*which]);
    return name;
}

static void op_inet(void) {
    int kind = ONE_OF(SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, 9) | SOCK_NONBLOCK;
    long fd = DO(socket(AF_INET, kind, 0), "socket(AF_INET, %x)", kind);
    int yes = 1; // else a connection of the past (TIME_WAIT) holds its port for a minute on the host
    if ((kind & 15) == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    keep(fd);
}

static void op_inet_bind(void) {
    int fd = some_fd();
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    if (chance(4)) {
        int which;
        name = some_place(&which);
        if (which >= 0) {
            DO(bind(fd, (void *)&name, size), "bind(%d, %d %x %d)", fd, name.sin_family, ntohl(name.sin_addr.s_addr), which);
            return;
        }
    }
    if (!DO(bind(fd, (void *)&name, size), "bind(%d, any port)", fd) && !getsockname(fd, (void *)&name, &size))
        show_address("bound", &name, size);
}

static void op_inet_listen(void) {
    int fd = some_fd(), backlog = ONE_OF(5, 50, -1); // never full: the host tries again a second later
    DO(listen(fd, backlog), "listen(%d, %d)", fd, backlog);
}

static void op_inet_connect(void) {
    int fd = some_fd(), which;
    struct sockaddr_in name = some_place(&which);
    if (chance(12)) name.sin_family = AF_UNSPEC;
    socklen_t size = chance(20) ? ONE_OF(2, 8) : sizeof name;
    DO(connect(fd, (void *)&name, size), "connect(%d, %d %x %d, %d)", fd, name.sin_family, ntohl(name.sin_addr.s_addr), which, size);
}

static void op_inet_accept(void) {
    int fd = some_fd();
    struct sockaddr_in name = {0};
    socklen_t size = sizeof name;
    long got = DO(accept4(fd, (void *)&name, &size, SOCK_NONBLOCK), "accept4(%d)", fd);
    if (got >= 0) show_address("from", &name, size);
    keep(got);
}

static void op_inet_names(void) {
    int fd = some_fd(), peer = pick(2);
    struct sockaddr_in name = {0};
    socklen_t size = sizeof name;
    if (!DO(peer ? getpeername(fd, (void *)&name, &size) : getsockname(fd, (void *)&name, &size), "get%sname(%d)",
            peer ? "peer" : "sock", fd) && size >= sizeof name)
        show_address("it", &name, size);
}

static void op_inet_send(void) {
    int fd = some_fd(), which, flags = MSG_NOSIGNAL | MSG_DONTWAIT | (chance(10) ? MSG_MORE : 0);
    size_t n = ONE_OF(0, 1, 10, 1000);
    struct sockaddr_in name = some_place(&which);
    fill(n);
    if (flags & MSG_MORE) flags &= ~MSG_MORE;
    if (chance(3)) DO(sendto(fd, buffer, n, flags, (void *)&name, sizeof name), "sendto(%d, %zu, %d %x %d)", fd, n, name.sin_family, ntohl(name.sin_addr.s_addr), which);
    else DO(send(fd, buffer, n, flags), "send(%d, %zu)", fd, n);
}

static void op_inet_recv(void) {
    int fd = some_fd(), flags = MSG_DONTWAIT | ONE_OF(0, 0, 0, MSG_PEEK, MSG_TRUNC);
    size_t n = ONE_OF(0, 1, 5, 100, 3000);
    struct sockaddr_in name = {0};
    socklen_t size = sizeof name;
    memset(buffer, 0, 3000);
    if (chance(2)) {
        long got = DO(recv(fd, buffer, n, flags), "recv(%d, %zu, %x)", fd, n, flags);
        if (got >= 0 && !(flags & MSG_TRUNC)) say("data %x", sum(buffer, 3000));
    } else {
        long got = DO(recvfrom(fd, buffer, n, flags, (void *)&name, &size), "recvfrom(%d, %zu, %x)", fd, n, flags);
        if (got >= 0) show_address("from", &name, size);
    }
}

static void op_inet_option(void) {
    static const int options[][2] = {
        {SOL_SOCKET, SO_TYPE}, {SOL_SOCKET, SO_ERROR}, {SOL_SOCKET, SO_ERROR}, {SOL_SOCKET, SO_ACCEPTCONN},
        {SOL_SOCKET, SO_KEEPALIVE}, {SOL_SOCKET, SO_BROADCAST}, {SOL_SOCKET, SO_OOBINLINE}, {SOL_SOCKET, SO_LINGER}, {SOL_SOCKET, SO_DOMAIN},
        {SOL_SOCKET, SO_PROTOCOL}, {SOL_SOCKET, SO_RCVLOWAT}, {IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPCNT},
        {IPPROTO_TCP, TCP_KEEPINTVL}, {IPPROTO_TCP, TCP_DEFER_ACCEPT}, {IPPROTO_TCP, TCP_QUICKACK + 900}, {IPPROTO_IP, IP_TTL}, {IPPROTO_IP, IP_TOS},
        {IPPROTO_IP, 999}, {IPPROTO_IPV6, IPV6_V6ONLY}, {77, 1},
    };
    int fd = some_fd(), which = pick(sizeof options / sizeof *options), value[2] = {pick(3), pick(3)};
    socklen_t size = ONE_OF(4, 4, 4, 8, 2, 0);
    int level = options[which][0], option = options[which][1];
    if (chance(2) && option != SO_RCVLOWAT && option != SO_LINGER)
        DO(setsockopt(fd, level, option, value, size), "setsockopt(%d, %d, %d, %d, %d)", fd, level, option, value[0], size);
    else {
        memset(value, 0, sizeof value);
        socklen_t asked = size;
        if (!DO(getsockopt(fd, level, option, value, &size), "getsockopt(%d, %d, %d, %d)", fd, level, option, asked))
            say("value %d %d size %d", value[0], value[1], size);
    }
}

static void op_inet_shutdown(void) {
    int fd = some_fd(), how = ONE_OF(SHUT_RD, SHUT_WR, SHUT_WR, SHUT_RDWR, 9);
    DO(shutdown(fd, how), "shutdown(%d, %d)", fd, how);
}

/* ---- memory ---- */

#define REGION ((char *)0x200000000000)
#define PAGES 32

static sigjmp_buf back;
static int writes;

static void fault(int signo, siginfo_t *info, void *context) {
    (void)context;
    long at = (char *)info->si_addr - REGION;
    // a supervisor does not learn whether the access was a write: beyond the end and not writable look alike
    if (writes && info->si_code == 2) printf("  refused at %lx\n", at);
    else printf("  signal %d code %d at %lx\n", signo, info->si_code, at);
    siglongjmp(back, 1);
}

static char *some_page(void) { return REGION + 4096 * pick(PAGES) + (chance(15) ? 100 : 0); }
static size_t some_length(void) { return ONE_OF(4096, 4096, 8192, 20000, 1, 0); }

static void op_mmap(void) {
    int prot = ONE_OF(PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC);
    int flags = ONE_OF(MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE, 0, MAP_SHARED_VALIDATE)
        | ONE_OF(MAP_ANONYMOUS, MAP_ANONYMOUS, 0) | ONE_OF(MAP_FIXED, MAP_FIXED, MAP_FIXED_NOREPLACE);
    int fd = flags & MAP_ANONYMOUS ? -1 : some_fd();
    off_t at = chance(4) ? 4096 : chance(20) ? 5 : 0;
    char *where = some_page();
    size_t n = some_length();
    errno = 0;
    char *got = mmap(where, n, prot, flags, fd, at);
    say("mmap(%lx, %zu, %d, %x, %d, %ld) = %s", where - REGION, n, prot, flags, fd, at,
        got == MAP_FAILED ? strerrorname_np(errno) : got == where ? "there" : "elsewhere");
}

static void op_munmap(void) {
    char *where = some_page();
    size_t n = some_length();
    DO(munmap(where, n), "munmap(%lx, %zu)", where - REGION, n);
}

static void op_mprotect(void) {
    char *where = some_page();
    size_t n = some_length();
    int prot = ONE_OF(PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC, 0x40);
    DO(mprotect(where, n, prot), "mprotect(%lx, %zu, %x)", where - REGION, n, prot);
}

static void op_mremap(void) {
    char *where = some_page(), *to = some_page();
    size_t n = some_length(), m = some_length();
    int flags = ONE_OF(0, MREMAP_MAYMOVE | MREMAP_FIXED, MREMAP_MAYMOVE | MREMAP_FIXED, 9,
                       MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP);
    errno = 0;
    char *got = mremap(where, n, m, flags, to);
    say("mremap(%lx, %zu, %zu, %x, %lx) = %s %lx", where - REGION, n, m, flags, to - REGION,
        got == MAP_FAILED ? strerrorname_np(errno) : "at", got == MAP_FAILED ? 0l : got - REGION);
}

static void op_madvise(void) {
    char *where = some_page();
    size_t n = some_length();
    int what = ONE_OF(MADV_DONTNEED, MADV_DONTNEED, MADV_FREE + 90, MADV_WILLNEED, MADV_NORMAL, MADV_REMOVE, MADV_DONTFORK);
    if (what == MADV_DONTFORK) what = MADV_RANDOM;
    DO(madvise(where, n, what), "madvise(%lx, %zu, %d)", where - REGION, n, what);
}

static void op_msync(void) {
    char *where = some_page();
    size_t n = some_length();
    int flags = ONE_OF(MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE, MS_SYNC | MS_ASYNC, 16);
    DO(msync(where, n, flags), "msync(%lx, %zu, %x)", where - REGION, n, flags);
}

static void op_touch(void) {
    char *where = some_page() + pick(4000);
    writes = pick(2);
    say("%s %lx", writes ? "write" : "read", where - REGION);
    if (sigsetjmp(back, 1)) return;
    if (writes) *(volatile char *)where = 'w' + pick(5);
    else printf("  byte %d\n", *(volatile char *)where);
}

static void op_copy(void) {
    int fd = some_fd();
    char *where = some_page();
    size_t n = some_size();
    if (chance(2)) DO(pread(fd, where, n, 0), "pread(%d, to %lx, %zu)", fd, where - REGION, n);
    else DO(pwrite(fd, where, n, 0), "pwrite(%d, from %lx, %zu)", fd, where - REGION, n);
}

/* The region as /proc/self/maps has it, neighbours that go on joined. */
static void op_maps(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps) return;
    char row[5000], was[200] = "";
    unsigned long from = 0, to = 0, next = 0;
    say("maps");
    while (fgets(row, sizeof row, maps)) {
        unsigned long start, end, offset;
        char prot[5], path[4096] = "";
        if (sscanf(row, "%lx-%lx %4s %lx %*s %*s %4095[^\n]", &start, &end, prot, &offset, path) < 4) continue;
        if (start < (unsigned long)REGION || start >= (unsigned long)REGION + 4096 * PAGES) continue;
        if (end > (unsigned long)REGION + 4096 * PAGES) end = (unsigned long)REGION + 4096 * PAGES;
        char *name = strrchr(path, '/'), key[200];
        snprintf(key, sizeof key, "%s %.100s", prot, name ? name : path);
        int file = name != NULL;
        if (to == start && !strcmp(key, was) && (!file || next == offset)) {
            to = end, next = offset + (end - start);
            continue;
        }
        if (to) printf("  %lx-%lx %s\n", from - (unsigned long)REGION, to - (unsigned long)REGION, was);
        from = start, to = end, next = offset + (end - start);
        strcpy(was, key);
    }
    if (to) printf("  %lx-%lx %s\n", from - (unsigned long)REGION, to - (unsigned long)REGION, was);
    fclose(maps);
}

static void op_mincore(void) {
    char *where = some_page();
    size_t n = some_length();
    unsigned char resident[10];
    DO(mincore(where, n, resident), "mincore(%lx, %zu)", where - REGION, n);
}

/* ---- signals ---- */

static int caught[65];
static void note(int signo) { caught[signo]++; }
static void note_info(int signo, siginfo_t *info, void *context) {
    (void)context;
    caught[signo]++;
    printf("  caught %d code %d value %d\n", signo, info->si_code == CLD_DUMPED ? CLD_KILLED : info->si_code, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
}

static int some_signal(void) { return ONE_OF(SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGCHLD, SIGWINCH, 34 + 2, 40, 64, SIGURG); }

static void op_mask(void) {
    sigset_t set, old;
    sigemptyset(&set);
    for (int i = 0; i < 4; i++) sigaddset(&set, some_signal());
    int how = ONE_OF(SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK, 9);
    if (!DO(sigprocmask(how, &set, &old), "sigprocmask(%d, %lx)", how, *(long *)&set)) say("was %lx", *(long *)&old);
}

static void op_action(void) {
    int signo = some_signal();
    struct sigaction action = {0}, old;
    int how = pick(3);
    if (how == 1) action.sa_handler = SIG_IGN;
    else if (how == 2) action.sa_handler = note;
    else action.sa_sigaction = note_info;
    action.sa_flags = ONE_OF(0, SA_RESTART, SA_NODEFER, SA_RESETHAND) | (how == 0 ? SA_SIGINFO : 0);
    if (action.sa_flags & SA_RESETHAND) action.sa_flags &= ~SA_RESETHAND; // the next one would end us
    if (!DO(sigaction(signo, &action, &old), "sigaction(%d, %d, %x)", signo, how, action.sa_flags))
        say("was %x", old.sa_flags);
}

static void op_raise(void) {
    int signo = chance(20) ? ONE_OF(0, 65, -1) : some_signal();
    switch (pick(3)) {
    case 0: DO(kill(getpid(), signo), "kill(%d)", signo); break;
    case 1: DO(syscall(SYS_tgkill, getpid(), getpid(), signo), "tgkill(%d)", signo); break;
    default: DO(sigqueue(getpid(), signo, (union sigval){.sival_int = pick(100)}), "sigqueue(%d)", signo);
    }
    for (int i = 1; i < 65; i++)
        if (caught[i]) printf("  %d caught %d\n", i, caught[i]), caught[i] = 0;
}

static void op_pending(void) {
    sigset_t set;
    sigemptyset(&set);
    if (!DO(sigpending(&set), "sigpending()")) say("%lx", *(long *)&set);
}

static void op_take(void) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < 6; i++) sigaddset(&set, some_signal());
    struct timespec none = {0, 0};
    siginfo_t info = {0};
    if (DO(sigtimedwait(&set, &info, &none), "sigtimedwait(%lx)", *(long *)&set) > 0)
        say("code %d value %d", info.si_code, info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
}

static void op_signalfd(void) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < 4; i++) sigaddset(&set, some_signal());
    int fd = chance(3) ? some_fd() : -1;
    keep(DO(signalfd(fd, &set, SFD_NONBLOCK), "signalfd(%d, %lx)", fd, *(long *)&set));
}

static void op_siginfo(void) {
    int fd = some_fd();
    struct signalfd_siginfo got[2] = {0};
    char link[100] = {0}, path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (readlink(path, link, 99) < 0 || !strstr(link, "signalfd")) return;
    long n = DO(read(fd, got, ONE_OF(sizeof got, sizeof *got, (size_t)0, (size_t)100)), "read signals(%d)", fd);
    for (long i = 0; i < n / (long)sizeof *got; i++) say("signal %d code %d", got[i].ssi_signo, got[i].ssi_code);
}

/* ---- identities: in a child, so that nothing lasts ---- */

static void show_ids(void) {
    uid_t r, e, s;
    gid_t rg, eg, sg;
    getresuid(&r, &e, &s), getresgid(&rg, &eg, &sg);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};
    syscall(SYS_capget, &header, data);
    gid_t groups[10];
    int n = getgroups(10, groups);
    int fsuid = setfsuid(-1), fsgid = setfsgid(-1);
    // capabilities that the host does not give differ: only some are compared
    unsigned looked = 1 << CAP_CHOWN | 1 << CAP_DAC_OVERRIDE | 1 << CAP_FOWNER | 1 << CAP_SETUID | 1 << CAP_SETGID | 1 << CAP_KILL;
    say("ids %d %d %d %d, %d %d %d %d, groups %d, caps %x %x %x, keep %d, dumpable %d", r, e, s, fsuid, rg, eg, sg, fsgid, n,
        data[0].effective & looked, data[0].permitted & looked, data[0].inheritable & looked,
        prctl(PR_GET_KEEPCAPS), prctl(PR_GET_DUMPABLE));
}

static int some_id(void) { return ONE_OF(0, 0, 7, 9, 1000, -1); }

static void op_ids(void) {
    pid_t pid = fork();
    if (pid) {
        int status = 0;
        waitpid(pid, &status, 0);
        line += 100;
        say("child %x", status);
        return;
    }
    for (int i = 0; i < 8; i++) {
        int a = some_id(), b = some_id(), c = some_id();
        gid_t groups[3] = {7, 9, 1000};
        switch (pick(12)) {
        case 0: DO(setuid(a), "setuid(%d)", a); break;
        case 1: DO(setgid(a), "setgid(%d)", a); break;
        case 2: DO(setreuid(a, b), "setreuid(%d, %d)", a, b); break;
        case 3: DO(setregid(a, b), "setregid(%d, %d)", a, b); break;
        case 4: DO(setresuid(a, b, c), "setresuid(%d, %d, %d)", a, b, c); break;
        case 5: DO(setresgid(a, b, c), "setresgid(%d, %d, %d)", a, b, c); break;
        case 6: DO(setfsuid(a), "setfsuid(%d)", a); break;
        case 7: DO(setfsgid(a), "setfsgid(%d)", a); break;
        case 8: DO(setgroups(b < 0 ? 0 : b % 4, groups), "setgroups(%d)", b < 0 ? 0 : b % 4); break;
        case 9: DO(prctl(PR_SET_KEEPCAPS, pick(3)), "keepcaps"); break;
        case 10: {
            struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
            struct __user_cap_data_struct data[2] = {0};
            syscall(SYS_capget, &header, data);
            unsigned drop = 1u << ONE_OF(CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_SETUID, CAP_SETGID, CAP_FOWNER);
            int which = pick(3);
            if (which != 1) data[0].effective &= ~drop;
            if (which == 1) data[0].effective &= ~drop, data[0].permitted &= ~drop;
            if (which == 2) data[0].inheritable |= drop;
            DO(syscall(SYS_capset, &header, data), "capset(%d, %x)", which, drop);
            break;
        }
        default: DO(prctl(PR_CAPBSET_DROP, CAP_KILL), "drop");
        }
        show_ids();
        if (chance(2)) op_open();
        if (chance(3)) op_chmod();
        if (chance(3)) op_chown();
        if (chance(3)) op_access();
        if (chance(3)) op_unlink();
        if (chance(4)) op_mkdir();
        if (chance(4)) op_rename();
        if (chance(4)) op_utimens();
    }
    _exit(pick(100));
}

/* ---- processes ---- */

static void op_child(void) {
    int how = pick(6), code = pick(256), signo = ONE_OF(SIGKILL, SIGTERM, SIGABRT, SIGUSR1);
    int flags = ONE_OF(0, 0, WUNTRACED, WCONTINUED);
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        signal(signo, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (how == 0) setpgid(0, 0);
        if (how == 1) setsid();
        if (how == 2) raise(signo), _exit(1);
        if (how == 3) raise(SIGSTOP), _exit(code);
        _exit(code);
    }
    int status = 0;
    siginfo_t info = {0};
    if (how == 3) {
        waitpid(pid, &status, WUNTRACED);
        say("stopped %x", status);
        kill(pid, SIGCONT);
        status = 0;
        long got = waitid(P_PID, pid, &info, WCONTINUED | WEXITED | WNOWAIT);
        say("waitid %ld code %d", got, info.si_code == CLD_CONTINUED ? CLD_EXITED : info.si_code);
    } else if (how == 4) {
        long got = waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
        say("waitid %ld code %d status %d signo %d", got, info.si_code == CLD_DUMPED ? CLD_KILLED : info.si_code, info.si_status, info.si_signo);
    }
    pid_t got;
    do got = waitpid(pid, &status, flags);
    while (got == pid && WIFCONTINUED(status));
    say("waitpid %d status %x", got == pid, status & ~0x80); // whether there is a core is the host's affair
    DO(waitpid(pid, &status, 0), "again");
    DO(waitid(P_PID, pid, &info, WEXITED), "waitid of none");
    DO(waitid(P_ALL, 0, &info, 0), "waitid for nothing");
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void op_limits(void) {
    int which = ONE_OF(RLIMIT_NOFILE, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_FSIZE, 99);
    struct rlimit now = {0};
    if (which == RLIMIT_CORE) {
        struct rlimit wanted = {ONE_OF(0, 100, 5000), 5000};
        DO(setrlimit(which, &wanted), "setrlimit(%ld)", (long)wanted.rlim_cur);
        getrlimit(which, &now);
        say("now %ld %ld", (long)now.rlim_cur, (long)now.rlim_max);
    } else DO(which == 99 ? getrlimit(which, &now) : 0, "getrlimit(%d)", which);
}

static void op_prio(void) {
    int nice_ = ONE_OF(0, 5, 19, -5, 100);
    DO(setpriority(PRIO_PROCESS, 0, nice_), "setpriority(%d)", nice_);
    errno = 0;
    DO(getpriority(PRIO_PROCESS, 0) + 100, "getpriority()");
}

/* ---- System V IPC ---- */

static int queue = -1, set = -1;

static void op_ipc(void) {
    struct { long type; char text[100]; } message = {ONE_OF(1, 2, 3, 0, -1), "text"};
    long size = ONE_OF(0, 5, 100, -1), type = ONE_OF(0, 1, 2, -2, 3);
    int flags = IPC_NOWAIT | ONE_OF(0, 0, MSG_NOERROR, MSG_EXCEPT);
    struct sembuf operations[2] = {{pick(4), pick(5) - 2, IPC_NOWAIT}, {pick(3), pick(5) - 2, IPC_NOWAIT}};
    switch (pick(5)) {
    case 0: DO(msgsnd(queue, &message, size, IPC_NOWAIT), "msgsnd(%ld, %ld)", message.type, size); break;
    case 1: {
        long got = DO(msgrcv(queue, &message, size, type, flags), "msgrcv(%ld, %ld, %x)", size, type, flags);
        if (got >= 0) say("type %ld", message.type);
        break;
    }
    case 2:
        DO(semop(set, operations, 1 + pick(2)), "semop(%d %d, %d %d)", operations[0].sem_num, operations[0].sem_op,
           operations[1].sem_num, operations[1].sem_op);
        break;
    case 3: {
        int number = pick(4), how = ONE_OF(GETVAL, GETNCNT, SETVAL, GETZCNT), value = ONE_OF(0, 1, 5, -1, 40000);
        DO(semctl(set, number, how, value), "semctl(%d, %d, %d)", number, how, value);
        break;
    }
    default: {
        struct msqid_ds ds;
        if (!DO(msgctl(queue, IPC_STAT, &ds), "msgctl()")) say("%ld messages, %ld bytes", (long)ds.msg_qnum, (long)ds.__msg_cbytes);
    }
    }
}

struct operation {
    const char *group;
    int weight;
    void (*run)(void);
};

static const struct operation OPERATIONS[] = {
    {"names", 12, op_open}, {"names", 6, op_close}, {"names", 4, op_stat}, {"names", 2, op_fstat}, {"names", 1, op_statx},
    {"names", 5, op_mkdir}, {"names", 5, op_unlink}, {"names", 5, op_rename}, {"names", 4, op_link},
    {"names", 4, op_symlink}, {"names", 2, op_readlink}, {"names", 2, op_mknod}, {"names", 2, op_chmod},
    {"names", 1, op_fchmod}, {"names", 2, op_chown}, {"names", 2, op_access}, {"names", 2, op_truncate},
    {"names", 2, op_utimens}, {"names", 2, op_list}, {"names", 2, op_chdir}, {"names", 1, op_umask}, {"names", 3, op_xattr},
    {"io", 8, op_open}, {"io", 3, op_close}, {"io", 8, op_read}, {"io", 8, op_write}, {"io", 4, op_pread},
    {"io", 4, op_pwrite}, {"io", 4, op_vectors}, {"io", 4, op_seek}, {"io", 3, op_ftruncate}, {"io", 2, op_fallocate},
    {"io", 3, op_dup}, {"io", 5, op_fcntl}, {"io", 4, op_lock}, {"io", 2, op_flock}, {"io", 3, op_pipe}, {"io", 6, op_move},
    {"io", 2, op_memfd}, {"io", 2, op_ioctl}, {"io", 2, op_fstat}, {"io", 2, op_unlink},
    {"events", 3, op_poll}, {"events", 1, op_select}, {"events", 2, op_eventfd}, {"events", 3, op_count},
    {"events", 3, op_timerfd}, {"events", 6, op_epoll}, {"events", 4, op_inotify}, {"events", 4, op_events},
    {"events", 2, op_pipe}, {"events", 3, op_close}, {"events", 2, op_read}, {"events", 2, op_write}, {"events", 1, op_dup},
    {"events", 2, op_open}, {"events", 1, op_unlink}, {"events", 1, op_rename}, {"events", 1, op_mkdir},
    {"sockets", 5, op_socket}, {"sockets", 10, op_name}, {"sockets", 3, op_sockopt}, {"sockets", 2, op_shutdown},
    {"sockets", 8, op_send}, {"sockets", 8, op_recv}, {"sockets", 2, op_close}, {"sockets", 2, op_poll},
    {"sockets", 1, op_unlink}, {"sockets", 1, op_dup}, {"sockets", 1, op_ioctl}, {"sockets", 1, op_read}, {"sockets", 1, op_write},
    {"inet", 6, op_inet}, {"inet", 5, op_inet_bind}, {"inet", 4, op_inet_listen}, {"inet", 8, op_inet_connect}, {"inet", 6, op_inet_accept},
    {"inet", 3, op_inet_names}, {"inet", 8, op_inet_send}, {"inet", 8, op_inet_recv}, {"inet", 4, op_inet_option},
    {"inet", 2, op_inet_shutdown}, {"inet", 2, op_close}, {"inet", 3, op_poll}, {"inet", 1, op_dup}, {"inet", 1, op_ioctl},
    {"memory", 8, op_mmap}, {"memory", 3, op_munmap}, {"memory", 4, op_mprotect}, {"memory", 4, op_mremap},
    {"memory", 3, op_madvise}, {"memory", 1, op_msync}, {"memory", 12, op_touch}, {"memory", 3, op_copy},
    {"memory", 2, op_maps}, {"memory", 1, op_mincore}, {"memory", 3, op_open}, {"memory", 1, op_memfd}, {"memory", 1, op_ftruncate},
    {"signals", 4, op_mask}, {"signals", 3, op_action}, {"signals", 8, op_raise}, {"signals", 2, op_pending},
    {"signals", 4, op_take}, {"signals", 2, op_signalfd}, {"signals", 3, op_siginfo}, {"signals", 1, op_poll}, {"signals", 1, op_close},
    {"ids", 4, op_ids}, {"ids", 2, op_open}, {"ids", 2, op_mkdir}, {"ids", 2, op_chmod}, {"ids", 2, op_chown}, {"ids", 1, op_close},
    {"ids", 1, op_unlink},
    {"processes", 3, op_child}, {"processes", 1, op_limits}, {"processes", 1, op_prio}, {"processes", 2, op_mask},
    {"ipc", 3, op_ipc},
};

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    state = strtoull(argv[1], NULL, 10) * 0x9E3779B97F4A7C15ull + 1;
    for (int i = 0; i < 10; i++) rnd();
    long count = atol(argv[2]);
    if (!getcwd(top, sizeof top)) return 3;
    alarm(120);
    umask(022);
    for (int fd = 3; fd < 64; fd++) close(fd);
    struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL), sigaction(SIGBUS, &action, NULL);
    action.sa_sigaction = note_info;
    for (int i = 1; i < 65; i++)
        if (i != SIGKILL && i != SIGSTOP && i != SIGSEGV && i != SIGBUS && i != SIGALRM) sigaction(i, &action, NULL);
    signal(SIGPIPE, SIG_IGN), signal(SIGXFSZ, SIG_IGN);
    struct operation chosen[200];
    int n = 0, total = 0;
    for (size_t i = 0; i < sizeof OPERATIONS / sizeof *OPERATIONS; i++) {
        int wanted = argc == 3;
        for (int a = 3; a < argc; a++) wanted |= !strcmp(argv[a], OPERATIONS[i].group);
        if (wanted) chosen[n++] = OPERATIONS[i], total += OPERATIONS[i].weight;
    }
    if (!n) return 2;
    queue = msgget(IPC_PRIVATE, 0600), set = semget(IPC_PRIVATE, 3, 0600);
    for (long i = 0; i < count; i++) {
        int which = pick(total), at = 0;
        while (which >= chosen[at].weight) which -= chosen[at++].weight;
        chosen[at].run();
    }
    msgctl(queue, IPC_RMID, NULL), semctl(set, 0, IPC_RMID);
    printf("done\n");
    return 0;
}
