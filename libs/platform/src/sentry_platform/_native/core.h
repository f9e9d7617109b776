// What the files of the native core share: the core itself, its contexts, and the part that differs from trap to trap.
#ifndef KS_CORE_H
#define KS_CORE_H

#include "loop.h"
#include <linux/seccomp.h>
#include <sched.h>

#define MAX_TID (4 << 20) // PID_MAX_LIMIT
#define MAX_CONTEXTS 65536
#define MAX_SPACES 32768
#define X32_BIT 0x40000000
#define KS_XSTATE_MAX 16384
#define KS_HELPER_CALL 100 // internal kinds of events
#define KS_NOTHING 101

enum { KS_FLAG_CHILD = KS_FLAG_OWN, KS_FLAG_TICK = KS_FLAG_OWN << 1 };

struct context {
	uint64_t id; // notify: the notification that waits for an answer
	int64_t resumed_ns; // sysemu: when it was last resumed
	int64_t cpu_ns;     // CPU time of the stubs that it had before
	int tid, state, batch;
	uint8_t helper;
	uint8_t fresh;  // bit 0: registers, bit 1: extended state still to be written before it may run
	uint8_t trapped; // stopped at a call that a filter trapped, and not answered yet
	uint8_t wanted; // an interrupt was requested and no event came since
	uint8_t stale;  // another event came first: the stop that still follows is absorbed
	uint8_t pinned; // to the sentry's CPU
	uint8_t quick;  // sysemu: stops in a row that followed each other closely
	int next_free;
};

// How guest calls reach the sentry.
struct ks_trap {
	// Wait for the next event; 0 when a flag in mask other than CHILD is up; -errno when the trap is broken.
	int (*pump)(struct ks_core *core, uint32_t mask, struct ks_event *e);
	// Resume a notified context with value as its call's result.
	int (*answer)(struct ks_core *core, struct context *c, int64_t value);
	// Resume a stopped context from its registers.
	int (*resume)(struct ks_core *core, struct context *c);
	// Bring a notified context to a ptrace stop; its call then counts as answered.
	int (*stop)(struct ks_core *core, int index);
	// Make calls through a helper; see ks_batch.
	int (*walk)(struct ks_core *core, int helper, int page, const struct ks_call *calls, int count, int64_t *last);
	// In the template: change the stub while it can be written.
	void (*edit)(char *stub);
	// In the template: set the filter. Returns a listener, 0, or -errno.
	int (*filter)(void);
	unsigned long options; // of PTRACE_SEIZE, beside those for all
	int by_stops; // whether calls are ptrace stops: then a wait needs no SIGCHLD, and the sentry stays on one CPU
};

extern const struct ks_trap ks_notify_trap, ks_sysemu_trap;

struct ks_core {
	struct ks_loop loop;
	struct ks_event event;
	struct seccomp_notif notif;
	const struct ks_trap *trap;
	struct context *contexts;
	int32_t *by_tid;
	char *batch_pages;
	struct ks_event *queue;
	uint32_t queue_head, queue_tail, queue_size;
	int context_count, first_free, batch_count, batch_free[MAX_SPACES], batch_free_count;
	int listener, batch_fd, template, cloned, newborn;
	int live;
	cpu_set_t all; // where sentry and stubs may run
	int self_pinned;
	int running, tick_armed, tick_made; // sysemu: guests that run; whether the tick is armed, and its timer exists
	timer_t tick;
	uint64_t xsave_components;
	size_t xsave_size, host_xsave_size;
};

long ks_trace(long request, int tid, unsigned long address, void *data);
int ks_host_wait(int tid, int *status, int options);
int ks_context_new(struct ks_core *core, int tid, int state);
void ks_context_free(struct ks_core *core, int index);
struct context *ks_context_at(struct ks_core *core, int index);
void ks_condemn(struct context *c);
void ks_overtake(struct context *c);
int ks_is_foreign(uint32_t arch, int nr);
int ks_queue_push(struct ks_core *core, const struct ks_event *event);
int ks_taken(struct ks_core *core, int tid, int status, struct ks_event *e);
int ks_exception(struct ks_event *e, int tid, int signo, const siginfo_t *info);
int ks_helper_call(struct ks_core *core, int helper, struct ks_event *e);
int ks_died(struct ks_core *core, int index, int status);
void ks_pin(struct ks_core *core, struct context *c);
void ks_unpin(struct ks_core *core, struct context *c);
void ks_unpin_self(struct ks_core *core);

#endif
