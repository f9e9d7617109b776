/* Signals: handlers, their siginfo, masks, order, waiting, stacks, stops, default actions. */
#include "guest.h"
#include <setjmp.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile sig_atomic_t seen[80], count;
static siginfo_t last;

static void record(int signo, siginfo_t *info, void *context) {
    (void)context;
    last = *info;
    if (count < 80) seen[count++] = signo;
}

static void on(int signo, int flags) {
    struct sigaction action = {.sa_sigaction = record, .sa_flags = SA_SIGINFO | flags};
    sigaction(signo, &action, NULL);
}

static void show_seen(const char *name) {
    char text[400] = "";
    for (int i = 0; i < count; i++) sprintf(text + strlen(text), " %d", seen[i]);
    SHOW(name, "%s", text);
    count = 0;
}

static void siginfo(void) {
    on(SIGUSR1, 0);
    CALL("kill self", kill(getpid(), SIGUSR1));
    show_seen("delivered");
    SHOW("kill says", "code %d, from self %d, uid %d", last.si_code, last.si_pid == getpid(), last.si_uid == getuid());
    raise(SIGUSR1);
    NUM("raise says code", last.si_code);
    union sigval value = {.sival_int = 1234};
    CALL("sigqueue", sigqueue(getpid(), SIGUSR1, value));
    SHOW("sigqueue says", "code %d, value %d", last.si_code, last.si_value.sival_int);
    show_seen("delivered");
}

static void masks(void) {
    sigset_t set, old;
    on(SIGUSR1, 0), on(SIGUSR2, 0), on(SIGRTMIN, 0), on(SIGRTMIN + 1, 0);
    sigfillset(&set);
    CALL("block all", sigprocmask(SIG_BLOCK, &set, &old));
    kill(getpid(), SIGUSR2);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 3; i++) sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i});
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 9});
    sigset_t pending;
    sigpending(&pending);
    SHOW("pending", "%d %d %d %d", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2),
         sigismember(&pending, SIGRTMIN), sigismember(&pending, SIGHUP));
    show_seen("while blocked");
    struct timespec none = {0, 0};
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    for (int i = 0; i < 3; i++) {
        NUM("sigtimedwait", sigtimedwait(&set, &info, &none));
        NUM("in order of queueing", info.si_value.sival_int);
    }
    CALL("none is left", sigtimedwait(&set, &info, &none));
    struct timespec some = {0, 20000000};
    int64_t begun = now_ns(CLOCK_MONOTONIC);
    CALL("wait in vain", sigtimedwait(&set, &info, &some));
    TRUTH("takes its time", now_ns(CLOCK_MONOTONIC) - begun >= 20000000);
    sigprocmask(SIG_SETMASK, &old, NULL);
    show_seen("after unblocking"); /* each handler is entered on top of the one before it */
    sigemptyset(&set);
    CALL("SIGKILL cannot be caught", sigaction(SIGKILL, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    CALL("bad how", syscall(SYS_rt_sigprocmask, 7, &set, NULL, 8));
    CALL("bad size", syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4));
}

static void during(int signo, siginfo_t *info, void *context) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    SHOW("in the handler", "self blocked %d, mask of action blocked %d, other %d", sigismember(&mask, signo),
         sigismember(&mask, SIGWINCH), sigismember(&mask, SIGHUP));
    (void)info, (void)context;
}

static void suspends(void) {
    struct sigaction action = {.sa_sigaction = during, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGWINCH);
    sigaction(SIGALRM, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    struct itimerval timer = {{0, 0}, {0, 20000}};
    CALL("setitimer", setitimer(ITIMER_REAL, &timer, NULL));
    CALL("sigsuspend", sigsuspend(&none));
    setitimer(ITIMER_REAL, &timer, NULL);
    CALL("pause", pause());
    setitimer(ITIMER_REAL, &timer, NULL);
    struct timespec second = {1, 0}, left = {0, 0};
    CALL("nanosleep", nanosleep(&second, &left));
    TRUTH("time is left", left.tv_sec == 0 && left.tv_nsec > 500000000);
    alarm(100);
    TRUTH("alarm gives the old one", alarm(0) == 100);
}

static sigjmp_buf back;
static void jump(int signo, siginfo_t *info, void *context) {
    last = *info;
    (void)context;
    siglongjmp(back, signo);
}

static void resets(void) {
    on(SIGUSR1, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction action;
    sigaction(SIGUSR1, NULL, &action);
    TRUTH("SA_RESETHAND", action.sa_handler == SIG_DFL);
    count = 0;
    struct sigaction jumps = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGUSR2, &jumps, NULL);
    int came = sigsetjmp(back, 1);
    if (!came) raise(SIGUSR2);
    NUM("jumped out", came);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    TRUTH("mask is restored", !sigismember(&mask, SIGUSR2));
}

static char *stack_low;
static void on_stack(int signo) {
    char here;
    stack_t now;
    sigaltstack(NULL, &now);
    SHOW("on the other stack", "%d, flags %d", &here > stack_low && &here < stack_low + 65536, now.ss_flags);
    (void)signo;
}

static void stacks(void) {
    stack_low = malloc(65536);
    stack_t stack = {.ss_sp = stack_low, .ss_size = 65536};
    CALL("sigaltstack", sigaltstack(&stack, NULL));
    struct sigaction action = {.sa_handler = on_stack, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    stack.ss_size = 100;
    CALL("too small", sigaltstack(&stack, NULL));
    stack.ss_flags = SS_DISABLE;
    CALL("disable", sigaltstack(&stack, NULL));
}

static void faults(void) {
    struct sigaction jumps = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &jumps, NULL), sigaction(SIGFPE, &jumps, NULL);
    sigaction(SIGILL, &jumps, NULL), sigaction(SIGTRAP, &jumps, NULL);
    int came = sigsetjmp(back, 1);
    if (!came) *(volatile int *)0x10 = 1;
    SHOW("null", "signal %d code %d addr %p", came, last.si_code, last.si_addr);
    came = sigsetjmp(back, 1);
    volatile int zero = 0;
    if (!came) zero = 7 / zero;
    SHOW("division", "signal %d code %d", came, last.si_code);
    came = sigsetjmp(back, 1);
    if (!came) __asm__ volatile("ud2");
    SHOW("ud2", "signal %d code %d", came, last.si_code);
    came = sigsetjmp(back, 1);
    if (!came) __asm__ volatile("int3");
    SHOW("int3", "signal %d code %d", came, last.si_code);
    came = sigsetjmp(back, 1);
    if (!came) *(volatile char *)0x8000000000000000 = 1;
    SHOW("non-canonical", "signal %d code %d addr %p", came, last.si_code, last.si_addr);
    came = sigsetjmp(back, 1);
    if (!came) __asm__ volatile("hlt");
    SHOW("privileged", "signal %d code %d", came, last.si_code);
}

static void wreck(int signo) {
    volatile double x = 1.5;
    for (int i = 0; i < 100; i++) x *= 1.1;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::: "xmm0", "xmm7", "xmm15");
    (void)signo;
}

static void registers(void) {
    signal(SIGUSR1, wreck);
    uint64_t a = 0x1122334455667788, b = 0x99aabbccddeeff00, c, d;
    long pid = getpid(), result;
    __asm__ volatile(
        "movq %4, %%xmm7; movq %5, %%xmm15; mov $62, %%eax; mov %3, %%rdi; mov $10, %%esi; syscall;"
        "movq %%xmm7, %1; movq %%xmm15, %2"
        : "=&a"(result), "=&r"(c), "=&r"(d)
        : "r"(pid), "r"(a), "r"(b)
        : "rdi", "rsi", "rcx", "r11", "memory", "xmm7", "xmm15");
    SHOW("vector registers survive a handler", "%d %d %ld", a == c, b == d, result);
}

static void context_change(int signo, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    uc->uc_mcontext.gregs[REG_RIP] += 2; /* over ud2 */
    uc->uc_mcontext.gregs[REG_RBX] = 4711;
    (void)signo, (void)info;
}

static void contexts(void) {
    struct sigaction action = {.sa_sigaction = context_change, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &action, NULL);
    long value;
    __asm__ volatile("xor %%ebx, %%ebx; ud2; mov %%rbx, %0" : "=r"(value) : : "rbx");
    NUM("a handler changes registers", value);
}

static void defaults(void) {
    int list[] = {SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGUSR1, SIGPIPE, SIGALRM, SIGTERM, SIGCHLD, SIGWINCH, SIGURG,
                  SIGCONT, SIGXCPU, SIGSYS, SIGVTALRM, SIGIO, SIGPWR, SIGSTKFLT, 34, 64};
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            signal(list[i], SIG_DFL);
            kill(getpid(), list[i]);
            _exit(0);
        }
        char name[32];
        sprintf(name, "default of %d", list[i]);
        reap(name, pid);
    }
}

static void stops(void) {
    on(SIGCHLD, SA_RESTART);
    /* A group of its own with its parent in the same session: not orphaned, so SIGTSTP stops it. */
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        for (;;) pause();
    }
    setpgid(pid, pid);
    int status;
    kill(pid, SIGSTOP);
    TRUTH("WUNTRACED", waitpid(pid, &status, WUNTRACED) == pid);
    show_status("stop", status);
    SHOW("SIGCHLD says", "code %d status %d", last.si_code, last.si_status);
    kill(pid, SIGCONT);
    TRUTH("WCONTINUED", waitpid(pid, &status, WCONTINUED) == pid);
    show_status("continue", status);
    kill(pid, SIGTSTP);
    waitpid(pid, &status, WUNTRACED);
    show_status("SIGTSTP", status);
    kill(pid, SIGTERM); /* stays pending until it goes on */
    CALL("still stopped", waitpid(pid, &status, WNOHANG));
    kill(pid, SIGCONT);
    reap("terminated", pid);
    /* The notice of its death is lost when that of its going on is still pending. */
    TRUTH("SIGCHLD came", last.si_code == CLD_CONTINUED || last.si_code == CLD_KILLED);
    count = 0;
    signal(SIGCHLD, SIG_IGN);
    pid = fork();
    if (pid == 0) _exit(3);
    CALL("ignored SIGCHLD leaves no zombie", waitpid(pid, &status, 0));
    signal(SIGCHLD, SIG_DFL);
}

int main(void) {
    siginfo();
    masks();
    suspends();
    resets();
    stacks();
    faults();
    registers();
    contexts();
    defaults();
    stops();
    return 0;
}
