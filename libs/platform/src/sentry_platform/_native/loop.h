// What ends the wait for guests on every platform: a deadline, a kick, a signal of the host, a descriptor that is ready.
#ifndef KS_LOOP_H
#define KS_LOOP_H

#include "ks_tracees.h"
#include <pthread.h>
#include <sys/types.h>
#include <time.h>

#define KS_RING 1024

// Each is raised by a signal handler. A platform may claim signals for flags of its own, from KS_FLAG_OWN on.
enum { KS_FLAG_TIMER = 1, KS_FLAG_SIGNAL = 2, KS_FLAG_FD = 4, KS_FLAG_KICK = 8, KS_FLAG_OWN = 16 };
enum { KS_LOOP_FLAGS = KS_FLAG_TIMER | KS_FLAG_SIGNAL | KS_FLAG_FD | KS_FLAG_KICK };

struct ks_loop {
	pid_t owner; // the kernel thread
	int timer_made, thread_made, epoll_fd;
	int64_t armed_ns;
	timer_t timer;
	pthread_t thread;
	struct { int32_t fd; uint32_t mask; } ring[KS_RING]; // descriptors that are ready: filled by the thread, emptied by the loop
	volatile uint32_t ring_head, ring_tail;
};

extern volatile uint32_t ks_flags;

int ks_loop_open(struct ks_loop *loop);
void ks_loop_close(struct ks_loop *loop);
int ks_claim(int signo, uint32_t flag);
int ks_timer(struct ks_loop *loop, int signo, timer_t *timer);
void ks_arm(struct ks_loop *loop, int64_t deadline_ns);
int ks_loop_event(struct ks_loop *loop, struct ks_event *e);
long ks_wait_call(volatile uint32_t *flags, uint32_t mask, long nr, long a0, void *a1, long a2);
int ks_report(struct ks_event *e, int kind, int context, int nr, uint64_t a0, uint64_t a1);

#endif
