/*
 * The only way in which guest-named files of the host are touched.
 *
 * Every function takes a directory descriptor and ONE component (no '/', never "..": the caller's promise, checked here
 * again), so nothing above the directory can be reached, and links are never followed. A name is opened with O_PATH first,
 * which runs no driver and waits for no FIFO; what it refers to is checked by type and by the magic number of its file
 * system; only then is it opened through /proc/self/fd, that is, the very object that was checked.
 *
 * RESOLVE_BENEATH alone would not do: it opens proc/self/mem of this process.
 *
 * Results are 0 or a descriptor, or -errno. `out` takes struct stat (144 bytes), which is the guest's layout too.
 * No function keeps state; the GIL is released, a cold or remote file system may block.
 */
#include "ks_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

_Static_assert(sizeof(struct stat) == 144, "the guest's struct stat is the host's");

/* File systems whose files are doors into a kernel. include/uapi/linux/magic.h, and the ones that are not there. */
static int pseudo(unsigned long magic)
{
	switch (magic) {
	case 0x9fa0:     /* proc */
	case 0x62656572: /* sysfs */
	case 0x27e0eb:   /* cgroup */
	case 0x63677270: /* cgroup2 */
	case 0x64626720: /* debugfs */
	case 0x74726163: /* tracefs */
	case 0xcafe4a11: /* bpf */
	case 0x73636673: /* securityfs */
	case 0x65735543: /* fusectl */
	case 0x62656570: /* configfs */
	case 0xf97cff8c: /* selinuxfs */
	case 0x43415d53: /* smackfs */
	case 0x1cd1:     /* devpts */
	case 0x6165676c: /* pstore */
	case 0xde5e81e4: /* efivarfs */
	case 0x42494e4d: /* binfmt_misc */
	case 0x6e736673: /* nsfs */
	case 0x19800202: /* mqueue */
	case 0x50495045: /* pipefs */
	case 0x534f434b: /* sockfs */
	case 0x09041934: /* anon_inode */
	case 0x67596969: /* rpc_pipefs */
	case 0x6c6f6f70: /* binderfs */
	case 0xabba1974: /* xenfs */
	case 0x5a3c69f0: /* apparmorfs */
	case 0x07655821: /* resctrl */
		return 1;
	default:
		return 0;
	}
}

static int bad_name(const char *name)
{
	return name[0] == 0 || strchr(name, '/') != NULL || strcmp(name, "..") == 0 || strcmp(name, ".") == 0;
}

/* Check what an O_PATH descriptor refers to; fills *st. -EXDEV: a file of a pseudo file system. */
static int check(int fd, struct stat *st)
{
	struct statfs fs;

	if (fstat(fd, st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	return pseudo((unsigned long)fs.f_type & 0xffffffffUL) ? -EXDEV : 0;
}

/*
 * Look at a name without following it. A file on another device than its directory (parent_dev) is -EXDEV when that is a
 * pseudo file system, with *out filled; one on the same device shows guest_dev as its device.
 */
int ks_stat(int dirfd, const char *name, unsigned long parent_dev, unsigned long guest_dev, unsigned char *out)
{
	struct stat *st = (struct stat *)(void *)out;

	if (bad_name(name))
		return -EINVAL;
	if (fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return -errno;
	if (st->st_dev == parent_dev) {
		st->st_dev = guest_dev;
	} else {
		int err;
		int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return -errno;
		err = check(fd, st);
		close(fd);
		if (err)
			return err;
	}
	return 0;
}

/* struct stat of an open descriptor. */
int ks_fstat(int fd, unsigned char *out)
{
	return fstat(fd, (struct stat *)(void *)out) < 0 ? -errno : 0;
}

/*
 * Open a name; *out is what was checked. What it may be, and how it is opened, is `what`: KS_FILE a regular file and
 * KS_DIRECTORY a directory, read-only; KS_WRITABLE a regular file, for reading and writing; KS_PLACE either of the two, with
 * O_PATH. -EACCES for anything else.
 */
int ks_open(int procfd, int dirfd, const char *name, int what, unsigned char *out)
{
	int directory = what == KS_DIRECTORY;
	struct stat *st = (struct stat *)(void *)out;
	char number[16];
	int fd, err, path_fd;

	if (bad_name(name))
		return -EINVAL;
	path_fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (path_fd < 0)
		return -errno;
	err = check(path_fd, st);
	if (!err && !(what != KS_FILE && what != KS_WRITABLE && S_ISDIR(st->st_mode)) &&
	    !(what != KS_DIRECTORY && S_ISREG(st->st_mode)))
		err = -EACCES;
	if (err) {
		close(path_fd);
		return err;
	}
	if (what == KS_PLACE)
		return path_fd;
	snprintf(number, sizeof(number), "%d", path_fd);
	fd = openat(procfd, number, (what == KS_WRITABLE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (directory ? O_DIRECTORY : 0));
	if (fd < 0) {
		err = -errno;
		/* a directory that can be searched but not listed is still good for looking up */
		if (directory && err == -EACCES)
			return path_fd;
	}
	close(path_fd);
	return fd < 0 ? err : fd;
}

/* Open the directory that a view of the host begins at; the path comes from the operator, links are followed. */
int ks_open_root(const char *path, unsigned char *out)
{
	struct stat *st = (struct stat *)(void *)out;
	int err;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == EACCES)
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = check(fd, st);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Make a regular file that must not exist; the descriptor is for reading and writing. */
int ks_create(int dirfd, const char *name, unsigned int mode)
{
	int fd;

	if (bad_name(name))
		return -EINVAL;
	fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode);
	return fd < 0 ? -errno : fd;
}

/* Move a name; flags are those of renameat2(2). */
int ks_rename(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name, unsigned int flags)
{
	if (bad_name(old_name) || bad_name(new_name))
		return -EINVAL;
	return syscall(SYS_renameat2, old_dirfd, old_name, new_dirfd, new_name, flags) < 0 ? -errno : 0;
}

/* Raw linux_dirent64 records from the descriptor's own position. */
long ks_getdents(int fd, unsigned char *buf, size_t length)
{
	long got = syscall(SYS_getdents64, fd, buf, length);

	return got < 0 ? -errno : got;
}

/* The target of a symbolic link, not terminated. */
long ks_readlink(int dirfd, const char *name, unsigned char *buf, size_t length)
{
	ssize_t got;

	if (bad_name(name))
		return -EINVAL;
	got = readlinkat(dirfd, name, (char *)buf, length);
	return got < 0 ? -errno : got;
}

/* Which of the poll events are true now. */
int ks_nowait(int fd, int events)
{
	struct pollfd one = {.fd = fd, .events = (short)events};
	int count;

	do
		count = poll(&one, 1, 0);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count ? one.revents : 0;
}
