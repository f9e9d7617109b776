// Threads and processes that disturb each other's calls: arguments that change while they are read, pages that go,
// stops and deaths in the middle, exec over running threads, descriptors in transit, every clone flag. argv[1] is a file that must keep
// its content. Prints a line for each part that the kernel survived.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define STUB 0x7fffffff0000UL

static volatile int over;
static char *page;

static void *scribble(void *unused)
{
	for (uint64_t i = 88172645463325252; !over; i ^= i << 13, i ^= i >> 7, i ^= i << 17)
		((volatile uint64_t *)page)[i % 512] = i % 3 ? i : (uint64_t)page + i % 4096;
	return NULL;
}

static void *pull(void *unused)
{
	while (!over) {
		munmap(page + 4096, 4096);
		mmap(page + 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		mprotect(page + 4096, 4096, PROT_NONE);
		mprotect(page + 4096, 4096, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

static void changing_arguments(void)
{
	pthread_t threads[2];
	int fds[2];
	page = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); // what is read beyond the pages must not hit our own
	mprotect(page, 8192, PROT_READ | PROT_WRITE);
	pipe2(fds, O_NONBLOCK);
	pthread_create(&threads[0], NULL, scribble, NULL);
	pthread_create(&threads[1], NULL, pull, NULL);
	for (int i = 0; i < 300; i++) {
		struct iovec *vector = (struct iovec *)(page + i % 4000);
		writev(fds[1], vector, 4);
		readv(fds[0], (struct iovec *)(page + 4096 - 24), 3);
		open(page + i, O_RDONLY | O_CLOEXEC);
		sendmsg(fds[1], (struct msghdr *)(page + i * 8 % 4000), 0);
		read(fds[0], page + 4090, 100);
		poll((void *)(page + 4096 - 16), 4, 0);
		syscall(SYS_futex, page + 4096, 128, 0, &(struct timespec){0, 1000}, NULL, 0);
		syscall(SYS_rt_sigprocmask, 99, page + i, page + 4092, 8);
		for (int fd = 8; fd < 12; fd++)
			close(fd);
	}
	over = 1;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
}

static void *calls(void *unused)
{
	for (;;) {
		getppid();
		char c;
		int fds[2];
		if (pipe(fds) == 0)
			write(fds[1], "x", 1), read(fds[0], &c, 1), close(fds[0]), close(fds[1]);
	}
}

static void stops(void)
{
	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();
		if (!pid) {
			pthread_t thread;
			pthread_create(&thread, NULL, calls, NULL);
			calls(NULL);
		}
		for (int k = 0; k < 20; k++) {
			kill(pid, k % 2 ? SIGCONT : SIGSTOP);
			if (k % 5 == 0)
				sched_yield();
		}
		kill(pid, SIGKILL);
		int status;
		if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			exit(1);
	}
}

static void *replace(void *unused)
{
	execl("/bin/true", "true", NULL);
	return NULL;
}

static void exec_over_threads(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		if (!pid) {
			pthread_t threads[4];
			for (int k = 0; k < 3; k++)
				pthread_create(&threads[k], NULL, calls, NULL);
			pthread_create(&threads[3], NULL, replace, NULL);
			if (i % 2)
				pthread_create(&threads[3], NULL, replace, NULL); // two at once: one of them dies of the other
			calls(NULL);
		}
		int status;
		if (waitpid(pid, &status, 0) != pid || status)
			exit(1);
	}
}

static int pass(int over_socket, int fd)
{
	char buffer[CMSG_SPACE(sizeof fd)], byte = 0;
	struct iovec vector = {&byte, 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = buffer, .msg_controllen = sizeof buffer};
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	control->cmsg_level = SOL_SOCKET, control->cmsg_type = SCM_RIGHTS, control->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(control), &fd, sizeof fd);
	return sendmsg(over_socket, &message, 0);
}

static void descriptors(const char *keep)
{
	int pair[2], got[2] = {-1, -1};
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	int fd = open(keep, O_RDONLY);
	pass(pair[0], fd);
	char buffer[256], byte;
	struct iovec vector = {&byte, 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = buffer, .msg_controllen = sizeof buffer};
	recvmsg(pair[1], &message, 0);
	memcpy(got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof *got);
	if (write(*got, "changed", 7) != -1 || ftruncate(*got, 0) != -1)
		exit(1);
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, *got, 0) != MAP_FAILED)
		exit(1);
	char *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, *got, 0);
	if (private != MAP_FAILED)
		strcpy(private, "changed");
	char *later = mmap(NULL, 4096, PROT_READ, MAP_SHARED, *got, 0);
	if (later != MAP_FAILED && mprotect(later, 4096, PROT_READ | PROT_WRITE) != -1)
		exit(1);
	snprintf(buffer, sizeof buffer, "/proc/self/fd/%d", *got);
	int again = open(buffer, O_RDWR); // allowed or not, it must not be the host's
	write(again, "changed", 7);
	for (int i = 0; i < 300; i++) { // sockets inside themselves, forgotten
		int knot[2];
		socketpair(AF_UNIX, SOCK_DGRAM, 0, knot);
		pass(knot[0], knot[1]), pass(knot[1], knot[0]), pass(knot[0], knot[0]);
		close(knot[0]), close(knot[1]);
	}
	char many[CMSG_SPACE(300 * sizeof(int))];
	memset(many, 0, sizeof many);
	message.msg_control = many, message.msg_controllen = sizeof many;
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	control->cmsg_level = SOL_SOCKET, control->cmsg_type = SCM_RIGHTS, control->cmsg_len = CMSG_LEN(300 * sizeof(int));
	if (sendmsg(pair[0], &message, 0) != -1 || errno != EINVAL)
		exit(1);
	control->cmsg_len = -1; // longer than everything
	sendmsg(pair[0], &message, MSG_DONTWAIT);
	control->cmsg_len = 1;
	sendmsg(pair[0], &message, MSG_DONTWAIT);
}

static int last(void *unused) { return syscall(SYS_exit, 0); }

static void clone_flags(void)
{
	uint64_t state = 0x9e3779b97f4a7c15;
	for (int i = 0; i < 24 + 60; i++) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		unsigned long flags = i < 24 ? 0x100UL << i : state & 0xffffff00;
		pid_t pid = fork();
		if (!pid) {
			static char stack[65536];
			static int word;
			alarm(2);
			clone(last, stack + sizeof stack, (int)(flags | SIGCHLD), NULL, &word, page, &word);
			while (waitpid(-1, NULL, __WALL) > 0)
				;
			_exit(0);
		}
		int status;
		while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
			;
	}
}

static void programs(void)
{
	static const uint64_t places[] = {STUB, STUB + 4096, STUB - 4096, 0x7ffffffff000, 0, 0xffffffff81000000, 0xffffffffff600000};
	for (size_t i = 0; i < sizeof places / sizeof *places * 2; i++) {
		struct { Elf64_Ehdr e; Elf64_Phdr p[2]; char code[8]; } image = {
			{.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT}, .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
			 .e_phoff = sizeof(Elf64_Ehdr), .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2},
			{{.p_type = PT_LOAD, .p_flags = 5, .p_vaddr = 0x400000, .p_filesz = 4096, .p_memsz = 4096, .p_align = 4096},
			 {.p_type = PT_LOAD, .p_flags = 7, .p_vaddr = 0x500000, .p_filesz = 4096, .p_memsz = 8192, .p_align = 4096}}, "\xeb\xfe"};
		uint64_t place = places[i / 2];
		if (i % 2)
			image.e.e_entry = place;
		else
			image.p[1].p_vaddr = place;
		unlink("image"); // one may still be busy
		int fd = open("image", O_RDWR | O_CREAT | O_TRUNC, 0755);
		write(fd, &image, sizeof image);
		ftruncate(fd, 8192);
		close(fd);
		fd = open("image", O_RDONLY);
		for (int flags = 0; flags < 3; flags++) {
			pid_t pid = fork();
			if (!pid) {
				char *argv[] = {"image", NULL};
				alarm(1);
				syscall(SYS_execveat, fd, flags ? "" : "image", argv, NULL, flags == 2 ? -1 : flags ? AT_EMPTY_PATH : 0);
				_exit(1);
			}
			int status;
			waitpid(pid, &status, 0);
			if (!WIFSIGNALED(status) && WEXITSTATUS(status) != 1)
				exit(1);
		}
		close(fd);
	}
}

int main(int argc, char **argv)
{
	chdir("/tmp");
	mkdir("races", 0700), chdir("races");
	changing_arguments(), puts("changing arguments"), fflush(stdout);
	stops(), puts("stops"), fflush(stdout);
	exec_over_threads(), puts("exec over threads"), fflush(stdout);
	descriptors(argv[1]), puts("descriptors"), fflush(stdout);
	clone_flags(), puts("clone flags"), fflush(stdout);
	programs(), puts("programs"), fflush(stdout);
	puts("alive");
	return 0;
}
