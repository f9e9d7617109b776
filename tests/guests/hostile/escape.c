// Tries to get out: every address of the platform's own pages, foreign ways into the kernel, and the host's /proc by every
// path that leads there. argv[1] is a folder that no call here may make on the host.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define STUB 0x7fffffff0000UL
#define BATCH 0x7fffffff1000UL

static const char *forbidden;
static struct { uint64_t nr, args[6], unused; } calls[64]; // looks like a batch of the sentry's
static volatile uint64_t last_result;

static void caught(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	last_result = u->uc_mcontext.gregs[REG_RSI];
	_exit(last_result == (uint64_t)getpid() ? 77 : 66);
}

static void run_at(uint64_t address)
{
	__asm__ volatile("mov %0, %%rbx\n mov $3, %%r12\n xor %%ebp, %%ebp\n mov $3, %%eax\n jmp *%1"
	                 : : "r"(calls), "r"(address) : "rbx", "r12", "rax", "memory");
	__builtin_unreachable();
}

static int in_child(void (*attack)(uint64_t), uint64_t argument)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
		static char stack[65536];
		stack_t s = {.ss_sp = stack, .ss_size = sizeof stack};
		sigaltstack(&s, NULL);
		sigaction(SIGSEGV, &action, NULL);
		sigaction(SIGILL, &action, NULL);
		sigaction(SIGTRAP, &action, NULL);
		sigaction(SIGBUS, &action, NULL);
		alarm(5);
		calls[2].nr = SYS_getpid;
		attack(argument);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static long int80(long nr, long a, long b)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b) : "memory", "r8", "r9", "r10", "r11");
	return result;
}

static void foreign(uint64_t way)
{
	static char *low;
	low = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	strcpy(low, forbidden);
	if (way == 0)
		_exit(int80(39, (long)low, 0700) == -ENOSYS ? 1 : 2);
	if (way == 1)
		_exit(syscall(0x40000000 | SYS_mkdir, low, 0700) == -1 && errno == ENOSYS ? 1 : 2);
	if (way == 2)
		__asm__ volatile("mov $39, %%eax\n mov %0, %%rbx\n mov $0700, %%ecx\n mov %%rsp, %%rbp\n sysenter" : : "r"(low) : "rax", "rbx", "rcx", "memory");
	if (way == 3) { // the vsyscall page, where it is: gettimeofday
		struct timeval tv = {0, 0};
		((long (*)(struct timeval *, void *))0xffffffffff600000UL)(&tv, NULL);
		_exit(tv.tv_sec > 0 ? 1 : 2);
	}
	if (way == 4) // into the middle of it
		((void (*)(void))0xffffffffff600001UL)();
	if (way == 5)
		*(volatile char *)STUB = 0;
	if (way == 6)
		*(volatile char *)BATCH = 0;
	if (way == 7)
		_exit(mprotect((void *)STUB, 4096, PROT_READ | PROT_WRITE) == -1 && munmap((void *)BATCH, 4096) == -1 ? 1 : 2);
	if (way == 8)
		_exit(mmap((void *)STUB, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? 1 : 2);
	if (way == 9) // numbers beyond the table, and the stub's own
		_exit(syscall(0x1000, 3, 0) == -1 && errno == ENOSYS && syscall(-1) == -1 && syscall(1UL << 33 | SYS_getpid) != 0 ? 1 : 2);
}

static const char *const proc_paths[] = {
	"/proc", "/proc/self/root/proc", "/dev/../proc", "/proc/self/cwd/../../../../../../proc", "/proc/1/root/proc",
	"/proc/thread-self/root/proc", "/sys/../proc", "/tmp/../proc", "/dev/fd/../../root/proc",
};

static void show(const char *what, int ok) { printf("%s: %s\n", what, ok ? "held" : "ESCAPED"); }

int main(int argc, char **argv)
{
	forbidden = argv[1];
	char path[4096], text[4096];
	calls[0].nr = SYS_mkdir;
	calls[0].args[0] = (uint64_t)forbidden;
	calls[0].args[1] = 0700;
	calls[1].nr = SYS_getppid;
	int alive = 0, own = 0;
	for (uint64_t address = STUB; address < STUB + 192; address++) {
		int end = in_child(run_at, address);
		alive++;
		own += end == 77; // the walker's calls were made, and were our kernel's: getpid said so
	}
	for (uint64_t address = STUB + 192; address < BATCH + 4096; address += 64)
		in_child(run_at, address), alive++;
	show("stub pages", alive > 192);
	show("calls made there are the guest's own", own > 0);
	static const char *const names[] = {"int 0x80", "x32", "sysenter", "vsyscall", "inside vsyscall", "write to the stub",
	                                    "write to the batch", "unprotect the stub", "map over the stub", "odd numbers"};
	for (int way = 0; way < 10; way++) {
		int end = in_child(foreign, way);
		show(names[way], end == 1 || end == 66 || end == -SIGSEGV || end == -SIGILL || end == -SIGTRAP);
	}
	// The host's /proc: what is there must be ours, and no mem file of anything but a guest task.
	for (size_t i = 0; i < sizeof proc_paths / sizeof *proc_paths; i++) {
		snprintf(path, sizeof path, "%s/version", proc_paths[i]);
		int fd = open(path, O_RDONLY);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
		text[n > 0 ? n : 0] = 0;
		show(proc_paths[i], fd < 0 || strstr(text, "sentry"));
		if (fd >= 0)
			close(fd);
		snprintf(path, sizeof path, "%s/self/mem", proc_paths[i]);
		fd = open(path, O_RDWR);
		if (fd >= 0) { // if there is one, it shows this very process
			static volatile int mine = 1;
			int other = 2;
			show("mem is our own", pwrite(fd, &other, sizeof other, (off_t)&mine) == -1 ? mine == 1 : mine == 2);
			close(fd);
		}
	}
	struct iovec mine = {text, 8}, theirs = {(void *)0x10000, 8};
	show("process_vm_readv", process_vm_readv(getppid(), &mine, 1, &theirs, 1, 0) == -1);
	show("ptrace", syscall(SYS_ptrace, 16, getppid(), 0, 0) == -1);
	mkdir("m", 0700);
	int mounted = mount("proc", "m", "proc", 0, NULL) == 0;
	int version = open("m/version", O_RDONLY);
	ssize_t got = version < 0 ? 0 : read(version, text, sizeof text - 1);
	text[got > 0 ? got : 0] = 0;
	show("mount proc", !mounted || strstr(text, "sentry"));
	int dir = open("/", O_RDONLY | O_DIRECTORY);
	char exe[4096];
	ssize_t n = readlinkat(dir, "../../../../../../proc/self/exe", exe, sizeof exe);
	show("exe is ours", n > 0 && memmem(exe, n, "escape", 6));
	show("a device node is no way out", mknod("kmem", S_IFCHR | 0600, 0x101) == -1 || open("kmem", O_RDONLY) == -1);
	puts("alive");
	return 0;
}
