// The notify platform: guest calls arrive as seccomp user notifications, everything else through ptrace.
//
// Life: ks_open; ks_boot makes the template process; ks_space_new and ks_thread_new make helpers and guest threads by host
// clones; ks_next answers one context and waits for the next event of any; ks_close kills and reaps all.
//
// The filter is one instruction that notifies of every call, so no call of a stub reaches the host kernel unless the sentry
// answers CONTINUE, which it does for its own batches alone. ptrace serves stops, registers and faults. A wait must end for
// either kind of news: the signal handler below raises a flag, and where it lands between the test of the flag and the wait,
// it moves the instruction pointer, so that no wakeup is lost and none costs a further host call.
#include "ks_tracees.h"
#include "stub.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS // Linux 6.6
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // Linux 5.19
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#define SYNC_WAKE_UP 1UL
#define X32_BIT 0x40000000
#define VSYSCALL_PAGE 0xffffffffff600000UL
#define MAX_TID (4 << 20) // PID_MAX_LIMIT
#define MAX_CONTEXTS 65536
#define MAX_SPACES 32768
#define RING 1024
#define KS_HELPER_CALL 100 // internal kinds
#define KS_NOTHING 101

struct context {
	uint64_t id; // notification that waits for an answer
	int tid, state, batch;
	uint8_t helper;
	uint8_t fresh;  // bit 0: registers, bit 1: extended state still to be written before it may run
	uint8_t wanted; // an interrupt was asked for and no event came since
	uint8_t stale;  // another event came first: the stop that still follows is absorbed
	uint8_t pinned; // held on the sentry's CPU until it runs again
	int next_free;
};

struct ks_core {
	struct ks_event event;
	struct seccomp_notif notif;
	struct context *contexts;
	int32_t *by_tid;
	char *batch_pages;
	struct ks_event *queue;
	uint32_t queue_head, queue_tail, queue_size;
	int context_count, first_free, batch_count, batch_free[64], batch_free_count;
	int listener, batch_fd, template, cloned, newborn;
	int timer_made, live;
	int64_t armed_ns;
	timer_t timer;
	int epoll_fd, thread_made;
	pthread_t thread;
	struct { int32_t fd; uint32_t mask; } ring[RING];
	volatile uint32_t ring_head, ring_tail;
	pid_t owner;
	cpu_set_t all; // where sentry and stubs may run
	int self_pinned;
};

// What the signal handler writes: one word of flags for all signals, and which ones and kicks came.
static volatile uint32_t flags, kicks;
static volatile uint64_t signals;
extern const char ks_wait_start[], ks_wait_end[], ks_wait_abort[];
long ks_wait_call(int fd, unsigned long request, void *argument, volatile uint32_t *word, uint32_t mask);
__asm__(".text\n"
        ".globl ks_wait_call, ks_wait_start, ks_wait_end, ks_wait_abort\n"
        "ks_wait_call:\n"
        "	mov %rcx, %r10\n"
        "	mov $16, %eax\n" // ioctl
        "ks_wait_start:\n"
        "	test %r8d, (%r10)\n"
        "	jnz ks_wait_abort\n"
        "	syscall\n"
        "ks_wait_end:\n"
        "	ret\n"
        "ks_wait_abort:\n"
        "	mov $-4, %rax\n" // -EINTR
        "	ret\n");

static void on_signal(int signo, siginfo_t *info, void *where)
{
	(void)info;
	if (signo == SIGCHLD) {
		__atomic_or_fetch(&flags, KS_FLAG_CHILD, __ATOMIC_SEQ_CST);
	} else if (signo == SIGRTMAX) {
		__atomic_or_fetch(&flags, KS_FLAG_TIMER, __ATOMIC_SEQ_CST);
	} else if (signo == SIGRTMAX - 1) {
		__atomic_or_fetch(&flags, KS_FLAG_FD, __ATOMIC_SEQ_CST);
	} else if (signo == SIGRTMAX - 2) {
		__atomic_or_fetch(&flags, KS_FLAG_KICK, __ATOMIC_SEQ_CST);
	} else {
		__atomic_or_fetch(&signals, 1UL << (signo - 1), __ATOMIC_SEQ_CST);
		__atomic_or_fetch(&flags, KS_FLAG_SIGNAL, __ATOMIC_SEQ_CST);
	}
	greg_t *rip = &((ucontext_t *)where)->uc_mcontext.gregs[REG_RIP];
	if (*rip >= (greg_t)ks_wait_start && *rip < (greg_t)ks_wait_end)
		*rip = (greg_t)ks_wait_abort;
}

// Deliver signo to the loop as a WAKE event instead of to the process. Returns 0 or -errno.
int ks_catch(struct ks_core *core, int signo)
{
	(void)core;
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	sigfillset(&action.sa_mask);
	return sigaction(signo, &action, NULL) ? -errno : 0;
}

static long trace(long request, int tid, unsigned long address, void *data)
{
	long r = syscall(SYS_ptrace, request, (long)tid, address, data);
	return r < 0 ? -errno : r;
}

static int host_wait(int tid, int *status, int options)
{
	int r;
	do
		r = (int)syscall(SYS_wait4, tid, status, options | __WALL, NULL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

// ---- the table of contexts

static int context_new(struct ks_core *core, int tid, int state)
{
	int index = core->first_free;
	if (index >= 0) {
		core->first_free = core->contexts[index].next_free;
	} else if (core->context_count < MAX_CONTEXTS) {
		index = core->context_count++;
	} else {
		return -EAGAIN;
	}
	core->contexts[index] = (struct context){.tid = tid, .state = state, .batch = -1};
	core->by_tid[tid] = index + 1;
	core->live++;
	return index;
}

static void context_free(struct ks_core *core, int index)
{
	struct context *c = &core->contexts[index];
	if (c->tid)
		core->by_tid[c->tid] = 0;
	if (c->batch >= 0 && core->batch_free_count < 64)
		core->batch_free[core->batch_free_count++] = c->batch;
	c->tid = 0;
	c->batch = -1;
	c->state = KS_FREE;
	c->next_free = core->first_free;
	core->first_free = index;
}

static struct context *context_at(struct ks_core *core, int index)
{
	if (index < 0 || index >= core->context_count || core->contexts[index].state == KS_FREE)
		return NULL;
	return &core->contexts[index];
}

// ---- one CPU for the length of a stop
//
// A ptrace stop is two wakeups that carry no hint that the waker is about to sleep, so the host likes to put each on another,
// idle CPU: 25 us apiece on a virtual machine, 100 to 200 us for a stop with new registers. With both sides held on the CPU where the
// sentry is, the same takes 14 us. The hold ends as soon as the stub is on the run queue again: CPU-bound guests go where they like.

static void move_to(int tid, const cpu_set_t *cpus) { sched_setaffinity(tid, sizeof *cpus, cpus); }

static void pin(struct ks_core *core, struct context *c)
{
	cpu_set_t here;
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (!core->self_pinned)
		move_to(0, &here);
	core->self_pinned = 1;
	move_to(c->tid, &here);
	c->pinned = 1;
}

static void unpin(struct ks_core *core, struct context *c)
{
	move_to(c->tid, &core->all);
	c->pinned = 0;
}

static void unpin_self(struct ks_core *core)
{
	move_to(0, &core->all);
	core->self_pinned = 0;
}

static void condemn(struct context *c)
{
	if (c->tid)
		syscall(SYS_tgkill, c->tid, c->tid, SIGKILL);
}

static int queue_push(struct ks_core *core, const struct ks_event *event)
{
	if (core->queue_tail - core->queue_head == core->queue_size) {
		uint32_t size = core->queue_size * 2;
		struct ks_event *bigger = malloc(size * sizeof *bigger);
		if (!bigger)
			return -ENOMEM;
		for (uint32_t i = 0; i < core->queue_size; i++)
			bigger[i] = core->queue[(core->queue_head + i) & (core->queue_size - 1)];
		free(core->queue);
		core->queue = bigger;
		core->queue_head = 0;
		core->queue_tail = core->queue_size;
		core->queue_size = size;
	}
	core->queue[core->queue_tail++ & (core->queue_size - 1)] = *event;
	return 0;
}

// ---- news of tracees

static int report(struct ks_event *e, int kind, int context, int nr, uint64_t a0, uint64_t a1)
{
	*e = (struct ks_event){.kind = kind, .context = context, .nr = nr, .args = {a0, a1}};
	return kind;
}

// A tracee stopped with a signal on its way: a fault or trap of guest code, or something from outside that is dropped.
static int signal_stop(struct ks_core *core, int index, int signo, struct ks_event *e)
{
	struct context *c = &core->contexts[index];
	siginfo_t info;
	if (trace(PTRACE_GETSIGINFO, c->tid, 0, &info) < 0)
		return KS_NOTHING; // killed meanwhile: its death follows
	int fault = signo == SIGSEGV || signo == SIGBUS;
	int trap = signo == SIGILL || signo == SIGFPE || signo == SIGTRAP;
	if (info.si_code <= 0 || !(fault || trap)) {
		trace(PTRACE_CONT, c->tid, 0, NULL);
		return KS_NOTHING;
	}
	if (c->helper) {
		condemn(c);
		return KS_NOTHING;
	}
	c->state = KS_STOPPED;
	if (c->wanted) {
		c->wanted = 0;
		c->stale = 1;
	}
	report(e, fault ? KS_FAULT : KS_TRAP, index, signo, (uint64_t)info.si_addr, (uint64_t)(int64_t)info.si_code);
	errno = 0;
	unsigned long ip = 0;
	syscall(SYS_ptrace, PTRACE_PEEKUSER, (long)c->tid, offsetof(struct ks_regs, rip), &ip);
	e->ip = ip;
	return e->kind;
}

// Take one wait status. Returns a kind, KS_NOTHING for one that only concerns this file, or 0 when there is none.
static int reap(struct ks_core *core, struct ks_event *e)
{
	int status;
	__atomic_and_fetch(&flags, ~KS_FLAG_CHILD, __ATOMIC_SEQ_CST);
	int tid = host_wait(-1, &status, WNOHANG);
	if (tid <= 0)
		return 0;
	// One signal may stand for several changes: look again until there is none (hazards 1.1).
	__atomic_or_fetch(&flags, KS_FLAG_CHILD, __ATOMIC_SEQ_CST);
	int index = tid < MAX_TID ? core->by_tid[tid] - 1 : -1;
	if (index < 0) {
		if (WIFSTOPPED(status))
			core->newborn = tid;
		return KS_NOTHING;
	}
	struct context *c = &core->contexts[index];
	if (!WIFSTOPPED(status)) {
		core->live--;
		if (c->state == KS_DYING) {
			context_free(core, index);
			return KS_NOTHING;
		}
		core->by_tid[tid] = 0;
		c->tid = 0;
		c->state = KS_DYING;
		return report(e, KS_GONE, index, status, 0, 0);
	}
	if (c->state == KS_DYING)
		return KS_NOTHING;
	int signo = WSTOPSIG(status), event = status >> 16;
	if (event == PTRACE_EVENT_CLONE && c->helper) {
		unsigned long child = 0;
		trace(PTRACE_GETEVENTMSG, tid, 0, &child);
		core->cloned = (int)child;
		trace(PTRACE_CONT, tid, 0, NULL);
		return KS_NOTHING;
	}
	if (c->state != KS_RUNNING) {
		condemn(c);
		return KS_NOTHING;
	}
	if (event == PTRACE_EVENT_STOP) {
		if (c->wanted) {
			c->wanted = 0;
			c->state = KS_STOPPED;
			return report(e, KS_INTERRUPTED, index, 0, 0, 0);
		}
		c->stale = 0; // the stop of an interrupt that another event overtook, or a stop signal from outside
		trace(PTRACE_CONT, tid, 0, NULL);
		return KS_NOTHING;
	}
	if (event) {
		condemn(c);
		return KS_NOTHING;
	}
	return signal_stop(core, index, signo, e);
}

// Take the notification in core->notif.
static int notified(struct ks_core *core, struct ks_event *e)
{
	const struct seccomp_notif *n = &core->notif;
	int index = n->pid < MAX_TID ? core->by_tid[n->pid] - 1 : -1;
	if (index < 0)
		return KS_NOTHING;
	struct context *c = &core->contexts[index];
	if (c->state != KS_RUNNING) {
		if (c->state != KS_DYING)
			condemn(c);
		return KS_NOTHING;
	}
	c->state = KS_NOTIFIED;
	c->id = n->id;
	if (c->wanted) {
		c->wanted = 0;
		c->stale = 1;
	}
	e->context = index;
	e->nr = n->data.nr;
	memcpy(e->args, n->data.args, sizeof e->args);
	e->ip = n->data.instruction_pointer;
	e->arch = n->data.arch;
	if (c->helper)
		return e->kind = KS_HELPER_CALL;
	int foreign = n->data.arch != AUDIT_ARCH_X86_64 || (n->data.nr & X32_BIT) || e->ip >= VSYSCALL_PAGE;
	return e->kind = foreign ? KS_FOREIGN : KS_SYSCALL;
}

// Wait for the next piece of news; 0 when a flag in mask other than CHILD is up; -errno when the listener is broken.
static int pump(struct ks_core *core, uint32_t mask, struct ks_event *e)
{
	for (;;) {
		if (flags & KS_FLAG_CHILD) {
			int kind = reap(core, e);
			if (kind && kind != KS_NOTHING)
				return kind;
			continue;
		}
		if (flags & mask)
			return 0;
		memset(&core->notif, 0, sizeof core->notif);
		long r = ks_wait_call(core->listener, SECCOMP_IOCTL_NOTIF_RECV, &core->notif, &flags, mask | KS_FLAG_CHILD);
		if (r == 0) {
			int kind = notified(core, e);
			if (kind != KS_NOTHING)
				return kind;
		} else if (r == -ENOENT) {
			// Cancelled by an interrupt, or every filtered task is dead: look for deaths before waiting again.
			__atomic_or_fetch(&flags, KS_FLAG_CHILD, __ATOMIC_SEQ_CST);
			if (!core->live)
				return -ESRCH;
		} else if (r != -EINTR) {
			return (int)r;
		}
	}
}

static int reply(struct ks_core *core, struct context *c, int64_t value, uint32_t reply_flags)
{
	struct seccomp_notif_resp answer = {.id = c->id, .val = value, .flags = reply_flags};
	c->state = KS_RUNNING;
	if (ioctl(core->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer))
		return errno == ENOENT ? 0 : -errno; // ENOENT: the thread was killed; its death follows
	return 0;
}

// ---- answering and waiting

// Let a context go on: a notified one with value as its call's result, a stopped one as its registers say.
int ks_answer(struct ks_core *core, int context, int64_t value)
{
	struct context *c = context_at(core, context);
	if (!c)
		return -ESRCH;
	if (c->state == KS_NOTIFIED)
		return reply(core, c, value, 0);
	if (c->state != KS_STOPPED)
		return c->state == KS_DYING ? 0 : -EINVAL;
	if (c->fresh)
		return -EPERM; // it still holds registers of the sentry (hazards 1.3)
	c->state = KS_RUNNING;
	long r = trace(PTRACE_CONT, c->tid, 0, NULL);
	if (c->pinned)
		unpin(core, c);
	return r == -ESRCH ? 0 : (int)r;
}

static int arm(struct ks_core *core, int64_t deadline_ns)
{
	struct itimerspec when = {0};
	if (deadline_ns >= 0) {
		when.it_value.tv_sec = deadline_ns / 1000000000;
		when.it_value.tv_nsec = deadline_ns % 1000000000;
		if (!deadline_ns)
			when.it_value.tv_nsec = 1;
	}
	core->armed_ns = deadline_ns;
	return timer_settime(core->timer, TIMER_ABSTIME, &when, NULL) ? -errno : 0;
}

static int flagged(struct ks_core *core, struct ks_event *e)
{
	if (flags & KS_FLAG_TIMER) {
		__atomic_and_fetch(&flags, ~KS_FLAG_TIMER, __ATOMIC_SEQ_CST);
		core->armed_ns = -1;
		return report(e, KS_TIMEOUT, -1, 0, 0, 0);
	}
	if (flags & (KS_FLAG_SIGNAL | KS_FLAG_KICK)) {
		__atomic_and_fetch(&flags, ~(KS_FLAG_SIGNAL | KS_FLAG_KICK), __ATOMIC_SEQ_CST);
		uint64_t came = __atomic_exchange_n(&signals, 0, __ATOMIC_SEQ_CST);
		return report(e, KS_WAKE, -1, 0, came, __atomic_exchange_n(&kicks, 0, __ATOMIC_SEQ_CST));
	}
	if (core->ring_head != core->ring_tail) {
		uint32_t i = core->ring_head % RING;
		report(e, KS_FD, -1, core->ring[i].fd, core->ring[i].mask, 0);
		__atomic_store_n(&core->ring_head, core->ring_head + 1, __ATOMIC_RELEASE);
		return KS_FD;
	}
	if (flags & KS_FLAG_FD) {
		__atomic_and_fetch(&flags, ~KS_FLAG_FD, __ATOMIC_SEQ_CST);
		if (core->ring_head != core->ring_tail)
			__atomic_or_fetch(&flags, KS_FLAG_FD, __ATOMIC_SEQ_CST);
	}
	return 0;
}

// Answer a context (unless answer is -1), then wait for the next event of any; it is in ks_event(core). A deadline of -1 is
// none. Returns its kind or -errno. GIL released: blocks.
int ks_next(struct ks_core *core, int answer, int64_t value, int64_t deadline_ns)
{
	if (answer >= 0)
		ks_answer(core, answer, value);
	while (core->queue_head != core->queue_tail) {
		core->event = core->queue[core->queue_head++ & (core->queue_size - 1)];
		struct context *c = context_at(core, core->event.context);
		if (core->event.kind == KS_GONE || (c && c->state != KS_DYING))
			return core->event.kind;
	}
	if (deadline_ns != core->armed_ns)
		arm(core, deadline_ns);
	if (core->self_pinned)
		unpin_self(core);
	for (;;) {
		int kind = flagged(core, &core->event);
		if (!kind)
			kind = pump(core, KS_FLAG_TIMER | KS_FLAG_SIGNAL | KS_FLAG_KICK | KS_FLAG_FD, &core->event);
		if (kind)
			return kind;
	}
}

struct ks_event *ks_event(struct ks_core *core) { return &core->event; }

// ---- batches, spaces, threads

// Wait until helper makes a call or is gone; events of others are queued. Returns 0 or -errno.
static int helper_call(struct ks_core *core, int helper, struct ks_event *e)
{
	for (;;) {
		int kind = pump(core, 0, e);
		if (kind < 0)
			return kind;
		if (e->context == helper && kind == KS_HELPER_CALL)
			return 0;
		if (e->context == helper && kind == KS_GONE) {
			queue_push(core, e);
			return -ESRCH;
		}
		if (kind != KS_HELPER_CALL)
			queue_push(core, e);
	}
}

// Make calls through helper, whose batch page is `page`. Returns how many were made; *last is the last one's result.
static int walk(struct ks_core *core, int helper, int page, const struct ks_call *calls, int count, int64_t *last)
{
	struct context *c = context_at(core, helper);
	if (!c || !c->helper || c->state != KS_NOTIFIED || count < 0 || count > KS_BATCH_MAX)
		return -EINVAL;
	const uint64_t site = KS_STUB + (uint64_t)(ks_stub_walked - ks_stub_start);
	memcpy(core->batch_pages + (size_t)page * KS_PAGE, calls, (size_t)count * sizeof *calls);
	int r = reply(core, c, count, 0);
	for (int done = 0; !r; done++) {
		struct ks_event e;
		r = helper_call(core, helper, &e);
		if (r)
			break;
		if (e.nr == KS_PARK_NR && e.ip != site) {
			*last = (int64_t)e.args[1];
			return (int)e.args[0];
		}
		if (done >= count || e.arch != AUDIT_ARCH_X86_64 || e.ip != site || (uint64_t)e.nr != calls[done].nr ||
		    memcmp(e.args, calls[done].args, sizeof e.args)) {
			condemn(c);
			return -EPERM;
		}
		r = reply(core, c, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	}
	return r;
}

// Make count calls in helper's space. Returns how many succeeded; *error is the failed one's -errno when fewer than count.
// GIL released: blocks for as long as the calls take.
int ks_batch(struct ks_core *core, int helper, const struct ks_call *calls, int count, int64_t *error)
{
	struct context *c = context_at(core, helper);
	return c ? walk(core, helper, c->batch, calls, count, error) : -ESRCH;
}

// Clone helper with the given flags; the child is a stopped context. Returns its index or -errno.
static int clone_of(struct ks_core *core, int helper, uint64_t clone_flags)
{
	struct context *c = context_at(core, helper);
	if (!c)
		return -ESRCH;
	struct ks_call call = {.nr = SYS_clone, .args = {clone_flags}};
	int64_t tid = 0;
	core->newborn = core->cloned = 0;
	pin(core, c); // the child inherits the hold
	int made = walk(core, helper, c->batch, &call, 1, &tid);
	unpin(core, c);
	if (made < 0)
		return made;
	if (made == 0)
		return (int)tid;
	if (core->newborn != tid) {
		int status, r = host_wait((int)tid, &status, 0);
		if (r < 0 || !WIFSTOPPED(status))
			return -EAGAIN;
	}
	int child = context_new(core, (int)tid, KS_STOPPED);
	if (child >= 0)
		core->contexts[child].pinned = 1;
	return child;
}

// Fork the space of helper (the template: an empty one). Returns the new space's helper, parked, or -errno.
// GIL released: blocks for as long as two host clones take.
int ks_space_new(struct ks_core *core, int helper)
{
	int batch = core->batch_free_count ? core->batch_free[--core->batch_free_count] : core->batch_count;
	if (batch >= MAX_SPACES)
		return -EAGAIN;
	int child = clone_of(core, helper, CLONE_FILES | CLONE_PARENT);
	if (child < 0)
		return child;
	if (batch == core->batch_count)
		core->batch_count++;
	struct context *c = &core->contexts[child];
	c->helper = 1;
	c->batch = batch;
	c->state = KS_RUNNING;
	struct ks_event e;
	trace(PTRACE_CONT, c->tid, 0, NULL);
	unpin(core, c);
	int r = helper_call(core, child, &e);
	// The child still sees its parent's batch page; its first call replaces it by its own.
	struct ks_call call = {.nr = SYS_mmap,
	    .args = {KS_BATCH, KS_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, (uint64_t)core->batch_fd, (uint64_t)batch * KS_PAGE}};
	int64_t last = 0;
	if (!r)
		r = walk(core, child, core->contexts[helper].batch, &call, 1, &last);
	if (r == 1)
		return child;
	ks_kill(core, child);
	return r < 0 ? r : (int)last;
}

// Make a guest thread in the space of helper: stopped, with nothing in its registers that may be run yet.
// Returns its index or -errno.
int ks_thread_new(struct ks_core *core, int helper)
{
	int child = clone_of(core, helper, CLONE_VM | CLONE_FILES | CLONE_PARENT);
	if (child >= 0)
		core->contexts[child].fresh = 3;
	return child;
}

// Kill a running context and wait until it executes nothing any more; `ks_kill` then frees its slot. Returns 0.
// GIL released: blocks until the host has reaped it.
int ks_halt(struct ks_core *core, int context)
{
	struct context *c = context_at(core, context);
	if (!c || !c->tid)
		return 0;
	condemn(c);
	int status, tid = c->tid;
	for (int tries = 0; tries < 8; tries++)
		if (host_wait(tid, &status, 0) < 0 || !WIFSTOPPED(status))
			break;
	core->by_tid[tid] = 0;
	core->live--;
	c->tid = 0;
	c->state = KS_DYING;
	return 0;
}

// Kill a context; its slot is free once the host has reported its death. Returns 0.
int ks_kill(struct ks_core *core, int context)
{
	struct context *c = context_at(core, context);
	if (!c)
		return 0;
	if (!c->tid) {
		context_free(core, context);
		return 0;
	}
	c->state = KS_DYING;
	condemn(c);
	return 0;
}

// ---- stops and registers

// Stop a notified context inside its call, which then counts as answered. Returns 0, or -ESRCH if it died.
// GIL released: blocks until the host has stopped it.
int ks_stop(struct ks_core *core, int context)
{
	struct context *c = context_at(core, context);
	if (!c || c->state == KS_DYING)
		return -ESRCH;
	if (c->state == KS_STOPPED)
		return 0;
	if (c->state != KS_NOTIFIED)
		return -EINVAL;
	pin(core, c);
	long r = trace(PTRACE_INTERRUPT, c->tid, 0, NULL);
	if (r < 0)
		return (int)r;
	r = reply(core, c, 0, 0);
	if (r < 0)
		return (int)r;
	int status, tid = host_wait(c->tid, &status, 0);
	if (tid < 0)
		return tid;
	c->stale = 0;
	if (!WIFSTOPPED(status)) {
		struct ks_event e;
		core->by_tid[c->tid] = 0;
		core->live--;
		c->tid = 0;
		c->state = KS_DYING;
		report(&e, KS_GONE, context, status, 0, 0);
		queue_push(core, &e);
		return -ESRCH;
	}
	c->state = KS_STOPPED;
	return 0;
}

// Ask for an INTERRUPTED event of a running context. Returns 0, or -EINVAL if it is not running.
int ks_interrupt(struct ks_core *core, int context)
{
	struct context *c = context_at(core, context);
	if (!c || c->state != KS_RUNNING)
		return -EINVAL;
	if (c->wanted)
		return 0;
	c->wanted = 1;
	return (int)trace(PTRACE_INTERRUPT, c->tid, 0, NULL);
}

int ks_state(struct ks_core *core, int context)
{
	struct context *c = context_at(core, context);
	return c ? c->state : KS_FREE;
}

// The host's id of a context, 0 when it is gone; for /proc only.
int ks_tid(struct ks_core *core, int context)
{
	struct context *c = context_at(core, context);
	return c ? c->tid : 0;
}

// Registers of a stopped context, settled: a host call that an interrupt cancelled counts as not yet made.
int ks_get_regs(struct ks_core *core, int context, struct ks_regs *regs)
{
	struct context *c = context_at(core, context);
	if (!c || c->state != KS_STOPPED)
		return -EINVAL;
	long r = trace(PTRACE_GETREGS, c->tid, 0, regs);
	if (r < 0)
		return (int)r;
	if ((int64_t)regs->orig_rax >= 0) {
		int64_t result = (int64_t)regs->rax;
		if (result <= -512 && result >= -516) {
			regs->rip -= 2;
			regs->rax = regs->orig_rax;
		}
	}
	regs->orig_rax = (uint64_t)-1;
	return 0;
}

// Write all registers of a stopped context; segment selectors are fixed, flags that user code cannot set are masked.
int ks_set_regs(struct ks_core *core, int context, const struct ks_regs *regs)
{
	struct context *c = context_at(core, context);
	if (!c || c->state != KS_STOPPED)
		return -EINVAL;
	struct ks_regs clean = *regs;
	clean.orig_rax = (uint64_t)-1;
	clean.cs = 0x33;
	clean.ss = 0x2b;
	clean.ds = clean.es = clean.fs = clean.gs = 0;
	clean.eflags = (clean.eflags & 0x250dd5) | 0x202;
	long r = trace(PTRACE_SETREGS, c->tid, 0, &clean);
	if (r >= 0)
		c->fresh &= (uint8_t)~1;
	return (int)r;
}

// The extended state of a stopped context as a standard XSAVE image. Returns 0; *used is its size in bytes.
int ks_get_xstate(struct ks_core *core, int context, void *image, size_t size, size_t *used)
{
	struct context *c = context_at(core, context);
	if (!c || c->state != KS_STOPPED)
		return -EINVAL;
	struct iovec iov = {image, size};
	long r = trace(PTRACE_GETREGSET, c->tid, NT_X86_XSTATE, &iov);
	*used = iov.iov_len;
	return (int)r;
}

// Write the whole extended state of a stopped context. Returns 0 or -errno (-EINVAL: not an image for this host).
int ks_set_xstate(struct ks_core *core, int context, const void *image, size_t size)
{
	struct context *c = context_at(core, context);
	if (!c || c->state != KS_STOPPED)
		return -EINVAL;
	struct iovec iov = {(void *)image, size};
	long r = trace(PTRACE_SETREGSET, c->tid, NT_X86_XSTATE, &iov);
	if (r >= 0)
		c->fresh &= (uint8_t)~2;
	return (int)r;
}

// CPU time in nanoseconds that a context has used on the host, or -errno.
int64_t ks_cpu_time(struct ks_core *core, int context)
{
	struct context *c = context_at(core, context);
	struct timespec t;
	if (!c || !c->tid)
		return -ESRCH;
	if (clock_gettime((clockid_t)((~(unsigned)c->tid << 3) | 2), &t))
		return -errno;
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

// ---- host descriptors: one thread that only ever blocks in C

static void *watcher(void *argument)
{
	struct ks_core *core = argument;
	struct epoll_event events[16];
	for (;;) {
		int n = epoll_wait(core->epoll_fd, events, 16, -1);
		if (n < 0 && errno != EINTR)
			return NULL;
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == -1)
				return NULL;
			while (core->ring_tail - __atomic_load_n(&core->ring_head, __ATOMIC_ACQUIRE) == RING)
				usleep(100);
			core->ring[core->ring_tail % RING].fd = events[i].data.fd;
			core->ring[core->ring_tail % RING].mask = events[i].events;
			__atomic_store_n(&core->ring_tail, core->ring_tail + 1, __ATOMIC_RELEASE);
		}
		if (n > 0)
			syscall(SYS_tgkill, getpid(), core->owner, SIGRTMAX - 1);
	}
}

// Report once, as an FD event, that fd has become ready for mask (poll bits). Returns 0 or -errno; -EPERM: always ready.
int ks_watch(struct ks_core *core, int fd, uint32_t mask)
{
	if (!core->thread_made) {
		core->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		if (core->epoll_fd < 0)
			return -errno;
		sigset_t all, before;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		int r = pthread_create(&core->thread, NULL, watcher, core);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (r)
			return -r;
		core->thread_made = 1;
	}
	struct epoll_event event = {.events = mask | EPOLLONESHOT, .data.fd = fd};
	if (!epoll_ctl(core->epoll_fd, EPOLL_CTL_MOD, fd, &event) || (errno == ENOENT && !epoll_ctl(core->epoll_fd, EPOLL_CTL_ADD, fd, &event)))
		return 0;
	return -errno;
}

// Forget fd; call before it is closed.
int ks_unwatch(struct ks_core *core, int fd)
{
	if (core->thread_made)
		epoll_ctl(core->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	return 0;
}

// Wake the loop with a WAKE event; any thread, async-signal-safe.
void ks_kick(struct ks_core *core, uint32_t bits)
{
	__atomic_or_fetch(&kicks, bits, __ATOMIC_SEQ_CST);
	syscall(SYS_tgkill, getpid(), core->owner, SIGRTMAX - 2);
}

// ---- birth and death

struct birth { // shared with the template while it is made
	volatile int seized, listener, done;
};

struct birth_args {
	struct birth *birth;
	int batch_fd;
};

// The template: give up everything that the sentry's C library registered, take on the stub and the filter, and park.
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
	syscall(SYS_mprotect, stub, KS_PAGE, PROT_READ | PROT_EXEC);
	struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
	struct sock_fprog program = {1, filter};
	syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
	birth->listener = fd < 0 ? -errno : (int)fd;
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
		host_wait(tid, &status, 0);
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
	struct birth_args args = {birth, core->batch_fd};
	int tid = clone(template_main, stack + STACK, CLONE_FILES | SIGCHLD, &args), r = 0;
	if (tid < 0)
		r = -errno;
	else
		r = (int)trace(PTRACE_SEIZE, tid, 0, (void *)(long)(PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE));
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
	core->listener = birth->listener;
	fcntl(core->listener, F_SETFD, FD_CLOEXEC);
	munmap(birth, KS_PAGE);
	munmap(stack, STACK);
	ioctl(core->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
	core->template = context_new(core, tid, KS_RUNNING);
	core->contexts[core->template].helper = 1;
	core->contexts[core->template].batch = core->batch_count++;
	struct ks_event e;
	r = helper_call(core, core->template, &e);
	struct ks_call calls[2] = {{.nr = SYS_munmap, .args = {0, KS_STUB}},
	    {.nr = SYS_munmap, .args = {KS_BATCH + KS_PAGE, KS_TOP - KS_BATCH - KS_PAGE}}};
	int64_t last = 0;
	if (!r)
		r = walk(core, core->template, core->contexts[core->template].batch, calls, 2, &last);
	if (r != 2)
		return boot_failed(core, tid, r < 0 ? r : (int)last);
	*template_context = core->template;
	return 0;
}

// Make a core for the calling thread. Returns NULL with errno set.
struct ks_core *ks_open(void)
{
	struct ks_core *core = calloc(1, sizeof *core);
	if (!core)
		return NULL;
	core->first_free = -1;
	core->listener = core->epoll_fd = core->template = -1;
	core->armed_ns = -1;
	core->owner = (pid_t)syscall(SYS_gettid);
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
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMAX};
	event._sigev_un._tid = core->owner;
	if (core->batch_pages == MAP_FAILED || timer_create(CLOCK_MONOTONIC, &event, &core->timer))
		return NULL;
	core->timer_made = 1;
	const int own[] = {SIGCHLD, SIGRTMAX, SIGRTMAX - 1, SIGRTMAX - 2};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (ks_catch(core, own[i]) < 0)
			return NULL;
	return core;
}

// Kill and reap every tracee, stop the watcher, close everything. GIL released: blocks until the last stub is dead.
void ks_close(struct ks_core *core)
{
	for (int i = 0; i < core->context_count; i++)
		if (core->contexts[i].state != KS_FREE)
			condemn(&core->contexts[i]);
	for (int i = 0; i < core->context_count; i++) {
		int status, tid = core->contexts[i].tid;
		// A stop may still be reported before the death.
		for (int tries = 0; tid && core->contexts[i].state != KS_FREE && tries < 8; tries++)
			if (host_wait(tid, &status, 0) < 0 || !WIFSTOPPED(status))
				break;
	}
	if (core->thread_made) {
		int ends[2];
		if (!pipe2(ends, O_CLOEXEC)) {
			struct epoll_event event = {.events = EPOLLOUT, .data.fd = -1};
			epoll_ctl(core->epoll_fd, EPOLL_CTL_ADD, ends[1], &event);
			pthread_join(core->thread, NULL);
			close(ends[0]);
			close(ends[1]);
		}
		close(core->epoll_fd);
	}
	struct sigaction ignore = {.sa_handler = SIG_IGN}, normal = {.sa_handler = SIG_DFL};
	if (core->timer_made)
		timer_delete(core->timer);
	for (int signo = SIGRTMAX - 2; signo <= SIGRTMAX; signo++)
		sigaction(signo, &ignore, NULL);
	sigaction(SIGCHLD, &normal, NULL);
	flags = 0;
	if (core->listener >= 0)
		close(core->listener);
	munmap(core->batch_pages, MAX_SPACES * KS_PAGE);
	munmap(core->contexts, MAX_CONTEXTS * sizeof *core->contexts);
	munmap(core->by_tid, MAX_TID * sizeof *core->by_tid);
	close(core->batch_fd);
	free(core->queue);
	free(core);
}
