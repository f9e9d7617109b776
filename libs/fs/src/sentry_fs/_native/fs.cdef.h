int ks_stat(int dirfd, const char *name, unsigned long parent_dev, unsigned long guest_dev, unsigned char *out);
int ks_fstat(int fd, unsigned char *out);
int ks_open(int procfd, int dirfd, const char *name, int directory, unsigned char *out);
int ks_open_root(const char *path, unsigned char *out);
long ks_getdents(int fd, unsigned char *buf, size_t length);
long ks_readlink(int dirfd, const char *name, unsigned char *buf, size_t length);
int ks_nowait(int fd, int events);
