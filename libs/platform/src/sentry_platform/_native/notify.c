// The notify trap: guest calls arrive as seccomp user notifications.
//
// The filter is one instruction that notifies of every call, so no call of a stub reaches the host kernel unless the sentry answers
// CONTINUE, which it does for its own batches alone. SIGCHLD ends the wait for a notification when a stub stops or dies.
#include "core.h"
#include "stub.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // Linux 5.19
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

// Take one wait status. Returns a kind, KS_NOTHING for one that only concerns the core, or 0 when there is none.
static int reap(struct ks_core *core, struct ks_event *e)
{
	int status;
	__atomic_and_fetch(&ks_flags, ~KS_FLAG_CHILD, __ATOMIC_SEQ_CST);
	int tid = ks_host_wait(-1, &status, WNOHANG);
	if (tid <= 0)
		return 0;
	// One signal may report several changes: wait again until there is none.
	__atomic_or_fetch(&ks_flags, KS_FLAG_CHILD, __ATOMIC_SEQ_CST);
	return ks_taken(core, tid, status, e);
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
			ks_condemn(c);
		return KS_NOTHING;
	}
	c->state = KS_NOTIFIED;
	c->id = n->id;
	ks_overtake(c);
	e->context = index;
	e->nr = n->data.nr;
	memcpy(e->args, n->data.args, sizeof e->args);
	e->ip = n->data.instruction_pointer;
	e->arch = n->data.arch;
	if (c->helper)
		return e->kind = KS_HELPER_CALL;
	return e->kind = ks_is_foreign(e->arch, e->nr) ? KS_FOREIGN : KS_SYSCALL;
}

static int pump(struct ks_core *core, uint32_t mask, struct ks_event *e)
{
	for (;;) {
		if (ks_flags & KS_FLAG_CHILD) {
			int kind = reap(core, e);
			if (kind && kind != KS_NOTHING)
				return kind;
			continue;
		}
		if (ks_flags & mask)
			return 0;
		memset(&core->notif, 0, sizeof core->notif);
		long r = ks_wait_call(&ks_flags, mask | KS_FLAG_CHILD, SYS_ioctl, core->listener, (void *)SECCOMP_IOCTL_NOTIF_RECV, (long)&core->notif);
		if (r == 0) {
			int kind = notified(core, e);
			if (kind != KS_NOTHING)
				return kind;
		} else if (r == -ENOENT) {
			// Cancelled by an interrupt, or every filtered task is dead: look for deaths before waiting again.
			__atomic_or_fetch(&ks_flags, KS_FLAG_CHILD, __ATOMIC_SEQ_CST);
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

static int answer(struct ks_core *core, struct context *c, int64_t value) { return reply(core, c, value, 0); }

static int resume(struct ks_core *core, struct context *c)
{
	c->state = KS_RUNNING;
	long r = ks_trace(PTRACE_CONT, c->tid, 0, NULL);
	if (c->pinned)
		ks_unpin(core, c);
	return r == -ESRCH ? 0 : (int)r;
}

static int stop(struct ks_core *core, int index)
{
	struct context *c = &core->contexts[index];
	ks_pin(core, c);
	long r = ks_trace(PTRACE_INTERRUPT, c->tid, 0, NULL);
	if (r < 0)
		return (int)r;
	r = reply(core, c, 0, 0);
	if (r < 0)
		return (int)r;
	int status, tid = ks_host_wait(c->tid, &status, 0);
	if (tid < 0)
		return tid;
	c->stale = 0;
	if (!WIFSTOPPED(status))
		return ks_died(core, index, status);
	c->state = KS_STOPPED;
	return 0;
}

static int walk(struct ks_core *core, int helper, int page, const struct ks_call *calls, int count, int64_t *last)
{
	struct context *c = ks_context_at(core, helper);
	if (!c || !c->helper || c->state != KS_NOTIFIED || count < 0 || count > KS_BATCH_MAX)
		return -EINVAL;
	const uint64_t site = KS_STUB + (uint64_t)(ks_stub_walked - ks_stub_start);
	memcpy(core->batch_pages + (size_t)page * KS_PAGE, calls, (size_t)count * sizeof *calls);
	int r = reply(core, c, count, 0);
	for (int done = 0; !r; done++) {
		struct ks_event e;
		r = ks_helper_call(core, helper, &e);
		if (r)
			break;
		if (e.nr == KS_PARK_NR && e.ip != site) {
			*last = (int64_t)e.args[1];
			return (int)e.args[0];
		}
		if (done >= count || e.arch != AUDIT_ARCH_X86_64 || e.ip != site || (uint64_t)e.nr != calls[done].nr ||
		    memcmp(e.args, calls[done].args, sizeof e.args)) {
			ks_condemn(c);
			return -EPERM;
		}
		r = reply(core, c, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	}
	return r;
}

static void edit(char *stub) { (void)stub; }

static int set_filter(void)
{
	struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
	struct sock_fprog program = {1, filter};
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
	return fd < 0 ? -errno : (int)fd;
}

const struct ks_trap ks_notify_trap = {pump, answer, resume, stop, walk, edit, set_filter, 0, 0};
