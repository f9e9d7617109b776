// What Python calls: read by cffi, and by C through ks_tracees.h.
struct ks_regs { // struct user_regs_struct
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss;
	uint64_t fs_base, gs_base, ds, es, fs, gs;
};

struct ks_event {
	int32_t context; // whose event it is, -1 for WAKE, TIMEOUT and FD
	int32_t nr;      // SYSCALL: number; FAULT and TRAP: signal; GONE: wait status; FD: descriptor
	// SYSCALL: arguments. FAULT and TRAP: address, si_code, vector, error code, CR2; FAULT: access too. WAKE: signals,
	// kicks. FD: poll mask.
	uint64_t args[6];
	uint64_t ip;
	uint32_t arch; // AUDIT_ARCH_* of a FOREIGN entry
	int32_t kind;
};

struct ks_call { // one host call of a batch
	uint64_t nr, args[6], unused;
};

struct ks_loop;
struct ks_core;

struct ks_core *ks_open(int sysemu);
int ks_boot(struct ks_core *core, int *template_context);
void ks_close(struct ks_core *core);
struct ks_event *ks_event(struct ks_core *core);
struct ks_loop *ks_loop(struct ks_core *core);

int ks_next(struct ks_core *core, int answer, int64_t value, int64_t deadline_ns);
int ks_answer(struct ks_core *core, int context, int64_t value);

int ks_space_new(struct ks_core *core, int helper);
int ks_thread_new(struct ks_core *core, int helper);
int ks_batch(struct ks_core *core, int helper, const struct ks_call *calls, int count, int64_t *error);
int ks_bind(struct ks_core *core, int context, int helper);
int ks_halt(struct ks_core *core, int context);
int ks_kill(struct ks_core *core, int context);

int ks_stop(struct ks_core *core, int context);
int ks_interrupt(struct ks_core *core, int context);
int ks_state(struct ks_core *core, int context);
int ks_tid(struct ks_core *core, int context);
int ks_get_regs(struct ks_core *core, int context, struct ks_regs *regs);
int ks_set_regs(struct ks_core *core, int context, const struct ks_regs *regs);
size_t ks_xstate_size(struct ks_core *core);
int ks_get_xstate(struct ks_core *core, int context, void *area);
int ks_set_xstate(struct ks_core *core, int context, const void *area, size_t size);
int64_t ks_cpu_time(struct ks_core *core, int context);

int ks_watch(struct ks_loop *loop, int fd, uint32_t mask);
int ks_unwatch(struct ks_loop *loop, int fd);
int ks_catch(struct ks_loop *loop, int signo);
void ks_kick(struct ks_loop *loop, uint32_t bits);
void ks_clock_sample(int64_t *out);
