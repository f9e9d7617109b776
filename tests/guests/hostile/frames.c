// Forged signal frames: what rt_sigreturn makes of registers and state that no kernel has saved. Each in a child, how it ended printed.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static int way;
static char copy[8192] __attribute__((aligned(64)));

static void selector(ucontext_t *u, int shift, uint64_t value)
{
	greg_t *word = &u->uc_mcontext.gregs[REG_CSGSFS];
	*word = (*word & ~(0xffffL << shift)) | value << shift;
}

// The length of the extended state in a frame (struct _fpx_sw_bytes): what lies behind it may be the end of the stack.
static size_t extended_size(const char *fp)
{
	uint32_t size;
	memcpy(&size, fp + 468, 4);
	return size < sizeof copy ? size : sizeof copy;
}

static void forge(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *g = u->uc_mcontext.gregs;
	char *fp = (char *)u->uc_mcontext.fpregs;
	switch (way) {
	case 0: g[REG_RIP] = 1L << 63; break;
	case 1: g[REG_RIP] = 0xffffffff81000000; break;
	case 2: g[REG_RIP] = 0x7ffffffff000; break;
	case 3: selector(u, 0, 0x10); break; // the kernel's code segment
	case 4: selector(u, 0, 0); break;
	case 5: selector(u, 0, 0xfff8); break;
	case 6: selector(u, 48, 0x18); break; // ss: the kernel's
	case 7: g[REG_EFL] |= 0x3000; break;  // IOPL
	case 8: g[REG_EFL] |= 0x100; break;   // TF
	case 9: g[REG_EFL] |= 0x1b0000; break; // RF VM VIF VIP
	case 10: u->uc_mcontext.fpregs = (void *)8; break;
	case 11: u->uc_mcontext.fpregs = (void *)0xffffffff81000000; break;
	case 12: memset(fp + 24, 0xff, 4); break;   // mxcsr
	case 13: memset(fp + 512, 0xff, 64); break; // the header of the extended state
	case 14: memset(fp + 464, 0, 48); break;    // the magic: only the old state counts
	case 15: memset(fp + 464, 0xff, 48); break;
	case 16: memset(&u->uc_sigmask, 0xff, 8); break; // SIGKILL cannot be blocked
	case 17: g[REG_RSP] = 0xffffffff81000000; break;
	case 18: u->uc_stack.ss_size = 1, u->uc_stack.ss_sp = (void *)-1L, u->uc_stack.ss_flags = 0xff; break;
	case 19: u->uc_flags = -1L; break;
	case 20: memcpy(copy, fp, extended_size(fp)), u->uc_mcontext.fpregs = (void *)copy; break;
	case 21: u->uc_mcontext.fpregs = NULL; break;
	}
}

int main(void)
{
	for (way = 0; way < 25; way++) {
		pid_t pid = fork();
		if (!pid) {
			struct sigaction action = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO};
			sigaction(SIGUSR1, &action, NULL);
			alarm(5);
			if (way == 22)
				__asm__ volatile("mov $8, %%rsp\n mov $15, %%eax\n syscall" : : : "rax", "memory");
			else if (way == 23)
				__asm__ volatile("mov $0xffffffff81000000, %%rsp\n mov $15, %%eax\n syscall" : : : "rax", "memory");
			else if (way == 24) // a frame of nothing but zeros
				__asm__ volatile("lea %0, %%rsp\n mov $15, %%eax\n syscall" : : "m"(copy[1024]) : "rax", "memory");
			raise(SIGUSR1);
			if (way == 16)
				kill(getpid(), SIGKILL);
			volatile double third = 1.0;
			third /= 3;
			_exit(third > 0.33 && third < 0.34 ? 0 : 1);
		}
		int status;
		waitpid(pid, &status, 0);
		printf("%d: %s %d\n", way, WIFSIGNALED(status) ? "signal" : "exit", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		fflush(stdout);
	}
	return 0;
}
