// The loop's own events: TIMEOUT, WAKE and FD; and a host call that they end.
//
// Everything arrives as a signal to the kernel thread, whose handler raises a flag in one word. A wait must neither miss a flag nor
// cost a further host call: where the handler finds the thread between the test of the word and the wait's `syscall`, it moves the
// instruction pointer to the code behind the wait.
#include "loop.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

// Used by the signal handler, which has nothing but these to reach: one word of flags, which signals and kicks came, which flag a
// signal raises, and the kernel thread.
volatile uint32_t ks_flags;
static volatile uint32_t kicks;
static volatile uint64_t signals;
static uint32_t flag_of[65];
static volatile pid_t owner;
// What ks_loop_close sets back: the actions of the signals that have ours, bit n - 1 of handled for signal n.
static struct sigaction before[65];
static uint64_t handled;
extern const char ks_wait_start[], ks_wait_end[], ks_wait_abort[];

// Make a host call of three arguments unless a flag of mask is up. Returns what it returns, -EINTR when a flag is up or a signal
// interrupts it. GIL released: blocks as long as the call does.
__asm__(".text\n"
        ".globl ks_wait_call, ks_wait_start, ks_wait_end, ks_wait_abort\n"
        "ks_wait_call:\n"
        "	mov %rdi, %r11\n" // flags
        "	mov %rcx, %rdi\n"
        "	mov %esi, %ecx\n" // mask
        "	mov %r8, %rsi\n"
        "	mov %rdx, %rax\n" // nr
        "	mov %r9, %rdx\n"
        "	xor %r10d, %r10d\n"
        "ks_wait_start:\n"
        "	test %ecx, (%r11)\n"
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
	if (!flag_of[signo])
		__atomic_or_fetch(&signals, 1UL << (signo - 1), __ATOMIC_SEQ_CST);
	if (!flag_of[signo] && (pid_t)syscall(SYS_gettid) != owner) { // the host picked another thread: the kernel thread may be waiting
		int error = errno;
		__atomic_or_fetch(&ks_flags, KS_FLAG_SIGNAL, __ATOMIC_SEQ_CST);
		syscall(SYS_tgkill, getpid(), owner, SIGRTMAX - 2);
		errno = error;
		return;
	}
	__atomic_or_fetch(&ks_flags, flag_of[signo] ? flag_of[signo] : KS_FLAG_SIGNAL, __ATOMIC_SEQ_CST);
	greg_t *rip = &((ucontext_t *)where)->uc_mcontext.gregs[REG_RIP];
	if (*rip >= (greg_t)ks_wait_start && *rip < (greg_t)ks_wait_end)
		*rip = (greg_t)ks_wait_abort;
}

static int handle(int signo)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	struct sigaction old;
	sigfillset(&action.sa_mask);
	if (sigaction(signo, &action, &old))
		return -errno;
	if (!(handled >> (signo - 1) & 1))
		before[signo] = old;
	handled |= 1UL << (signo - 1);
	return 0;
}

// Raise flag when signo comes; the platform's own use of a signal, until ks_loop_close. Returns 0 or -errno.
int ks_claim(int signo, uint32_t flag)
{
	flag_of[signo] = flag;
	return handle(signo);
}

// Deliver a signal of the host to the loop as a WAKE event instead of to the process. Returns 0 or -errno.
int ks_catch(struct ks_loop *loop, int signo)
{
	(void)loop;
	return handle(signo);
}

// Make a timer on CLOCK_MONOTONIC that sends signo to the kernel thread. Returns 0 or -errno.
int ks_timer(struct ks_loop *loop, int signo, timer_t *timer)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signo};
	event._sigev_un._tid = loop->owner;
	return timer_create(CLOCK_MONOTONIC, &event, timer) ? -errno : 0;
}

// Serve the calling thread, with three real-time signals of the process. Returns 0 or -errno.
int ks_loop_open(struct ks_loop *loop)
{
	loop->epoll_fd = -1;
	loop->armed_ns = -1;
	owner = loop->owner = (pid_t)syscall(SYS_gettid);
	int r = ks_timer(loop, SIGRTMAX, &loop->timer);
	loop->timer_made = !r;
	if (!r)
		r = ks_claim(SIGRTMAX, KS_FLAG_TIMER);
	if (!r)
		r = ks_claim(SIGRTMAX - 1, KS_FLAG_FD);
	if (!r)
		r = ks_claim(SIGRTMAX - 2, KS_FLAG_KICK);
	return r;
}

static void close_watcher(struct ks_loop *loop)
{
	int ends[2];
	if (!loop->thread_made || pipe2(ends, O_CLOEXEC))
		return;
	struct epoll_event event = {.events = EPOLLOUT, .data.fd = -1};
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, ends[1], &event);
	pthread_join(loop->thread, NULL);
	close(ends[0]);
	close(ends[1]);
	close(loop->epoll_fd);
}

// End the thread and the timer; every signal has the action again that it had. GIL released: blocks until the thread has ended.
void ks_loop_close(struct ks_loop *loop)
{
	close_watcher(loop);
	if (loop->timer_made)
		timer_delete(loop->timer);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	for (int signo = 1; signo <= 64; signo++) {
		if (!(handled >> (signo - 1) & 1))
			continue;
		if (flag_of[signo])
			sigaction(signo, &ignore, NULL); // drops what is still pending
		sigaction(signo, &before[signo], NULL);
		flag_of[signo] = 0;
	}
	handled = 0;
	ks_flags = kicks = 0;
	signals = 0;
}

// Raise KS_FLAG_TIMER at a deadline, -1 for none.
void ks_arm(struct ks_loop *loop, int64_t deadline_ns)
{
	if (deadline_ns == loop->armed_ns)
		return;
	struct itimerspec when = {0};
	if (deadline_ns >= 0) {
		when.it_value.tv_sec = deadline_ns / 1000000000;
		when.it_value.tv_nsec = deadline_ns % 1000000000;
		if (!deadline_ns)
			when.it_value.tv_nsec = 1;
	}
	loop->armed_ns = deadline_ns;
	timer_settime(loop->timer, TIMER_ABSTIME, &when, NULL);
}

int ks_report(struct ks_event *e, int kind, int context, int nr, uint64_t a0, uint64_t a1)
{
	*e = (struct ks_event){.kind = kind, .context = context, .nr = nr, .args = {a0, a1}};
	return kind;
}

// Take an event of the loop's own. Returns its kind, 0 when there is none.
int ks_loop_event(struct ks_loop *loop, struct ks_event *e)
{
	if (ks_flags & KS_FLAG_TIMER) {
		__atomic_and_fetch(&ks_flags, ~KS_FLAG_TIMER, __ATOMIC_SEQ_CST);
		loop->armed_ns = -1;
		return ks_report(e, KS_TIMEOUT, -1, 0, 0, 0);
	}
	if (ks_flags & (KS_FLAG_SIGNAL | KS_FLAG_KICK)) {
		__atomic_and_fetch(&ks_flags, ~(KS_FLAG_SIGNAL | KS_FLAG_KICK), __ATOMIC_SEQ_CST);
		uint64_t came = __atomic_exchange_n(&signals, 0, __ATOMIC_SEQ_CST);
		return ks_report(e, KS_WAKE, -1, 0, came, __atomic_exchange_n(&kicks, 0, __ATOMIC_SEQ_CST));
	}
	if (loop->ring_head != loop->ring_tail) {
		uint32_t i = loop->ring_head % KS_RING;
		ks_report(e, KS_FD, -1, loop->ring[i].fd, loop->ring[i].mask, 0);
		__atomic_store_n(&loop->ring_head, loop->ring_head + 1, __ATOMIC_RELEASE);
		return KS_FD;
	}
	if (ks_flags & KS_FLAG_FD) {
		__atomic_and_fetch(&ks_flags, ~KS_FLAG_FD, __ATOMIC_SEQ_CST);
		if (loop->ring_head != loop->ring_tail)
			__atomic_or_fetch(&ks_flags, KS_FLAG_FD, __ATOMIC_SEQ_CST);
	}
	return 0;
}

// End the wait with a WAKE event; any thread, async-signal-safe.
void ks_kick(struct ks_loop *loop, uint32_t bits)
{
	__atomic_or_fetch(&kicks, bits, __ATOMIC_SEQ_CST);
	syscall(SYS_tgkill, getpid(), loop->owner, SIGRTMAX - 2);
}

// ---- descriptors: a thread that only ever blocks in C reports which have become ready

static void *watcher(void *argument)
{
	struct ks_loop *loop = argument;
	struct epoll_event events[16];
	for (;;) {
		int n = epoll_wait(loop->epoll_fd, events, 16, -1);
		if (n < 0 && errno != EINTR)
			return NULL;
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == -1)
				return NULL;
			while (loop->ring_tail - __atomic_load_n(&loop->ring_head, __ATOMIC_ACQUIRE) == KS_RING)
				usleep(100);
			loop->ring[loop->ring_tail % KS_RING].fd = events[i].data.fd;
			loop->ring[loop->ring_tail % KS_RING].mask = events[i].events;
			__atomic_store_n(&loop->ring_tail, loop->ring_tail + 1, __ATOMIC_RELEASE);
		}
		if (n > 0)
			syscall(SYS_tgkill, getpid(), loop->owner, SIGRTMAX - 1);
	}
}

// Report once, as an FD event, that fd has become ready for mask (poll bits). Returns 0 or -errno; -EPERM: always ready.
int ks_watch(struct ks_loop *loop, int fd, uint32_t mask)
{
	if (!loop->thread_made) {
		loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		if (loop->epoll_fd < 0)
			return -errno;
		sigset_t all, before;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		int r = pthread_create(&loop->thread, NULL, watcher, loop);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (r)
			return -r;
		loop->thread_made = 1;
	}
	struct epoll_event event = {.events = mask | EPOLLONESHOT, .data.fd = fd};
	if (!epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd, &event) || (errno == ENOENT && !epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event)))
		return 0;
	return -errno;
}

// Forget fd; call before it is closed.
int ks_unwatch(struct ks_loop *loop, int fd)
{
	if (loop->thread_made)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	return 0;
}
