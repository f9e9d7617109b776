// The sysemu trap: guest calls arrive as ptrace stops before the host kernel sees them (PTRACE_SYSEMU).
//
// All events are wait statuses, so one blocking wait4 serves for everything. Helpers run with PTRACE_CONT, and park by a breakpoint
// instead of a call. A filter lets them make the calls of a batch, from the stub page alone, and traps anything else: one wrong
// PTRACE_CONT of a guest does not let it escape. The calls of the vsyscall page, which the host emulates without looking at ptrace, come to
// the sentry by the same trap.
//
// A stop and its resumption cost 7 us on one CPU and 50 to 80 across two, so guests are pinned to the sentry's CPU while they
// keep stopping. One that has run for 3 ms while others want to run is released, and pinned again after five quick stops.
#include "core.h"
#include "stub.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#endif
#define SILENT_NS 3000000
#define TICK_NS 4000000
#define QUICK_NS 200000
#define QUICK_STOPS 5

struct syscall_info { // struct ptrace_syscall_info of an entry
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t ip, sp, nr, args[6];
};
#define GET_SYSCALL_INFO 0x420e // PTRACE_GET_SYSCALL_INFO

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

// Unpin guests that have not stopped for a while, if others want the sentry's CPU: checked every 4 ms.
static void spread(struct ks_core *core)
{
	if (ks_flags & KS_FLAG_TICK) {
		__atomic_and_fetch(&ks_flags, ~KS_FLAG_TICK, __ATOMIC_SEQ_CST);
		core->tick_armed = 0;
		int64_t now = now_ns();
		for (int i = 0; i < core->context_count; i++) {
			struct context *c = &core->contexts[i];
			if (c->state == KS_RUNNING && c->pinned && !c->helper && now - c->resumed_ns > SILENT_NS)
				ks_unpin(core, c);
		}
	}
	if (core->running >= 2 && !core->tick_armed) {
		struct itimerspec when = {.it_value.tv_nsec = TICK_NS};
		core->tick_armed = !timer_settime(core->tick, 0, &when, NULL);
	}
}

// A call of a guest, or the breakpoint of a helper.
static int call_stop(struct ks_core *core, int index, struct ks_event *e)
{
	struct context *c = &core->contexts[index];
	struct syscall_info info;
	long r = ks_trace(GET_SYSCALL_INFO, c->tid, sizeof info, &info);
	if (r < 0)
		return KS_NOTHING; // killed meanwhile: its death follows
	c->state = KS_NOTIFIED;
	core->running--;
	ks_overtake(c);
	if (!c->pinned) {
		c->quick = now_ns() - c->resumed_ns < QUICK_NS ? c->quick + 1 : 0;
		if (c->quick >= QUICK_STOPS)
			ks_pin(core, c);
	}
	e->context = index;
	e->nr = (int32_t)info.nr;
	memcpy(e->args, info.args, sizeof e->args);
	e->ip = info.ip;
	e->arch = info.arch;
	return e->kind = ks_is_foreign(e->arch, e->nr) ? KS_FOREIGN : KS_SYSCALL;
}

// Take one wait status. Returns a kind, or KS_NOTHING.
static int take(struct ks_core *core, int tid, int status, struct ks_event *e)
{
	int index = tid < MAX_TID ? core->by_tid[tid] - 1 : -1;
	struct context *c = index < 0 ? NULL : &core->contexts[index];
	if (c && c->state == KS_RUNNING && WIFSTOPPED(status) && status >> 16 == 0) {
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (!c->helper)
				return call_stop(core, index, e);
			ks_condemn(c); // a helper is never resumed to stop at calls
			return KS_NOTHING;
		}
		if (c->helper && WSTOPSIG(status) == SIGTRAP) {
			c->state = KS_NOTIFIED;
			e->context = index;
			return e->kind = KS_HELPER_CALL;
		}
	}
	int before = c && !c->helper && c->state == KS_RUNNING;
	int kind = ks_taken(core, tid, status, e);
	if (before && c->state != KS_RUNNING)
		core->running--;
	return kind;
}

static int pump(struct ks_core *core, uint32_t mask, struct ks_event *e)
{
	for (;;) {
		if (ks_flags & mask)
			return 0;
		spread(core);
		int status;
		long tid = ks_wait_call(&ks_flags, mask, SYS_wait4, -1, &status, __WALL);
		if (tid == -EINTR)
			continue;
		if (tid < 0)
			return (int)tid;
		int kind = take(core, (int)tid, status, e);
		// wait4 searches the children in a fixed order: one that stops often would hide those behind it. So
		// all that have stopped by now are served first.
		while (core->running > 0) {
			struct ks_event other;
			int more = ks_host_wait(-1, &status, WNOHANG);
			if (more <= 0)
				break;
			int found = take(core, more, status, &other);
			if (found == KS_HELPER_CALL) { // what the caller waits for
				if (kind != KS_NOTHING)
					ks_queue_push(core, e);
				*e = other;
				return found;
			}
			if (found != KS_NOTHING)
				ks_queue_push(core, &other);
		}
		if (kind != KS_NOTHING)
			return kind;
		if (core->queue_head != core->queue_tail && mask) {
			*e = core->queue[core->queue_head++ & (core->queue_size - 1)];
			return e->kind;
		}
	}
}

static int run(struct ks_core *core, struct context *c)
{
	c->state = KS_RUNNING;
	if (!c->helper) {
		core->running++;
		c->resumed_ns = now_ns();
	}
	long r = ks_trace(c->helper ? PTRACE_CONT : PTRACE_SYSEMU, c->tid, 0, NULL);
	return r == -ESRCH ? 0 : (int)r;
}

static int answer(struct ks_core *core, struct context *c, int64_t value)
{
	long r = ks_trace(PTRACE_POKEUSER, c->tid, offsetof(struct ks_regs, rax), (void *)value);
	return r < 0 && r != -ESRCH ? (int)r : run(core, c);
}

static int stop(struct ks_core *core, int index)
{
	core->contexts[index].state = KS_STOPPED; // it is in a ptrace stop already
	return 0;
}

static int walk(struct ks_core *core, int helper, int page, const struct ks_call *calls, int count, int64_t *last)
{
	struct context *c = ks_context_at(core, helper);
	if (!c || !c->helper || c->state != KS_NOTIFIED || count < 0 || count > KS_BATCH_MAX)
		return -EINVAL;
	memcpy(core->batch_pages + (size_t)page * KS_PAGE, calls, (size_t)count * sizeof *calls);
	if (!c->pinned)
		ks_pin(core, c);
	int r = answer(core, c, count);
	struct ks_event e;
	struct ks_regs regs;
	if (!r)
		r = ks_helper_call(core, helper, &e);
	if (!r)
		r = (int)ks_trace(PTRACE_GETREGS, c->tid, 0, &regs);
	if (r < 0)
		return r;
	*last = (int64_t)regs.rsi;
	return (int)regs.rdi;
}

// Parking is a breakpoint.
static void edit(char *stub)
{
	memset(stub + (ks_stub_park - ks_stub_start), 0x90, (size_t)(ks_stub_parked - ks_stub_park));
	stub[ks_stub_park - ks_stub_start] = (char)0xcc;
}

// Only a batch's calls pass, from the stub page.
static int set_filter(void)
{
	static const int allowed[] = {SYS_mmap, SYS_mprotect, SYS_munmap, SYS_madvise, SYS_clone};
	enum { N = sizeof allowed / sizeof *allowed };
	struct sock_filter filter[8 + N + 2] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, N + 6),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(KS_STUB >> 32), 0, N + 4),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
	    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfffff000),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)KS_STUB, 0, N + 1),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	for (int i = 0; i < N; i++)
		filter[8 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i], (uint8_t)(N - i), 0);
	filter[8 + N] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
	filter[9 + N] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {8 + N + 2, filter};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}

const struct ks_trap ks_sysemu_trap = {pump, answer, run, stop, walk, edit, set_filter, PTRACE_O_TRACESYSGOOD, 1};
