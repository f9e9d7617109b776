// Random system calls with hostile arguments: random SEED COUNT. Each child makes a number of calls and may do to itself what it likes;
// the kernel must survive. Prints how many calls were made, and "alive" in the end.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t state;
static char *area, *edge;
static uint64_t *made;

static uint64_t next(void)
{
	state ^= state << 13, state ^= state >> 7, state ^= state << 17;
	return state;
}

static uint64_t argument(void)
{
	static const uint64_t odd[] = {0, 1, -1UL, 0x7fffffff, 0x80000000, 0xffffffff, 1UL << 63, 0x7fffffffffffffff, 0x7ffffffff000,
	                               0x7fffffff0000, 0x7fffffff1000, 0xffffffffff600000, 4096, 4095, 4097, 65536, 1UL << 32, 1UL << 47, -4096UL, 100, 8, 16};
	switch (next() % 12) {
	case 0: case 1: return odd[next() % (sizeof odd / sizeof *odd)];
	case 2: case 3: return (uint64_t)area + next() % 4096;
	case 4: return (uint64_t)edge - next() % 64;
	case 5: return next();
	case 6: return next() % 64;
	case 7: return 1UL << next() % 64;
	case 8: return -(next() % 4096);
	case 9: return (uint64_t)area + 4096 + next() % 16 * 64; // names and structs
	default: return next() % 16;
	}
}

static void fill(void)
{
	static const char *const names[] = {"/tmp/a", "/tmp/b", "/tmp/d/e", "/proc/self/fd/0", "/proc/self/maps", "/dev/null", "/", ".", "..", "",
	                                    "/dev/ptmx", "/proc/self/mem", "/etc/passwd", "/proc/self/exe", "/tmp", "//../../x"};
	for (int i = 0; i < 16; i++)
		strcpy(area + 4096 + i * 64, names[i]);
	uint64_t *words = (uint64_t *)area;
	for (int i = 0; i < 512; i++)
		words[i] = argument();
}

static void child(int calls)
{
	alarm(2);
	fill();
	for (int i = 0; i < calls; i++) {
		uint64_t nr = next() % 470;
		if (nr == SYS_exit || nr == SYS_exit_group || nr == SYS_pause || nr == SYS_rt_sigsuspend || nr == SYS_vfork)
			continue;
		__atomic_add_fetch(made, 1, __ATOMIC_RELAXED);
		if (nr == SYS_kill || nr == SYS_tgkill || nr == SYS_tkill) // it may end itself, but not the others
			syscall(nr, getpid(), getpid(), next() % 70);
		else if (nr == SYS_rt_sigqueueinfo || nr == SYS_process_vm_writev || nr == SYS_prlimit64)
			syscall(nr, getpid(), argument(), argument(), argument(), argument(), argument());
		else if (nr == SYS_rt_tgsigqueueinfo)
			syscall(nr, getpid(), getpid(), argument(), argument());
		else if (nr == SYS_fork || nr == SYS_clone || nr == SYS_clone3) {
			if (next() % 8 == 0 && syscall(SYS_fork) == 0)
				calls = i + 10;
		} else
			syscall(nr, argument(), argument(), argument(), argument(), argument(), argument());
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	uint64_t seed = strtoull(argv[1], 0, 0);
	int count = atoi(argv[2]);
	area = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	edge = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
	mprotect(edge, 4096, PROT_NONE);
	made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();
		if (!pid) {
			setsid();
			dup2(null, 0), dup2(null, 1), dup2(null, 2);
			state = seed * 1000003 + i * 7919 + 88172645463325252ULL;
			for (int k = 0; k < 8; k++)
				next();
			child(200);
		}
		int status, waited = 0; // it may have stopped itself, or lost its alarm
		for (; waitpid(pid, &status, WNOHANG) != pid; waited++) {
			if (waited == 3000)
				kill(pid, SIGKILL);
			if (waited == 6000)
				return 1;
			usleep(1000);
		}
	}
	printf("%lu calls\nalive\n", *made);
	fflush(stdout);
	_exit(0); // children of the children may still be there: their init's end is theirs
}
