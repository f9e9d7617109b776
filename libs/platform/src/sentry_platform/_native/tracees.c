// The tracees: contexts and what may happen to them, and the wait for the next event of any. What differs between the traps is in
// notify.c and sysemu.c.
//
// Life: ks_open; ks_boot makes the template process; ks_space_new and ks_thread_new make helpers and guest threads by host
// clones; ks_next answers one context and waits for the next event of any; ks_close kills and reaps all.
#include "core.h"
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

long ks_trace(long request, int tid, unsigned long address, void *data)
{
	long r = syscall(SYS_ptrace, request, (long)tid, address, data);
	return r < 0 ? -errno : r;
}

int ks_host_wait(int tid, int *status, int options)
{
	int r;
	do
		r = (int)syscall(SYS_wait4, tid, status, options | __WALL, NULL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

// ---- the table of contexts

int ks_context_new(struct ks_core *core, int tid, int state)
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

void ks_context_free(struct ks_core *core, int index)
{
	struct context *c = &core->contexts[index];
	if (c->tid)
		core->by_tid[c->tid] = 0;
	if (c->batch >= 0)
		core->batch_free[core->batch_free_count++] = c->batch;
	c->tid = 0;
	c->batch = -1;
	c->state = KS_FREE;
	c->next_free = core->first_free;
	core->first_free = index;
}

struct context *ks_context_at(struct ks_core *core, int index)
{
	if (index < 0 || index >= core->context_count || core->contexts[index].state == KS_FREE)
		return NULL;
	return &core->contexts[index];
}

// ---- one CPU for the length of a stop
//
// A ptrace stop is two wakeups that carry no hint that the waker is about to sleep, so the host tends to put each on another,
// idle CPU: 25 us apiece on a virtual machine, 100 to 200 us for a stop with new registers. With both sides pinned to the CPU where the
// sentry is, the same takes 14 us. The pin ends as soon as the stub is on the run queue again: the host schedules CPU-bound guests anywhere.

static void move_to(int tid, const cpu_set_t *cpus) { sched_setaffinity(tid, sizeof *cpus, cpus); }

void ks_pin(struct ks_core *core, struct context *c)
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

void ks_unpin(struct ks_core *core, struct context *c)
{
	move_to(c->tid, &core->all);
	c->pinned = 0;
}

void ks_unpin_self(struct ks_core *core)
{
	move_to(0, &core->all);
	core->self_pinned = 0;
}

void ks_condemn(struct context *c)
{
	if (c->tid)
		syscall(SYS_tgkill, c->tid, c->tid, SIGKILL);
}

// An event of c comes before the stop that an interrupt asked for.
void ks_overtake(struct context *c)
{
	if (c->wanted) {
		c->wanted = 0;
		c->stale = 1;
	}
}

int ks_queue_push(struct ks_core *core, const struct ks_event *event)
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

// ---- events of tracees

// Whether an entry is none of the 64-bit table's. (The vsyscall page's calls are: the host has popped their return address.)
int ks_is_foreign(uint32_t arch, int nr) { return arch != AUDIT_ARCH_X86_64 || (nr & X32_BIT); }

// A call that a filter has answered with SIGSYS: one of the vsyscall page under the sysemu trap, or one that a filter around the
// sentry traps. Its result goes into rax.
static int trapped_call(struct ks_core *core, int index, const siginfo_t *info, struct ks_event *e)
{
	struct context *c = &core->contexts[index];
	struct ks_regs regs;
	if (ks_trace(PTRACE_GETREGS, c->tid, 0, &regs) < 0)
		return KS_NOTHING;
	c->state = KS_STOPPED;
	c->trapped = 1;
	ks_overtake(c);
	*e = (struct ks_event){.kind = ks_is_foreign(info->si_arch, info->si_syscall) ? KS_FOREIGN : KS_SYSCALL, .context = index,
	    .nr = info->si_syscall, .ip = (uint64_t)info->si_call_addr, .arch = info->si_arch,
	    .args = {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9}};
	return e->kind;
}

// A tracee stopped with a signal to be delivered: a fault or trap of guest code, or something from outside that is dropped.
static int signal_stop(struct ks_core *core, int index, int signo, struct ks_event *e)
{
	struct context *c = &core->contexts[index];
	siginfo_t info;
	if (ks_trace(PTRACE_GETSIGINFO, c->tid, 0, &info) < 0)
		return KS_NOTHING; // killed meanwhile: its death follows
	if (signo == SIGSYS && info.si_code == 1 && !c->helper) // SYS_SECCOMP
		return trapped_call(core, index, &info, e);
	int exception = signo == SIGSEGV || signo == SIGBUS || signo == SIGILL || signo == SIGFPE || signo == SIGTRAP;
	if (info.si_code <= 0 || !exception) {
		core->trap->resume(core, c);
		return KS_NOTHING;
	}
	if (c->helper) {
		ks_condemn(c);
		return KS_NOTHING;
	}
	c->state = KS_STOPPED;
	ks_overtake(c);
	*e = (struct ks_event){.context = index};
	return ks_exception(e, c->tid, signo, &info) < 0 ? KS_NOTHING : e->kind; // killed meanwhile: its death follows
}

// Take one wait status of any tracee. Returns a kind, or KS_NOTHING for one that only concerns the core.
int ks_taken(struct ks_core *core, int tid, int status, struct ks_event *e)
{
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
			ks_context_free(core, index);
			return KS_NOTHING;
		}
		core->by_tid[tid] = 0;
		c->tid = 0;
		c->state = KS_DYING;
		return ks_report(e, KS_GONE, index, status, 0, 0);
	}
	if (c->state == KS_DYING)
		return KS_NOTHING;
	int signo = WSTOPSIG(status), event = status >> 16;
	if (event == PTRACE_EVENT_CLONE && c->helper) {
		unsigned long child = 0;
		ks_trace(PTRACE_GETEVENTMSG, tid, 0, &child);
		core->cloned = (int)child;
		ks_trace(PTRACE_CONT, tid, 0, NULL);
		return KS_NOTHING;
	}
	if (c->state != KS_RUNNING) {
		ks_condemn(c);
		return KS_NOTHING;
	}
	if (event == PTRACE_EVENT_STOP) {
		if (c->wanted) {
			c->wanted = 0;
			c->state = KS_STOPPED;
			return ks_report(e, KS_INTERRUPTED, index, 0, 0, 0);
		}
		c->stale = 0; // the stop of an interrupt that another event overtook, or a stop signal from outside
		core->trap->resume(core, c);
		return KS_NOTHING;
	}
	if (event) {
		ks_condemn(c);
		return KS_NOTHING;
	}
	return signal_stop(core, index, signo, e);
}

// A context died where its death was waited for: note it, and queue the event. Returns -ESRCH.
int ks_died(struct ks_core *core, int index, int status)
{
	struct context *c = &core->contexts[index];
	struct ks_event e;
	core->by_tid[c->tid] = 0;
	core->live--;
	c->tid = 0;
	c->state = KS_DYING;
	ks_report(&e, KS_GONE, index, status, 0, 0);
	ks_queue_push(core, &e);
	return -ESRCH;
}

// ---- answering and waiting

// Resume a context: a notified one with value as its call's result, a stopped one from its registers.
int ks_answer(struct ks_core *core, int context, int64_t value)
{
	struct context *c = ks_context_at(core, context);
	if (!c)
		return -ESRCH;
	if (c->state == KS_NOTIFIED)
		return core->trap->answer(core, c, value);
	if (c->state != KS_STOPPED)
		return c->state == KS_DYING ? 0 : -EINVAL;
	if (c->fresh)
		return -EPERM; // it still has registers of the sentry
	if (c->trapped && ks_trace(PTRACE_POKEUSER, c->tid, offsetof(struct ks_regs, rax), (void *)value) < 0)
		return 0; // killed meanwhile: its death follows
	c->trapped = 0;
	return core->trap->resume(core, c);
}

// Answer a context (unless answer is -1), then wait for the next event of any; it is in ks_event(core). A deadline of -1 is
// none. Returns its kind or -errno. GIL released: blocks.
int ks_next(struct ks_core *core, int answer, int64_t value, int64_t deadline_ns)
{
	if (answer >= 0)
		ks_answer(core, answer, value);
	while (core->queue_head != core->queue_tail) {
		core->event = core->queue[core->queue_head++ & (core->queue_size - 1)];
		struct context *c = ks_context_at(core, core->event.context);
		if (core->event.kind == KS_GONE || (c && c->state != KS_DYING))
			return core->event.kind;
	}
	ks_arm(&core->loop, deadline_ns);
	if (core->self_pinned && !core->trap->by_stops)
		ks_unpin_self(core);
	for (;;) {
		int kind = ks_loop_event(&core->loop, &core->event);
		if (!kind)
			kind = core->trap->pump(core, KS_LOOP_FLAGS, &core->event);
		if (kind)
			return kind;
	}
}

struct ks_event *ks_event(struct ks_core *core) { return &core->event; }

struct ks_loop *ks_loop(struct ks_core *core) { return &core->loop; }
