// The host's descriptors: one thread that only ever blocks in C tells the loop which have become ready.
#include "core.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

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

// End the thread.
void ks_watch_close(struct ks_core *core)
{
	int ends[2];
	if (!core->thread_made || pipe2(ends, O_CLOEXEC))
		return;
	struct epoll_event event = {.events = EPOLLOUT, .data.fd = -1};
	epoll_ctl(core->epoll_fd, EPOLL_CTL_ADD, ends[1], &event);
	pthread_join(core->thread, NULL);
	close(ends[0]);
	close(ends[1]);
	close(core->epoll_fd);
}
