/* What a handler reads of an exception: siginfo, and the vector, error code and CR2 in its frame. */
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf back;
static char *gone, *fixed, *plain, *edge;

static const char *place(uint64_t addr) {
    static char text[32];
    char *at = (char *)addr;
    if (at >= gone && at < gone + 4096) return "gone";
    if (at >= fixed && at < fixed + 4096) return "fixed";
    if (at >= plain && at < plain + 4096) return "plain";
    if (at == edge + 4096) return "behind the edge";
    if (addr >= 0x10000 && addr < 0xffff000000000000) return "code";
    sprintf(text, "%lx", (long)addr);
    return text;
}

static const char *name;
static int count;

static void show(int signo, siginfo_t *info, void *context) {
    __asm__ volatile("pushf; andl $~0x40100, (%%rsp); popf" ::: "cc", "memory"); /* AC and TF */
    if (++count > 200) _exit(1);
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    char at[32];
    strcpy(at, place((uint64_t)info->si_addr));
    SHOW(name, "signal %d, code %d at %s, vector %d, error %llx%s%s", signo, info->si_code, at, (int)regs[REG_TRAPNO],
         regs[REG_ERR], regs[REG_TRAPNO] == 14 ? ", cr2 " : "", regs[REG_TRAPNO] == 14 ? place((uint64_t)regs[REG_CR2]) : "");
    siglongjmp(back, 1);
}

/* Execute something with rdi at the address in question and rsi and rdx at good memory. */
#define DO(label, address, text)                                                                                  \
    do {                                                                                                          \
        name = label;                                                                                             \
        if (!sigsetjmp(back, 1)) {                                                                                \
            char *rdi_ = (address), *rsi_ = plain;                                                                \
            long rcx_ = 1;                                                                                        \
            __asm__ volatile(text : "+D"(rdi_), "+S"(rsi_), "+c"(rcx_) : "a"(0L), "d"(plain)                      \
                             : "memory", "cc", "rbx", "xmm0", "xmm1");                                              \
            SHOW(name, "nothing");                                                                                \
        }                                                                                                         \
    } while (0)

/* The same instruction at an address that is not mapped and at a page that is read-only. */
#define BOTH(text)                          \
    do {                                    \
        DO(text " where nothing is", gone + 64, text); \
        DO(text " where it may not write", fixed + 64, text); \
    } while (0)

static void reads(void) {
    DO("mov from", gone, "mov (%%rdi), %%ebx");
    DO("cmp", gone, "cmpl $1, (%%rdi)");
    DO("cmp with a register", gone, "cmpl %%eax, (%%rdi)");
    DO("test", gone, "testb %%al, (%%rdi)");
    DO("bit test", gone, "btl $3, (%%rdi)");
    DO("movups from", gone, "movups (%%rdi), %%xmm0");
    DO("movq from", gone, "movq (%%rdi), %%xmm0");
    DO("push of memory", gone, "pushq (%%rdi)");
    DO("call of memory", gone, "call *(%%rdi)");
    DO("lods", gone, "mov %%rdi, %%rsi; lodsb");
    DO("movs from", gone, "xchg %%rdi, %%rsi; rep movsb");
    DO("cmps", gone, "cmpsb");
    DO("fld", gone, "fldl (%%rdi)");
    DO("fldcw", gone, "fldcw (%%rdi)");
    DO("mul", gone, "mull (%%rdi)");
    DO("ldmxcsr", gone, "ldmxcsr (%%rdi)");
    DO("read far from its page", gone, "movl 4(%%rdi), %%ebx");
    DO("read of null", NULL, "movl (%%rdi), %%ebx");
}

static void writes(void) {
    BOTH("movl %%eax, (%%rdi)");
    BOTH("movb $1, (%%rdi)");
    BOTH("movq $1, 8(%%rdi)");
    BOTH("stosb");
    BOTH("rep movsb");
    BOTH("movups %%xmm0, (%%rdi)");
    BOTH("movq %%xmm0, (%%rdi)");
    BOTH("movd %%xmm0, (%%rdi)");
    BOTH("movnti %%eax, (%%rdi)");
    BOTH("maskmovdqu %%xmm0, %%xmm1");
    BOTH("sete (%%rdi)");
    BOTH("addl %%eax, (%%rdi)");
    BOTH("lock addl %%eax, (%%rdi)");
    BOTH("incl (%%rdi)");
    BOTH("notl (%%rdi)");
    BOTH("shll $1, (%%rdi)");
    BOTH("xchg %%eax, (%%rdi)");
    BOTH("lock cmpxchgl %%ecx, (%%rdi)");
    BOTH("lock xaddl %%eax, (%%rdi)");
    BOTH("lock btsl $1, (%%rdi)");
    BOTH("fstpl (%%rdi)");
    BOTH("fnstcw (%%rdi)");
    BOTH("stmxcsr (%%rdi)");
    BOTH("popq (%%rdi)");
    DO("push to the stack", gone + 64, "mov %%rsp, %%rbx; mov %%rdi, %%rsp; pushq %%rax; mov %%rbx, %%rsp");
    DO("push of memory to the stack", gone + 64, "mov %%rsp, %%rbx; mov %%rdi, %%rsp; pushq (%%rsi); mov %%rbx, %%rsp");
    DO("call of memory to the stack", gone + 64, "mov %%rsp, %%rbx; mov %%rdi, %%rsp; callq *(%%rsi); mov %%rbx, %%rsp");
    DO("call to the stack", gone + 64, "mov %%rsp, %%rbx; mov %%rdi, %%rsp; call 1f; 1: mov %%rbx, %%rsp");
    DO("pop from the stack", gone + 64, "mov %%rsp, %%rbx; mov %%rdi, %%rsp; pop %%rax; mov %%rbx, %%rsp");
    DO("write to null", NULL, "movl %%eax, (%%rdi)");
    DO("write to the kernel's half", (char *)0xffff800000000000, "movl %%eax, (%%rdi)");
    DO("read of the kernel's half", (char *)0xffffc00000000000, "movl (%%rdi), %%eax");
}

static void fetches(void) {
    DO("jump to null", NULL, "jmp *%%rdi");
    DO("jump where nothing is", gone, "jmp *%%rdi");
    DO("jump to data", plain, "jmp *%%rdi");
    edge[4095] = 0x0f;
    DO("code that runs off its page", edge + 4095, "jmp *%%rdi");
}

static void traps(void) {
    DO("ud2", NULL, "ud2");
    DO("int3", NULL, "int3");
    DO("int1", NULL, ".byte 0xf1");
    DO("hlt", NULL, "hlt");
    DO("int 0x81", NULL, "int $0x81");
    DO("not canonical", (char *)0x8000000000000000, "movl (%%rdi), %%eax");
    DO("division by zero", NULL, "xor %%ecx, %%ecx; xor %%edx, %%edx; divl %%ecx");
    DO("single step", NULL, "pushf; orl $0x100, (%%rsp); popf; nop; nop; nop");
    DO("alignment", plain + 1, "pushf; orl $0x40000, (%%rsp); popf; movl (%%rdi), %%eax");
    short control = 0x340;
    DO("x87 division", (char *)&control, "fldcw (%%rdi); fld1; fldz; fdivrp; fwait");
    __asm__ volatile("fninit");
    int masks = 0x1d80;
    DO("SSE division", (char *)&masks, "ldmxcsr (%%rdi); mov $1, %%ebx; cvtsi2ss %%ebx, %%xmm1; xorps %%xmm0, %%xmm0; divss %%xmm0, %%xmm1");
}

int main(void) {
    gone = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fixed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(fixed, 1, 4096);
    mprotect(fixed, 4096, PROT_READ);
    plain = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(plain, 0x80, 4096);
    edge = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    edge[0] = 0;
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = show, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    const int list[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) sigaction(list[i], &action, NULL);
    SHOW("begun", "%d", 1);
    gone += 4096;
    munmap(gone, 4096), munmap(edge + 4096, 4096); /* after the last allocation */
    reads();
    writes();
    fetches();
    traps();
    return 0;
}
