// Address spaces and guest threads as host clones, and the registers of a stopped thread.
#include "core.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Wait until helper makes a call or is gone; events of others are queued. Returns 0 or -errno.
int ks_helper_call(struct ks_core *core, int helper, struct ks_event *e)
{
	for (;;) {
		int kind = core->trap->pump(core, 0, e);
		if (kind < 0)
			return kind;
		if (e->context == helper && kind == KS_HELPER_CALL)
			return 0;
		if (e->context == helper && kind == KS_GONE) {
			ks_queue_push(core, e);
			return -ESRCH;
		}
		if (kind != KS_HELPER_CALL)
			ks_queue_push(core, e);
	}
}

// Make count calls in helper's space. Returns how many succeeded; *error is the failed one's -errno when fewer than count.
// GIL released: blocks for as long as the calls take.
int ks_batch(struct ks_core *core, int helper, const struct ks_call *calls, int count, int64_t *error)
{
	struct context *c = ks_context_at(core, helper);
	return c ? core->trap->walk(core, helper, c->batch, calls, count, error) : -ESRCH;
}

// Clone helper with the given flags; the child is a stopped context. Returns its index or -errno.
static int clone_of(struct ks_core *core, int helper, uint64_t clone_flags)
{
	struct context *c = ks_context_at(core, helper);
	if (!c)
		return -ESRCH;
	struct ks_call call = {.nr = SYS_clone, .args = {clone_flags}};
	int64_t tid = 0;
	core->newborn = core->cloned = 0;
	ks_pin(core, c); // the child inherits the CPU mask
	int made = core->trap->walk(core, helper, c->batch, &call, 1, &tid);
	ks_unpin(core, c);
	if (made < 0)
		return made;
	if (made == 0)
		return (int)tid;
	if (core->newborn != tid) {
		int status, r = ks_host_wait((int)tid, &status, 0);
		if (r < 0 || !WIFSTOPPED(status))
			return -EAGAIN;
	}
	int child = ks_context_new(core, (int)tid, KS_STOPPED);
	if (child >= 0)
		core->contexts[child].pinned = 1;
	return child;
}

// Fork the space of helper (the template: an empty one). Returns the new space's helper, parked, or -errno.
// GIL released: blocks for as long as two host clones take.
int ks_space_new(struct ks_core *core, int helper)
{
	if (!core->batch_free_count && core->batch_count >= MAX_SPACES)
		return -EAGAIN;
	int child = clone_of(core, helper, CLONE_FILES | CLONE_PARENT);
	if (child < 0)
		return child;
	int batch = core->batch_free_count ? core->batch_free[--core->batch_free_count] : core->batch_count++;
	struct context *c = &core->contexts[child];
	c->helper = 1;
	c->batch = batch;
	c->state = KS_RUNNING;
	struct ks_event e;
	core->trap->resume(core, c);
	if (c->pinned)
		ks_unpin(core, c);
	int r = ks_helper_call(core, child, &e);
	// The child still sees its parent's batch page; its first call replaces it by its own.
	struct ks_call call = {.nr = SYS_mmap,
	    .args = {KS_BATCH, KS_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, (uint64_t)core->batch_fd, (uint64_t)batch * KS_PAGE}};
	int64_t last = 0;
	if (!r)
		r = core->trap->walk(core, child, core->contexts[helper].batch, &call, 1, &last);
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

// Move a context that does not run to the space of helper: a new thread there takes the place of its stub, whose registers must be
// written again. Returns 0 or -errno; then the context is as before. GIL released: blocks for as long as a host clone takes.
int ks_bind(struct ks_core *core, int context, int helper)
{
	struct context *c = ks_context_at(core, context);
	if (!c || c->helper || c->state == KS_RUNNING)
		return -EINVAL;
	int other = ks_thread_new(core, helper);
	if (other < 0)
		return other;
	int64_t used = ks_cpu_time(core, context);
	struct context old = *c;
	*c = core->contexts[other];
	core->contexts[other] = old;
	c->cpu_ns = used;
	core->by_tid[c->tid] = context + 1;
	if (old.tid)
		core->by_tid[old.tid] = other + 1;
	return ks_kill(core, other);
}

// Kill a running context and wait until it executes nothing any more; `ks_kill` then frees its slot. Returns 0.
// GIL released: blocks until the host has reaped it.
int ks_halt(struct ks_core *core, int context)
{
	struct context *c = ks_context_at(core, context);
	if (!c || !c->tid)
		return 0;
	c->cpu_ns = ks_cpu_time(core, context);
	ks_condemn(c);
	int status, tid = c->tid;
	for (int tries = 0; tries < 8; tries++)
		if (ks_host_wait(tid, &status, 0) < 0 || !WIFSTOPPED(status))
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
	struct context *c = ks_context_at(core, context);
	if (!c)
		return 0;
	if (!c->tid) {
		ks_context_free(core, context);
		return 0;
	}
	c->state = KS_DYING;
	ks_condemn(c);
	return 0;
}

// ---- stops and registers

// Stop a notified context inside its call, which then counts as answered. Returns 0, or -ESRCH if it died.
// GIL released: blocks until the host has stopped it.
int ks_stop(struct ks_core *core, int context)
{
	struct context *c = ks_context_at(core, context);
	if (!c || c->state == KS_DYING)
		return -ESRCH;
	if (c->state == KS_STOPPED) {
		c->trapped = 0;
		return 0;
	}
	if (c->state != KS_NOTIFIED)
		return -EINVAL;
	return core->trap->stop(core, context);
}

// Ask for an INTERRUPTED event of a running context. Returns 0, or -EINVAL if it is not running.
int ks_interrupt(struct ks_core *core, int context)
{
	struct context *c = ks_context_at(core, context);
	if (!c || c->state != KS_RUNNING)
		return -EINVAL;
	if (c->wanted)
		return 0;
	c->wanted = 1;
	return (int)ks_trace(PTRACE_INTERRUPT, c->tid, 0, NULL);
}

int ks_state(struct ks_core *core, int context)
{
	struct context *c = ks_context_at(core, context);
	return c ? c->state : KS_FREE;
}

// The host's id of a context, 0 when it is gone; for /proc only.
int ks_tid(struct ks_core *core, int context)
{
	struct context *c = ks_context_at(core, context);
	return c ? c->tid : 0;
}

// Registers of a stopped context, settled: a host call that an interrupt cancelled counts as not yet made.
int ks_get_regs(struct ks_core *core, int context, struct ks_regs *regs)
{
	struct context *c = ks_context_at(core, context);
	if (!c || c->state != KS_STOPPED)
		return -EINVAL;
	long r = ks_trace(PTRACE_GETREGS, c->tid, 0, regs);
	if (r < 0)
		return (int)r;
	c->trapped = 0;
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
	struct context *c = ks_context_at(core, context);
	if (!c || c->state != KS_STOPPED)
		return -EINVAL;
	struct ks_regs clean = *regs;
	clean.orig_rax = (uint64_t)-1;
	clean.cs = 0x33;
	clean.ss = 0x2b;
	clean.ds = clean.es = clean.fs = clean.gs = 0;
	clean.eflags = (clean.eflags & 0x250dd5) | 0x202;
	long r = ks_trace(PTRACE_SETREGS, c->tid, 0, &clean);
	if (r >= 0)
		c->trapped = 0, c->fresh &= (uint8_t)~1;
	return (int)r;
}

// CPU time in nanoseconds that a context has used on the host, with that of the stubs it had before.
int64_t ks_cpu_time(struct ks_core *core, int context)
{
	struct context *c = ks_context_at(core, context);
	struct timespec t;
	if (!c)
		return 0;
	if (!c->tid || clock_gettime((clockid_t)((~(unsigned)c->tid << 3) | 2), &t))
		return c->cpu_ns;
	return c->cpu_ns + t.tv_sec * 1000000000L + t.tv_nsec;
}
