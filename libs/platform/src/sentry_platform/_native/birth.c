// Start and end: the template process, from which every stub descends, and the death of all.
#include "core.h"
#include "stub.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS // Linux 6.6
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define SYNC_WAKE_UP 1UL

struct birth { // shared with the template while it is made
	volatile int seized, listener, done;
};

struct birth_args {
	struct birth *birth;
	const struct ks_trap *trap;
	int batch_fd;
};

// The template: drop everything that the sentry's C library registered, install the stub and the filter, and park.
static int template_main(void *argument)
{
	struct birth_args *args = argument;
	struct birth *birth = args->birth;
	for (long spins = 0; !birth->seized; spins++) {
		if (spins > 2000000)
			_exit(1);
		sched_yield();
	}
	if (__rseq_size) {
		char *self;
		__asm__("mov %%fs:0, %0" : "=r"(self));
		syscall(SYS_rseq, self + __rseq_offset, 32, 1, 0x53053053);
	}
	syscall(SYS_set_robust_list, NULL, 24);
	syscall(SYS_setsid);
	for (int signo = 1; signo <= 64; signo++) {
		struct { void *handler; unsigned long flags, restorer, mask; } reset = {0};
		syscall(SYS_rt_sigaction, signo, &reset, NULL, 8);
	}
	stack_t no_stack = {.ss_flags = SS_DISABLE};
	syscall(SYS_sigaltstack, &no_stack, NULL);
	uint64_t none = 0;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
	char *stub = mmap((void *)KS_STUB, KS_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	void *batch = mmap((void *)KS_BATCH, KS_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, args->batch_fd, 0);
	if (stub != (void *)KS_STUB || batch != (void *)KS_BATCH) {
		birth->listener = -ENOMEM;
		birth->done = 1;
		_exit(1);
	}
	__builtin_memset(stub, 0xf4, KS_PAGE); // hlt
	__builtin_memcpy(stub, ks_stub_start, (size_t)(ks_stub_end - ks_stub_start));
	// When memory runs out, the host kills the guests before the sentry.
	int score = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (score >= 0) {
		syscall(SYS_write, score, "900", 3);
		syscall(SYS_close, score);
	}
	args->trap->edit(stub);
	syscall(SYS_mprotect, stub, KS_PAGE, PROT_READ | PROT_EXEC);
	syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int fd = args->trap->filter(); // from here on, only what the filter lets pass
	birth->listener = fd;
	birth->done = 1;
	if (fd < 0)
		_exit(1);
	__asm__ volatile("jmp *%0" ::"r"(KS_STUB));
	__builtin_unreachable();
}

static int boot_failed(struct ks_core *core, int tid, int error)
{
	int status;
	if (tid > 0) {
		syscall(SYS_kill, tid, SIGKILL);
		ks_host_wait(tid, &status, 0);
	}
	core->live = 0;
	return error;
}

// Make the template and its empty address space. Returns 0 or -errno: -EPERM ptrace or seccomp is forbidden; -EBUSY the
// process already has a listener; -EINVAL the host's Linux is older than 5.19.
int ks_boot(struct ks_core *core, int *template_context)
{
	enum { STACK = 64 << 10 };
	struct birth *birth = mmap(NULL, KS_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (birth == MAP_FAILED || stack == MAP_FAILED)
		return -ENOMEM;
	struct birth_args args = {birth, core->trap, core->batch_fd};
	int tid = clone(template_main, stack + STACK, CLONE_FILES | SIGCHLD, &args), r = 0;
	if (tid < 0)
		r = -errno;
	else
		r = (int)ks_trace(PTRACE_SEIZE, tid, 0, (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | core->trap->options));
	if (r < 0)
		return boot_failed(core, tid, r);
	birth->seized = 1;
	for (int spins = 0; !birth->done; spins++) {
		if (spins > 100000)
			return boot_failed(core, tid, -ETIMEDOUT);
		if (spins < 1000)
			sched_yield();
		else
			usleep(20);
	}
	if (birth->listener < 0)
		return boot_failed(core, tid, birth->listener);
	if (birth->listener > 0) {
		core->listener = birth->listener;
		fcntl(core->listener, F_SETFD, FD_CLOEXEC);
		ioctl(core->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
	}
	munmap(birth, KS_PAGE);
	munmap(stack, STACK);
	core->template = ks_context_new(core, tid, KS_RUNNING);
	core->contexts[core->template].helper = 1;
	core->contexts[core->template].batch = core->batch_count++;
	struct ks_event e;
	r = ks_helper_call(core, core->template, &e);
	struct ks_call calls[2] = {{.nr = SYS_munmap, .args = {0, KS_STUB}},
	    {.nr = SYS_munmap, .args = {KS_BATCH + KS_PAGE, KS_TOP - KS_BATCH - KS_PAGE}}};
	int64_t last = 0;
	if (!r)
		r = core->trap->walk(core, core->template, core->contexts[core->template].batch, calls, 2, &last);
	if (r != 2)
		return boot_failed(core, tid, r < 0 ? r : (int)last);
	*template_context = core->template;
	return 0;
}

// Make a core for the calling thread. Returns NULL with errno set.
struct ks_core *ks_open(int sysemu)
{
	struct ks_core *core = calloc(1, sizeof *core);
	if (!core)
		return NULL;
	core->first_free = -1;
	core->trap = sysemu ? &ks_sysemu_trap : &ks_notify_trap;
	core->listener = core->template = -1;
	if (sched_getaffinity(0, sizeof core->all, &core->all))
		return NULL;
	core->queue_size = 64;
	core->queue = malloc(core->queue_size * sizeof *core->queue);
	core->contexts = mmap(NULL, MAX_CONTEXTS * sizeof *core->contexts, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	core->by_tid = mmap(NULL, MAX_TID * sizeof *core->by_tid, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	core->batch_fd = memfd_create("sentry-batch", MFD_CLOEXEC);
	const size_t pages = MAX_SPACES * KS_PAGE;
	if (!core->queue || core->contexts == MAP_FAILED || core->by_tid == MAP_FAILED || core->batch_fd < 0 || ftruncate(core->batch_fd, (off_t)pages))
		return NULL;
	core->batch_pages = mmap(NULL, pages, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, core->batch_fd, 0);
	if (core->batch_pages == MAP_FAILED || ks_loop_open(&core->loop))
		return NULL;
	if (!core->trap->by_stops)
		return ks_claim(SIGCHLD, KS_FLAG_CHILD) ? NULL : core;
	if (ks_timer(&core->loop, SIGRTMAX - 3, &core->tick))
		return NULL;
	core->tick_made = 1;
	return ks_claim(SIGRTMAX - 3, KS_FLAG_TICK) ? NULL : core;
}

// Kill and reap every tracee, end the loop, close everything. GIL released: blocks until the last stub is dead.
void ks_close(struct ks_core *core)
{
	for (int i = 0; i < core->context_count; i++)
		if (core->contexts[i].state != KS_FREE)
			ks_condemn(&core->contexts[i]);
	for (int i = 0; i < core->context_count; i++) {
		int status, tid = core->contexts[i].tid;
		// A stop may still be reported before the death.
		for (int tries = 0; tid && core->contexts[i].state != KS_FREE && tries < 8; tries++)
			if (ks_host_wait(tid, &status, 0) < 0 || !WIFSTOPPED(status))
				break;
	}
	if (core->tick_made)
		timer_delete(core->tick);
	ks_loop_close(&core->loop);
	if (core->self_pinned)
		ks_unpin_self(core);
	if (core->listener >= 0)
		close(core->listener);
	munmap(core->batch_pages, MAX_SPACES * KS_PAGE);
	munmap(core->contexts, MAX_CONTEXTS * sizeof *core->contexts);
	munmap(core->by_tid, MAX_TID * sizeof *core->by_tid);
	close(core->batch_fd);
	free(core->queue);
	free(core);
}
