/* Host files, one call each: look, check, open. See fs.c. */
#ifndef KS_FS_H
#define KS_FS_H
#include <stddef.h>

enum { KS_FILE, KS_DIRECTORY, KS_WRITABLE, KS_PLACE };

int ks_stat(int dirfd, const char *name, unsigned long parent_dev, unsigned long guest_dev, unsigned char *out);
int ks_fstat(int fd, unsigned char *out);
int ks_open(int procfd, int dirfd, const char *name, int what, unsigned char *out);
int ks_open_root(const char *path, unsigned char *out);
int ks_create(int dirfd, const char *name, unsigned int mode);
int ks_rename(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name, unsigned int flags);
long ks_getdents(int fd, unsigned char *buf, size_t length);
long ks_readlink(int dirfd, const char *name, unsigned char *buf, size_t length);
int ks_nowait(int fd, int events);

#endif
