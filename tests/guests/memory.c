/* Memory: mappings, copy-on-write, sharing, protection and its faults, growth, and bad pointers handed to the kernel. */
#include "guest.h"
#include <setjmp.h>
#include <sys/uio.h>

static sigjmp_buf back;
static siginfo_t last;
static const size_t page = 4096;

static void jump(int signo, siginfo_t *info, void *context) {
    last = *info;
    (void)context;
    siglongjmp(back, signo);
}

/* What happens on a read (or write) of an address. */
static void touch(const char *name, char *addr, int writes) {
    int came = sigsetjmp(back, 1);
    if (!came) {
        if (writes) *(volatile char *)addr = 1;
        else (void)*(volatile char *)addr;
        SHOW(name, "fine");
    } else {
        SHOW(name, "signal %d code %d addr is right %d", came, last.si_code, last.si_addr == addr);
    }
}

static void *map(size_t length, int prot, int flags) { return mmap(NULL, length, prot, flags | MAP_ANONYMOUS, -1, 0); }

static void anonymous(void) {
    char *p = map(16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    int zero = 1;
    for (size_t i = 0; i < 16 * page; i++) zero &= p[i] == 0;
    TRUTH("fresh memory is zero", zero);
    p[5 * page] = 9;
    CALL("unmap the middle", munmap(p + 4 * page, page));
    touch("read the hole", p + 4 * page, 0);
    touch("beside it", p + 5 * page, 0);
    NUM("value", p[5 * page]);
    CALL("protect", mprotect(p + 6 * page, page, PROT_READ));
    touch("read", p + 6 * page, 0);
    touch("write", p + 6 * page + 123, 1);
    CALL("forbid", mprotect(p + 7 * page, page, PROT_NONE));
    touch("read none", p + 7 * page, 0);
    CALL("allow again", mprotect(p + 6 * page, 2 * page, PROT_READ | PROT_WRITE));
    touch("write", p + 6 * page, 1);
    CALL("protect the hole", mprotect(p + 3 * page, 3 * page, PROT_READ));
    CALL("bad address", munmap(p + 1, page));
    CALL("nothing", munmap(p, 0));
    CALL("mprotect bad flags", mprotect(p, page, 0x100));
    CALL("mmap of nothing", mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CALL("mmap without a kind", mmap(NULL, page, PROT_READ, MAP_ANONYMOUS, -1, 0));
    CALL("mmap too much", mmap(NULL, 1ul << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    TRUTH("fixed", mmap(p + 4 * page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 4 * page);
    CALL("fixed, not over", mmap(p, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    CALL("fixed, not aligned", mmap(p + 1, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    p[page] = 7;
    CALL("MADV_DONTNEED", madvise(p + page, page, MADV_DONTNEED));
    NUM("is zero again", p[page]);
    CALL("madvise of a hole", madvise((void *)(1ul << 40), page, MADV_DONTNEED));
    CALL("madvise of nonsense", madvise(p, page, 999));
    munmap(p, 16 * page);
    p = map(1ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
    TRUTH("a gigabyte", p != MAP_FAILED);
    for (int i = 0; i < 64; i++) p[(size_t)i << 24] = (char)i;
    long sum = 0;
    for (int i = 0; i < 64; i++) sum += p[(size_t)i << 24];
    NUM("sparse", sum);
    munmap(p, 1ul << 30);
}

static void moves(void) {
    char *p = map(4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    strcpy(p, "kept");
    char *q = mremap(p, 4 * page, 64 * page, MREMAP_MAYMOVE);
    SHOW("mremap grows", "%s", q == MAP_FAILED ? "failed" : q);
    NUM("new part is zero", q[63 * page]);
    touch("write the new part", q + 63 * page, 1);
    CALL("shrink", mremap(q, 64 * page, 2 * page, 0) == q);
    touch("cut off", q + 2 * page, 0);
    map(page, PROT_NONE, MAP_PRIVATE);
    char *fixed = map(8 * page, PROT_NONE, MAP_PRIVATE);
    TRUTH("to a fixed place", mremap(q, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, fixed) == fixed);
    SHOW("moved", "%s", fixed);
    touch("old place", q, 0);
    CALL("of nothing", mremap((void *)(1ul << 40), page, 2 * page, MREMAP_MAYMOVE));
    CALL("bad flags", mremap(fixed, page, page, 8));
    char *low = sbrk(0);
    TRUTH("sbrk", sbrk(100000) == low);
    memset(low, 3, 100000);
    NUM("heap", low[99999]);
    TRUTH("sbrk back", sbrk(-100000) == low + 100000);
}

static void forks(void) {
    char *private = map(64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    char *shared = map(64 * page, PROT_READ | PROT_WRITE, MAP_SHARED);
    for (int i = 0; i < 64; i++) private[i * page] = shared[i * page] = (char)i;
    pid_t pid = fork();
    if (pid == 0) {
        long sum = 0;
        for (int i = 0; i < 64; i++) {
            sum += private[i * page];
            private[i * page]++, shared[i * page]++;
        }
        pid_t grandchild = fork();
        if (grandchild == 0) {
            private[0] = 77;
            shared[page] = 99;
            _exit(private[1 * page]);
        }
        reap("grandchild", grandchild);
        NUM("child keeps", private[0]);
        _exit(sum == 64 * 63 / 2);
    }
    reap("child", pid);
    long a = 0, b = 0;
    for (int i = 0; i < 64; i++) a += private[i * page], b += shared[i * page];
    NUM("parent's private", a);
    NUM("parent's shared", b);
    /* The kernel's own writes break sharing too. */
    int p[2];
    if (pipe(p)) return;
    pid = fork();
    if (pid == 0) {
        if (write(p[1], "XY", 2) != 2 || read(p[0], private, 2) != 2) _exit(1);
        _exit(private[0] == 'X');
    }
    reap("read into shared pages", pid);
    NUM("parent is untouched", private[0]);
    /* Many generations. */
    for (int i = 0; i < 30; i++) {
        pid = fork();
        if (pid) {
            int status;
            waitpid(pid, &status, 0);
            if (i) _exit(WEXITSTATUS(status));
            show_status("thirty generations", status);
            break;
        }
        private[3 * page] = (char)i;
        if (i == 29) _exit(private[3 * page]);
    }
}

static void files(void) {
    int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char text[5000];
    memset(text, 'a', sizeof text);
    if (write(fd, text, sizeof text) != sizeof text) return;
    char *private = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *shared = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SHOW("file", "%c%c zero %d", private[0], shared[4999], private[5000]);
    private[0] = 'p';
    shared[1] = 's';
    char byte[2];
    CALL("pread", pread(fd, byte, 2, 0));
    SHOW("file has", "%.2s", byte);
    SHOW("private has", "%c", private[0]);
    TRUTH("private sees the other byte or not", private[1] == 's' || private[1] == 'a');
    if (pwrite(fd, "w", 1, 2) != 1) return;
    SHOW("write shows in the shared one", "%c", shared[2]);
    touch("past the end", shared + 2 * page, 0);
    touch("past the end, private", private + 3 * page, 0);
    CALL("grow", ftruncate(fd, 3 * page));
    touch("no longer past", shared + 2 * page, 0);
    CALL("shrink", ftruncate(fd, page));
    touch("past again", shared + page, 0);
    CALL("msync", msync(shared, page, MS_SYNC));
    CALL("msync bad", msync(shared, page, MS_SYNC | MS_ASYNC));
    close(fd);
    SHOW("outlives the descriptor", "%c", shared[2]);
    fd = open("mapped", O_RDONLY);
    CALL("writable over a read-only file", mmap(NULL, page, PROT_WRITE, MAP_SHARED, fd, 0));
    TRUTH("private is allowed", mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    CALL("bad offset", mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 100));
    char *read_only = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
    CALL("no way to write", mprotect(read_only, page, PROT_READ | PROT_WRITE));
    close(fd);
    CALL("bad descriptor", mmap(NULL, page, PROT_READ, MAP_SHARED, 99, 0));
    fd = open("/dev/zero", O_RDWR);
    char *zero = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    TRUTH("/dev/zero", zero != MAP_FAILED && zero[100] == 0);
    fd = open("/bin/sh", O_RDONLY);
    char *program = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
    SHOW("a host file", "%.3s", program + 1);
    touch("is not writable", program, 1);
}

static void pointers(void) {
    char *p = map(3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    munmap(p + 2 * page, page);
    int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0644);
    memset(p, 'x', 2 * page);
    CALL("write from nowhere", write(fd, (void *)8, 1));
    CALL("write over the edge", write(fd, p + page + 4000, 200));
    CALL("read to nowhere", pread(fd, (void *)8, 1, 0));
    CALL("read over the edge", pread(fd, p + 2 * page - 50, 96, 0));
    CALL("read to read-only", (mprotect(p, page, PROT_READ), pread(fd, p, 10, 0)));
    CALL("stat of nowhere", syscall(SYS_stat, 8, p));
    struct iovec iov[2] = {{p, 10}, {(void *)8, 10}};
    CALL("writev, second bad", writev(fd, iov, 2));
    CALL("iovec nowhere", syscall(SYS_writev, fd, 8, 2));
    iov[0].iov_len = -1;
    CALL("iovec negative", writev(fd, iov, 2));
    CALL("path at the edge", open(strcpy(p + 2 * page - 10, "no-such-f"), O_RDONLY));
    memset(p + 2 * page - 10, 'y', 10);
    CALL("path over the edge", open(p + 2 * page - 10, O_RDONLY));
    CALL("kernel address", write(fd, (void *)0xffff800000000000, 1));
    CALL("pipe to nowhere", pipe((int *)8));
    int status;
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    CALL("wait to nowhere", waitpid(pid, (int *)8, 0));
    CALL("no child is left", waitpid(pid, &status, 0));
}

static int deep(int n) {
    volatile char frame[4000];
    frame[0] = (char)n;
    return n ? deep(n - 1) + frame[0] * 0 : frame[0];
}

static void code(void) {
    unsigned char *p = map(page, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    unsigned char program[] = {0xb8, 0x2a, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
    memcpy(p, program, sizeof program);
    int came = sigsetjmp(back, 1);
    if (!came) ((int (*)(void))p)();
    SHOW("not executable", "signal %d code %d addr is right %d", came, last.si_code, last.si_addr == p);
    mprotect(p, page, PROT_READ | PROT_EXEC);
    NUM("made code", ((int (*)(void))p)());
    mprotect(p, page, PROT_READ | PROT_WRITE);
    p[1] = 43;
    mprotect(p, page, PROT_READ | PROT_EXEC);
    NUM("changed code", ((int (*)(void))p)());
}

int main(void) {
    struct sigaction action = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    anonymous();
    moves();
    forks();
    files();
    pointers();
    NUM("deep stack", deep(1500));
    code();
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        deep(1 << 20);
        _exit(0);
    }
    reap("endless recursion", pid);
    return 0;
}
