/* A hostile guest: every way that it knows to make a call of the host's kernel, or to see the host through a path.
 *
 * Each attempt asks for a directory of its own name in the working directory. One that our kernel answers lands in the
 * sandbox's overlay; the test looks on the host's side, where nothing may appear. Nothing here may hang or end the sandbox.
 */
#include "../guests/guest.h"
#include <setjmp.h>
#include <sys/time.h>

static sigjmp_buf back;
static void *last_address;

static void jump(int signo, siginfo_t *info, void *context) {
    last_address = info->si_addr;
    (void)context;
    siglongjmp(back, signo);
}

static void arm(void) {
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    int list[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS, SIGALRM};
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
        struct sigaction action = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
        sigaction(list[i], &action, NULL);
    }
}

/* A watchdog for code that may run in circles. */
static void limit(int ms) {
    struct itimerval timer = {{0, 0}, {0, ms * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static char *low; /* a name below 4 GiB, for calls with 32-bit pointers */

static const char *name_of(const char *name) { return strcpy(low, name); }

static void by_int80(void) {
    long result = -1;
    name_of("escaped-int80");
    if (!sigsetjmp(back, 1)) {
        limit(200);
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(39), "b"(low), "c"(0755) : "memory", "r8", "r9", "r10", "r11");
    }
    limit(0);
    SHOW("int80", "tried");
    (void)result;
}

static void by_x32(void) {
    long result = -1;
    name_of("escaped-x32");
    if (!sigsetjmp(back, 1)) {
        limit(200);
        __asm__ volatile("syscall" : "=a"(result) : "a"(0x40000000 | 83), "D"(low), "S"(0755) : "rcx", "r11", "memory");
    }
    limit(0);
    SHOW("x32", "tried");
    (void)result;
}

static void by_sysenter(void) {
    name_of("escaped-sysenter");
    pid_t pid = fork(); /* where it works the stack pointer is lost */
    if (pid == 0) {
        if (!sigsetjmp(back, 1)) {
            limit(200);
            __asm__ volatile("mov %%rsp, %%rbp; sysenter" : : "a"(39), "b"(low), "c"(0755) : "memory", "rdx");
        }
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    SHOW("sysenter", "tried");
}

static void by_vsyscall(void) {
    for (volatile unsigned offset = 0; offset <= 0x800; offset += 0x400) {
        if (!sigsetjmp(back, 1)) {
            limit(200);
            long (*entry)(void *, void *) = (long (*)(void *, void *))(0xffffffffff600000 + offset);
            char buffer[64];
            entry(buffer, NULL);
        }
        limit(0);
    }
    SHOW("vsyscall", "tried");
}

/* Enter code at an address with the registers of mkdir(2). */
static void enter(uintptr_t address) {
    limit(50);
    __asm__ volatile("jmp *%3" : : "a"(83), "D"(low), "S"(0755), "r"(address), "d"(0), "c"(address) : "memory", "r8", "r9", "r10", "r11");
    __builtin_unreachable();
}

/* In a child, from one address of a page on: how far it came is in shared memory, for it may hurt itself. */
static void walk(uintptr_t page, volatile unsigned *offset, volatile int *absent) {
    for (; *offset < 4096; ++*offset) {
        name_of("escaped-stub");
        last_address = NULL;
        if (!sigsetjmp(back, 1)) enter(page + *offset);
        if (*offset == 0 && last_address == (void *)page) {
            *absent = 1;
            break;
        }
    }
    _exit(0);
}

/* Jump to every address of every page above what a guest may map. */
static void by_stub(void) {
    struct shared {
        volatile unsigned offset;
        volatile int absent;
    } *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int pages = 0, hurt = 0;
    for (uintptr_t page = 0x7fffffff0000; page < 0x800000000000; page += 4096) {
        for (shared->offset = 0, shared->absent = 0; shared->offset < 4096 && !shared->absent;) {
            pid_t pid = fork();
            if (pid == 0) walk(page, &shared->offset, &shared->absent);
            unsigned before = ~0u;
            int status;
            while (!waitpid(pid, &status, WNOHANG)) { /* no progress in a tenth of a second: it runs in circles */
                if (shared->offset == before) kill(pid, SIGKILL);
                before = shared->offset;
                for (int i = 0; i < 20 && shared->offset == before && !shared->absent; i++) sleep_ms(5);
            }
            if (shared->offset < 4096 && !shared->absent) shared->offset++, hurt++;
        }
        pages += !shared->absent;
    }
    SHOW("stub", "tried");
    fprintf(stderr, "%d pages could be entered, from %d addresses the guest hurt itself\n", pages, hurt);
}

/* Read (and write) memory above what a guest may map. */
static void by_memory(void) {
    volatile int readable = 0, writable = 0;
    for (volatile uintptr_t page = 0x7fffffff0000; page < 0x800000000000; page += 4096) {
        if (!sigsetjmp(back, 1)) readable += *(volatile char *)page | 1;
        if (!sigsetjmp(back, 1)) *(volatile char *)(page + 128) = 0, writable++;
    }
    TRUTH("no page above is writable", writable == 0);
    CALL("nor mapped over", mmap((void *)0x7ffffffff000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    (void)readable;
}

static const char *prefixes[] = {"/proc", "//proc", "/./proc", "/dev/../proc", "/proc/self/root/proc", "/proc/1/root/proc",
                                 "/proc/self/cwd/../../../../../../../../proc", "/proc/thread-self/root/proc", "/dev/fd/../../root/proc",
                                 "/proc/self/fd/../root/proc", "/proc/self/task/../root/proc", "/sys/../proc", "/tmp/link-to-proc", NULL};

/* Whether a file below some name of /proc tells of the host's process. */
static int tells(const char *path, const char *secret) {
    static char text[65536];
    int fd = open(path, O_RDONLY);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    return n > 0 && memmem(text, n, secret, strlen(secret)) != NULL;
}

static void by_paths(const char *host_pid, const char *secret) {
    char path[PATH_MAX];
    int seen = 0, memories = 0;
    if (symlink("/proc", "/tmp/link-to-proc")) perror("symlink");
    for (int i = 0; prefixes[i]; i++) {
        snprintf(path, sizeof path, "%s/%s/status", prefixes[i], host_pid);
        seen += access(path, F_OK) == 0;
        const char *files[] = {"environ", "cmdline", "maps", "status", "mountinfo"};
        const char *who[] = {"self", "1", "2", "thread-self", host_pid};
        for (int j = 0; j < 5; j++)
            for (int k = 0; k < 5; k++) {
                snprintf(path, sizeof path, "%s/%s/%s", prefixes[i], who[k], files[j]);
                seen += tells(path, secret);
            }
        for (int k = 0; k < 5; k++) {
            snprintf(path, sizeof path, "%s/%s/mem", prefixes[i], who[k]);
            int fd = open(path, O_RDWR);
            if (fd < 0) continue;
            /* What is opened must be memory of a guest: ours holds this word at this address. */
            static char word[] = "a word of the guest";
            char found[sizeof word] = "";
            ssize_t n = pread(fd, found, sizeof word, (off_t)(uintptr_t)word);
            memories += n == sizeof word && memcmp(found, word, sizeof word) != 0;
            close(fd);
        }
    }
    NUM("host's processes seen", seen);
    NUM("foreign memories opened", memories);
    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) != -1) SHOW("descriptor of another", "%d", fd);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    char secret[100] = ""; /* given backwards: else our own command line would tell it */
    for (size_t i = strlen(argv[2]); i > 0; i--) strncat(secret, &argv[2][i - 1], 1);
    by_paths(argv[1], secret);
    arm();
    by_int80();
    by_x32();
    by_sysenter();
    by_vsyscall();
    by_memory();
    by_stub();
    SHOW("end", "reached");
    return 0;
}
