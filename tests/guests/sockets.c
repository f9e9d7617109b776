/* Unix domain sockets: kinds, names, connections, messages, rights and credentials, options, readiness. */
#include "guest.h"
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

static volatile sig_atomic_t caught;
static void note(int signo) { caught = signo; }

static socklen_t unix_address(struct sockaddr_un *a, const char *name) {
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    if (name[0] == '@') {
        memcpy(a->sun_path + 1, name + 1, strlen(name) - 1);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    }
    strcpy(a->sun_path, name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1);
}

static int name_bind(int fd, const char *name) {
    struct sockaddr_un a;
    socklen_t n = unix_address(&a, name);
    return bind(fd, (struct sockaddr *)&a, n);
}

static int name_connect(int fd, const char *name) {
    struct sockaddr_un a;
    socklen_t n = unix_address(&a, name);
    return connect(fd, (struct sockaddr *)&a, n);
}

static ssize_t name_send(int fd, const char *name, const char *text, int flags) {
    struct sockaddr_un a;
    socklen_t n = unix_address(&a, name);
    return sendto(fd, text, strlen(text), flags, (struct sockaddr *)&a, n);
}

static void show_name(const char *what, int fd, int peer) {
    struct sockaddr_un a;
    socklen_t n = sizeof a;
    memset(&a, 0, sizeof a);
    errno = 0;
    int r = peer ? getpeername(fd, (struct sockaddr *)&a, &n) : getsockname(fd, (struct sockaddr *)&a, &n);
    if (r) SHOW(what, "%s", strerrorname_np(errno));
    else SHOW(what, "family %d length %d name %s%s", a.sun_family, n, a.sun_path[0] || n <= 2 ? "" : "@",
              a.sun_path[0] || n <= 2 ? a.sun_path : a.sun_path + 1);
}

static void show_poll(const char *what, int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    int r = poll(&p, 1, 0);
    SHOW(what, "%d %x", r, p.revents);
}

static int option(int fd, int name) {
    int value = -1;
    socklen_t n = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, name, &value, &n)) return -errno;
    return value;
}

static int turn(int fd, int name, int value) { return setsockopt(fd, SOL_SOCKET, name, &value, sizeof value); }

/* Send bytes with descriptors and, if creds is not NULL, credentials. */
static ssize_t send_along(int fd, const char *text, size_t length, int *fds, int count, struct ucred *creds) {
    char cmsgs[CMSG_SPACE(300 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    struct iovec v = {(void *)text, length};
    struct msghdr m = {0};
    memset(cmsgs, 0, sizeof cmsgs);
    m.msg_iov = &v;
    m.msg_iovlen = 1;
    m.msg_control = cmsgs;
    m.msg_controllen = sizeof cmsgs;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    size_t used = 0;
    if (count) {
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)count * sizeof(int));
        used += CMSG_SPACE((size_t)count * sizeof(int));
    }
    if (creds) {
        c = (struct cmsghdr *)(cmsgs + used);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_CREDENTIALS;
        c->cmsg_len = CMSG_LEN(sizeof *creds);
        memcpy(CMSG_DATA(c), creds, sizeof *creds);
        used += CMSG_SPACE(sizeof *creds);
    }
    m.msg_controllen = used;
    if (!used) m.msg_control = NULL;
    return sendmsg(fd, &m, 0);
}

/* Receive, and show what came along; the received descriptors are closed but the last, which is returned. */
static int show_receive(const char *what, int fd, size_t length, size_t control, int flags) {
    char data[256], cmsgs[512];
    struct iovec v = {data, length};
    struct msghdr m = {0};
    memset(cmsgs, 0, sizeof cmsgs);
    m.msg_iov = &v;
    m.msg_iovlen = 1;
    m.msg_control = control ? cmsgs : NULL;
    m.msg_controllen = control;
    errno = 0;
    ssize_t n = recvmsg(fd, &m, flags);
    if (n < 0) {
        SHOW(what, "%s", strerrorname_np(errno));
        return -1;
    }
    SHOW(what, "%zd %.*s flags %x control %zu", n, (int)(n < (ssize_t)length ? n : (ssize_t)length), data, m.msg_flags,
         m.msg_controllen);
    int last = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_type == SCM_RIGHTS) {
            int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            SHOW("  descriptors", "%d", count);
            for (int i = 0; i < count; i++) {
                if (last >= 0) close(last);
                memcpy(&last, CMSG_DATA(c) + (size_t)i * sizeof(int), sizeof(int));
            }
        } else if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred u;
            memset(&u, 0, sizeof u);
            memcpy(&u, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0) < sizeof u ? c->cmsg_len - CMSG_LEN(0) : sizeof u);
            SHOW("  credentials", "%s pid, %s uid, %s gid", u.pid == getpid() ? "own" : u.pid ? "other" : "no",
                 u.uid == getuid() ? "own" : "other", u.gid == getgid() ? "own" : "other");
        }
    }
    return last;
}

static void making(void) {
    int p[2];
    CALL("unknown family", socket(45, SOCK_STREAM, 0));
    CALL("family too large", socket(1000, SOCK_STREAM, 0));
    CALL("unknown kind", socket(AF_UNIX, 9, 0));
    CALL("kind too large", socket(AF_UNIX, 12, 0));
    CALL("unknown flag", socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
    CALL("unknown protocol", socket(AF_UNIX, SOCK_STREAM, 7));
    int raw = socket(AF_UNIX, SOCK_RAW, 0);
    NUM("raw is a datagram socket", option(raw, SO_TYPE));
    close(raw);
    CALL("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p));
    NUM("numbers", p[1] - p[0]);
    NUM("close-on-exec", fcntl(p[0], F_GETFD));
    NUM("flags", fcntl(p[0], F_GETFL));
    struct stat st;
    CALL("fstat", fstat(p[0], &st));
    SHOW("mode", "%o", st.st_mode);
    char link[64], path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    ssize_t n = readlink(path, link, sizeof link - 1);
    SHOW("link", "%.*s", n > 8 ? 8 : (int)n, link);
    CALL("lseek", lseek(p[0], 0, SEEK_SET));
    CALL("pread", pread(p[0], link, 1, 0));
    CALL("fsync", fsync(p[0]));
    CALL("ftruncate", ftruncate(p[0], 0));
    CALL("not a socket", listen(0, 1));
    CALL("not open", listen(999, 1));
    SHOW("options", "%d %d %d %d %d", option(p[0], SO_DOMAIN), option(p[0], SO_TYPE), option(p[0], SO_PROTOCOL),
         option(p[0], SO_ERROR), option(p[0], SO_ACCEPTCONN));
    SHOW("buffers", "%d %d", option(p[0], SO_SNDBUF), option(p[0], SO_RCVBUF));
    CALL("set a buffer", turn(p[0], SO_SNDBUF, 10000));
    NUM("it is doubled", option(p[0], SO_SNDBUF));
    CALL("too small", turn(p[0], SO_SNDBUF, 1));
    NUM("the least", option(p[0], SO_SNDBUF));
    CALL("receive buffer too small", turn(p[0], SO_RCVBUF, 1));
    NUM("the least to receive", option(p[0], SO_RCVBUF));
    CALL("SO_REUSEADDR", turn(p[0], SO_REUSEADDR, 5));
    NUM("is on", option(p[0], SO_REUSEADDR));
    CALL("SO_KEEPALIVE", turn(p[0], SO_KEEPALIVE, 1));
    NUM("SO_PASSCRED", option(p[0], SO_PASSCRED));
    struct timeval tv = {1, 500000};
    CALL("SO_RCVTIMEO", setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    struct timeval got = {0, 0};
    socklen_t length = sizeof got;
    CALL("get it", getsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &got, &length));
    SHOW("it", "%ld %ld %d", (long)got.tv_sec, (long)got.tv_usec, length);
    tv.tv_usec = 1000000;
    CALL("bad time", setsockopt(p[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
    CALL("unknown option", turn(p[0], 999, 1));
    CALL("get an unknown option", option(p[0], 999));
    CALL("unknown level", setsockopt(p[0], 77, 1, &tv, sizeof tv));
    CALL("short option", setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &tv, 2));
    struct linger l = {1, 3};
    CALL("SO_LINGER", setsockopt(p[0], SOL_SOCKET, SO_LINGER, &l, sizeof l));
    struct ucred u;
    length = sizeof u;
    CALL("SO_PEERCRED", getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &u, &length));
    SHOW("peer", "%d %d %d", u.pid == getpid(), u.uid == geteuid(), u.gid == getegid());
    int lone = socket(AF_UNIX, SOCK_STREAM, 0);
    length = sizeof u;
    CALL("SO_PEERCRED alone", getsockopt(lone, SOL_SOCKET, SO_PEERCRED, &u, &length));
    SHOW("no peer", "%d %d %d", u.pid, u.uid, u.gid);
    show_name("unnamed", p[0], 0);
    show_name("unnamed peer", p[0], 1);
    show_name("no peer", lone, 1);
    show_poll("poll a pair", p[0]);
    show_poll("poll alone", lone);
    close(lone);
    close(p[0]);
    close(p[1]);
}

static void streams(void) {
    int p[2];
    char b[300000];
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    CALL("write", write(p[0], "hello world", 11));
    int available = 0;
    CALL("FIONREAD", ioctl(p[1], FIONREAD, &available));
    NUM("available", available);
    CALL("peek", recv(p[1], b, 5, MSG_PEEK));
    SHOW("peeked", "%.5s", b);
    CALL("read", read(p[1], b, 5));
    SHOW("data", "%.5s", b);
    CALL("truncating read", recv(p[1], b, 3, MSG_TRUNC));
    CALL("rest", recv(p[1], b, 100, 0));
    SHOW("data", "%.3s", b);
    CALL("empty", recv(p[1], b, 100, MSG_DONTWAIT));
    CALL("no bytes", recv(p[1], b, 0, MSG_DONTWAIT));
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    CALL("writev", writev(p[1], out, 3));
    char x[2], y[10];
    struct iovec in[2] = {{x, 2}, {y, 10}};
    CALL("readv", readv(p[0], in, 2));
    SHOW("scattered", "%.2s %.3s", x, y);
    CALL("send nothing", send(p[0], "", 0, 0));
    CALL("address on a connection", name_send(p[0], "@elsewhere", "x", 0));
    CALL("connect a pair", name_connect(p[0], "@elsewhere"));
    CALL("accept on a connection", accept(p[0], NULL, NULL));
    CALL("listen on a pair", listen(p[0], 1));

    /* a large message blocks until it is read, in order */
    pid_t pid = fork();
    if (!pid) {
        close(p[0]);
        for (int i = 0; i < 300000; i++) b[i] = (char)(i % 251);
        long sent = 0;
        for (int i = 0; i < 4; i++) sent += send(p[1], b, 300000, 0);
        _exit(sent == 1200000 ? 0 : 1);
    }
    close(p[1]);
    long total = 0, wrong = 0;
    for (;;) {
        ssize_t n = recv(p[0], b, 70001, MSG_WAITALL);
        if (n <= 0) break;
        for (ssize_t i = 0; i < n; i++) wrong += b[i] != (char)((total + i) % 300000 % 251);
        total += n;
    }
    NUM("total", total);
    NUM("wrong bytes", wrong);
    reap("sender", pid);
    CALL("end of file", read(p[0], b, 1));
    show_poll("poll at the end", p[0]);
    CALL("write without peer", send(p[0], "x", 1, MSG_NOSIGNAL));
    signal(SIGPIPE, note);
    caught = 0;
    CALL("write with signal", write(p[0], "x", 1));
    NUM("signal", caught);
    caught = 0;
    CALL("send with signal", send(p[0], "x", 1, 0));
    NUM("signal again", caught);
    close(p[0]);

    /* halves */
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    write(p[0], "last", 4);
    CALL("shutdown for writing", shutdown(p[0], SHUT_WR));
    show_poll("this end", p[0]);
    show_poll("that end", p[1]);
    caught = 0;
    CALL("write after it", send(p[0], "x", 1, 0));
    NUM("signal", caught);
    CALL("what was sent", read(p[1], b, 10));
    CALL("then the end", read(p[1], b, 10));
    CALL("the other way", write(p[1], "back", 4));
    CALL("arrives", read(p[0], b, 10));
    CALL("shutdown for reading", shutdown(p[0], SHUT_RD));
    CALL("write to the deaf", send(p[1], "x", 1, MSG_NOSIGNAL));
    show_poll("both shut", p[0]);
    CALL("bad shutdown", shutdown(p[0], 7));
    close(p[0]);
    close(p[1]);

    /* unread bytes are a reset */
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    write(p[0], "unread", 6);
    write(p[1], "answer", 6);
    close(p[1]);
    show_poll("reset", p[0]);
    CALL("answer first", read(p[0], b, 10));
    CALL("then the reset", read(p[0], b, 10));
    CALL("then the end", read(p[0], b, 10));
    close(p[0]);

    /* time limits */
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    struct timeval tv = {0, 30000};
    setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(p[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    int64_t before = now_ns(CLOCK_MONOTONIC);
    CALL("read with a limit", read(p[0], b, 1));
    int64_t took = now_ns(CLOCK_MONOTONIC) - before;
    TRUTH("it took its time", took >= 29000000 && took < 2000000000);
    CALL("recv with a limit", recv(p[0], b, 1, 0));
    CALL("WAITALL with a limit", (write(p[1], "ab", 2), recv(p[0], b, 10, MSG_WAITALL)));
    before = now_ns(CLOCK_MONOTONIC);
    long sent = 0;
    for (;;) {
        ssize_t n = write(p[0], b, 100000);
        if (n <= 0) break;
        sent += n;
    }
    CALL("write with a limit", write(p[0], b, 1000));
    TRUTH("something went out", sent > 50000);
    show_poll("full", p[0]);
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    CALL("full and nonblocking", write(p[0], b, 1000));
    close(p[0]);
    close(p[1]);

    /* a signal ends a wait */
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    struct sigaction sa = {0};
    sa.sa_handler = note;
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {{0, 0}, {0, 50000}};
    setitimer(ITIMER_REAL, &it, NULL);
    CALL("interrupted", recv(p[0], b, 1, 0));
    write(p[1], "abc", 3);
    setitimer(ITIMER_REAL, &it, NULL);
    CALL("interrupted in the middle", recv(p[0], b, 10, MSG_WAITALL));
    close(p[0]);
    close(p[1]);
}

static void names(void) {
    int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), a;
    char b[100];
    struct sockaddr_un from;
    socklen_t length;
    CALL("listen unbound", listen(s, 1));
    CALL("accept unbound", accept(s, NULL, NULL));
    CALL("recv unconnected", recv(s, b, 1, 0));
    CALL("send unconnected", send(s, "x", 1, MSG_NOSIGNAL));
    CALL("shutdown unconnected", shutdown(c, SHUT_RDWR));
    close(c);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    umask(022);
    CALL("bind to a path", name_bind(s, "sock"));
    struct stat st;
    CALL("stat", stat("sock", &st));
    SHOW("mode", "%o size %d links %d", st.st_mode, (int)st.st_size, (int)st.st_nlink);
    show_name("name", s, 0);
    CALL("bind twice", name_bind(s, "sock2"));
    CALL("in use", name_bind(c, "sock"));
    CALL("no directory", name_bind(c, "nowhere/sock"));
    CALL("open", open("sock", O_RDWR));
    CALL("not listening yet", name_connect(c, "sock"));
    CALL("no such path", name_connect(c, "nothing"));
    close(open("plain", O_CREAT | O_WRONLY, 0644));
    CALL("not a socket", name_connect(c, "plain"));
    unlink("plain");
    memset(&from, 0, sizeof from);
    from.sun_family = AF_INET;
    CALL("wrong family", connect(c, (struct sockaddr *)&from, sizeof from));
    CALL("too short", connect(c, (struct sockaddr *)&from, 1));
    CALL("too long", connect(c, (struct sockaddr *)&from, 200));
    from.sun_family = AF_UNIX;
    CALL("no name", connect(c, (struct sockaddr *)&from, 2));
    CALL("bad pointer", connect(c, (struct sockaddr *)8, 10));
    CALL("listen", listen(s, 1));
    NUM("SO_ACCEPTCONN", option(s, SO_ACCEPTCONN));
    show_poll("no client yet", s);
    CALL("connect", name_connect(c, "sock"));
    show_poll("a client", s);
    CALL("connect again", name_connect(c, "sock"));
    CALL("connect a listener", name_connect(s, "sock"));
    CALL("send before accept", send(c, "early", 5, 0));
    show_name("client", c, 0);
    show_name("its peer", c, 1);
    length = sizeof from;
    a = accept4(s, (struct sockaddr *)&from, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    TRUTH("accept4", a >= 0);
    NUM("address length", length);
    NUM("close-on-exec", fcntl(a, F_GETFD));
    NUM("flags", fcntl(a, F_GETFL));
    CALL("bad flags", accept4(s, NULL, NULL, 1));
    show_name("accepted", a, 0);
    show_name("peer of the accepted", a, 1);
    CALL("early bytes", recv(a, b, 100, 0));
    struct ucred u;
    length = sizeof u;
    getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &length);
    SHOW("server seen", "%d %d", u.pid == getpid(), u.uid == geteuid());
    fcntl(s, F_SETFL, O_NONBLOCK);
    CALL("no client waits", accept(s, NULL, NULL));
    CALL("recv on a listener", recv(s, b, 1, 0));
    CALL("FIONREAD on a listener", ioctl(s, FIONREAD, b));
    CALL("backlog of another kind", ({ int d = socket(AF_UNIX, SOCK_DGRAM, 0); int r = name_connect(d, "sock"); int e = errno; close(d); errno = e; r; }));

    /* the queue is backlog + 1 long */
    int more[4], made = 0;
    for (int i = 0; i < 4; i++) {
        more[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (!name_connect(more[i], "sock")) made++;
        else if (i == 2) SHOW("queue full", "%s", strerrorname_np(errno));
    }
    NUM("queue", made);
    pid_t pid = fork();
    if (!pid) {
        int w = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(name_connect(w, "sock") ? errno : send(w, "late", 4, 0) == 4 ? 0 : 1);
    }
    sleep_ms(20);
    fcntl(s, F_SETFL, 0);
    for (int i = 0; i < 3; i++) {
        int t = accept(s, NULL, NULL);
        ssize_t n = i == 2 ? recv(t, b, 100, 0) : 0;
        if (i == 2) NUM("late bytes", n);
        close(t);
    }
    reap("late client", pid);
    for (int i = 0; i < 4; i++) close(more[i]);
    close(c);
    CALL("end", recv(a, b, 1, 0));
    close(a);

    /* closing a listener resets the connections in its queue */
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    CALL("connect once more", name_connect(c, "sock"));
    close(s);
    CALL("reset", recv(c, b, 1, 0));
    CALL("refused", (close(c), c = socket(AF_UNIX, SOCK_STREAM, 0), name_connect(c, "sock")));
    CALL("unlink", unlink("sock"));
    CALL("gone", name_connect(c, "sock"));

    /* abstract names */
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    CALL("abstract", name_bind(s, "@sentry guest"));
    show_name("abstract name", s, 0);
    int s2 = socket(AF_UNIX, SOCK_STREAM, 0);
    CALL("abstract in use", name_bind(s2, "@sentry guest"));
    listen(s, 5);
    CALL("abstract connect", name_connect(c, "@sentry guest"));
    show_name("abstract peer", c, 1);
    close(s);
    CALL("abstract free again", name_bind(s2, "@sentry guest"));
    int s3 = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un none = {AF_UNIX, ""};
    CALL("autobind", bind(s3, (struct sockaddr *)&none, 2));
    length = sizeof from;
    getsockname(s3, (struct sockaddr *)&from, &length);
    NUM("autobind length", length);
    NUM("first byte", from.sun_path[0]);
    close(s2);
    close(s3);
    close(c);

    /* a client with a name */
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    name_bind(s, "@server");
    listen(s, 5);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    name_bind(c, "client");
    name_connect(c, "@server");
    length = sizeof from;
    memset(&from, 0, sizeof from);
    a = accept(s, (struct sockaddr *)&from, &length);
    SHOW("client's name", "%d %s", length, from.sun_path);
    length = 5;
    memset(&from, 0, sizeof from);
    CALL("cut name", getpeername(a, (struct sockaddr *)&from, &length));
    SHOW("cut", "%d %.3s", length, from.sun_path);
    close(a);
    close(c);
    close(s);
    unlink("client");
}

static void datagrams(void) {
    int s = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_DGRAM, 0), p[2];
    char b[100];
    struct sockaddr_un from;
    socklen_t length = sizeof from;
    CALL("listen", listen(s, 1));
    CALL("accept", accept(s, NULL, NULL));
    CALL("send without a destination", send(c, "x", 1, 0));
    CALL("bind", name_bind(s, "@dgram server"));
    CALL("send to it", name_send(c, "@dgram server", "first", 0));
    CALL("send nothing", name_send(c, "@dgram server", "", 0));
    CALL("send more", name_send(c, "@dgram server", "third message", 0));
    int available = 0;
    ioctl(s, FIONREAD, &available);
    NUM("available", available);
    NUM("first", recvfrom(s, b, sizeof b, 0, (struct sockaddr *)&from, &length));
    NUM("without a source", length);
    CALL("nothing", recv(s, b, sizeof b, 0));
    CALL("peek cut", recv(s, b, 3, MSG_PEEK | MSG_TRUNC));
    show_receive("cut", s, 5, 0, 0);
    CALL("empty", recv(s, b, sizeof b, MSG_DONTWAIT));
    CALL("name the client", name_bind(c, "@dgram client"));
    CALL("connect", name_connect(c, "@dgram server"));
    show_name("peer", c, 1);
    CALL("send", send(c, "hi", 2, 0));
    length = sizeof from;
    memset(&from, 0, sizeof from);
    CALL("recvfrom", recvfrom(s, b, sizeof b, 0, (struct sockaddr *)&from, &length));
    SHOW("from", "%d %s", length, from.sun_path + 1);
    CALL("answer", sendto(s, "yes", 3, 0, (struct sockaddr *)&from, length));
    CALL("it comes", read(c, b, sizeof b));
    int third = socket(AF_UNIX, SOCK_DGRAM, 0);
    CALL("connected to another", name_send(third, "@dgram client", "x", 0));
    CALL("connect to it", name_connect(third, "@dgram client"));
    CALL("no receiver", name_send(third, "@unbound", "x", 0));
    int filled = 0;
    while (name_send(third, "@dgram server", "fill", MSG_DONTWAIT) == 4) filled++;
    SHOW("queue", "%d %s", filled, strerrorname_np(errno));
    show_poll("server", s);
    show_poll("client of the full", c);
    show_poll("third", third);
    pid_t pid = fork();
    if (!pid) _exit(name_send(third, "@dgram server", "waited", 0) == 6 ? 0 : 1);
    sleep_ms(20);
    int taken = 0;
    while (taken <= filled && recv(s, b, sizeof b, 0) > 0) taken++;
    SHOW("last", "%.6s", b);
    reap("waiting sender", pid);
    CALL("too long", send(c, b, 400000, 0));
    close(s);
    CALL("server gone", send(c, "x", 1, 0));
    CALL("then no destination", send(c, "x", 1, 0));
    show_name("no peer any more", c, 1);
    CALL("shutdown for writing", shutdown(third, SHUT_WR));
    signal(SIGPIPE, note);
    caught = 0;
    CALL("write after it", name_send(third, "@dgram client", "x", 0));
    NUM("signal", caught);
    CALL("shutdown for reading", shutdown(third, SHUT_RD));
    CALL("read after it", read(third, b, 1));
    show_poll("both shut", third);
    close(c);
    close(third);

    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    write(p[0], "one", 3);
    write(p[0], "two", 3);
    CALL("message 1", read(p[1], b, sizeof b));
    CALL("message 2", read(p[1], b, sizeof b));
    write(p[1], "", 0);
    CALL("empty write", recv(p[0], b, sizeof b, MSG_DONTWAIT));
    struct sockaddr none = {AF_UNSPEC, ""};
    CALL("dissolve", connect(p[0], &none, sizeof none));
    CALL("nothing was lost", recv(p[1], b, 1, MSG_DONTWAIT));
    write(p[1], "unread", 6);
    close(p[0]);
    close(p[1]);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    write(p[1], "unread", 6);
    CALL("dissolve with something unread", connect(p[0], &none, sizeof none));
    CALL("the other sees it", recv(p[1], b, 1, MSG_DONTWAIT));
    CALL("once", recv(p[1], b, 1, MSG_DONTWAIT));
    CALL("bad memory", send(p[1], (void *)8, 10, 0));
    close(p[0]);
    close(p[1]);

    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p);
    write(p[0], "record one", 10);
    write(p[0], "two", 3);
    show_receive("record", p[1], 100, 0, 0);
    show_receive("cut record", p[1], 2, 0, MSG_TRUNC);
    CALL("empty", recv(p[1], b, 1, MSG_DONTWAIT));
    struct iovec out[2] = {{"a", 1}, {"bc", 2}};
    writev(p[0], out, 2);
    CALL("gathered", read(p[1], b, sizeof b));
    close(p[0]);
    show_poll("closed", p[1]);
    CALL("end", recv(p[1], b, 1, 0));
    caught = 0;
    CALL("write without peer", write(p[1], "x", 1));
    NUM("signal", caught);
    close(p[1]);
    s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    c = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CALL("unconnected", recv(c, b, 1, 0));
    CALL("unconnected send", send(c, "x", 1, 0));
    name_bind(s, "@seq");
    listen(s, 1);
    CALL("connect", name_connect(c, "@seq"));
    int a = accept(s, NULL, NULL);
    write(c, "packet", 6);
    show_receive("packet", a, 100, 0, 0);
    close(a);
    close(c);
    close(s);
}

static void rights(void) {
    int p[2], q[2], many[260];
    char b[100];
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    pipe(q);
    CALL("send a descriptor", send_along(p[0], "x", 1, q, 1, NULL));
    close(q[0]);
    int got = show_receive("receive it", p[1], 10, 100, 0);
    TRUTH("it has a number", got > 2);
    NUM("no close-on-exec", fcntl(got, F_GETFD));
    write(q[1], "through", 7);
    CALL("and works", read(got, b, 100));
    send_along(p[0], "y", 1, &got, 1, NULL);
    close(got);
    got = show_receive("with close-on-exec", p[1], 10, 100, MSG_CMSG_CLOEXEC);
    NUM("close-on-exec", fcntl(got, F_GETFD));
    int two[2] = {got, q[1]};
    send_along(p[0], "z", 1, two, 2, NULL);
    int other = show_receive("space for one", p[1], 10, CMSG_LEN(sizeof(int)), 0);
    TRUTH("that one", other > 2);
    close(other);
    send_along(p[0], "z", 1, two, 2, NULL);
    show_receive("no space", p[1], 10, 0, 0);
    send_along(p[0], "z", 1, two, 2, NULL);
    CALL("plain read drops them", read(p[1], b, 10));
    send(p[0], "before", 6, 0);
    send_along(p[0], "with", 4, two, 1, NULL);
    send(p[0], "after", 5, 0);
    close(show_receive("border 1", p[1], 100, 100, 0));
    show_receive("border 2", p[1], 100, 100, 0);
    send_along(p[0], "abcdef", 6, two, 1, NULL);
    close(show_receive("first half", p[1], 3, 100, 0));
    show_receive("second half", p[1], 100, 100, 0);
    send_along(p[0], "peek", 4, two, 1, NULL);
    close(show_receive("peek", p[1], 100, 100, MSG_PEEK));
    close(show_receive("and again", p[1], 100, 100, 0));
    for (int i = 0; i < 260; i++) many[i] = q[1];
    CALL("too many", send_along(p[0], "x", 1, many, 254, NULL));
    CALL("just enough", send_along(p[0], "x", 1, many, 253, NULL));
    CALL("drop them", read(p[1], b, 1));
    many[1] = 999;
    CALL("a bad one", send_along(p[0], "x", 1, many, 2, NULL));
    CALL("with no bytes", send_along(p[0], "", 0, many, 1, NULL));
    show_receive("nothing came", p[1], 10, 100, MSG_DONTWAIT);

    /* the last reference lies in a message */
    send_along(p[0], "x", 1, &q[1], 1, NULL);
    close(q[1]);
    fcntl(got, F_SETFL, O_NONBLOCK);
    CALL("still open", read(got, b, 1));
    close(p[1]);
    CALL("closed with the message", read(got, b, 1));
    close(p[0]);
    close(got);

    /* sockets that are sent through each other */
    for (int i = 0; i < 20; i++) {
        int e[2];
        socketpair(AF_UNIX, SOCK_STREAM, 0, p);
        pipe(e);
        send_along(p[0], "x", 1, &p[1], 1, NULL);
        send_along(p[1], "x", 1, &p[0], 1, NULL);
        send_along(p[1], "x", 1, &e[1], 1, NULL);
        close(e[1]);
        close(p[0]);
        close(p[1]);
        int extra[2];
        socketpair(AF_UNIX, SOCK_STREAM, 0, extra);
        close(extra[0]);
        close(extra[1]);
        if (i == 19) {
            struct pollfd w = {e[0], POLLIN, 0};
            NUM("collected", poll(&w, 1, 5000) == 1 && w.revents & POLLHUP ? 1 : 0);
        }
        close(e[0]);
    }

    /* credentials */
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    send(p[0], "early", 5, 0);
    CALL("SO_PASSCRED", turn(p[1], SO_PASSCRED, 1));
    send(p[0], "later", 5, 0);
    show_receive("without", p[1], 100, 100, 0);
    show_receive("with", p[1], 100, 100, 0);
    struct ucred u = {getpid(), getuid(), getgid()};
    CALL("explicit", send_along(p[0], "me", 2, NULL, 0, &u));
    show_receive("explicit", p[1], 100, 100, 0);
    send_along(p[0], "both", 4, &p[0], 1, &u);
    close(show_receive("both", p[1], 100, 100, 0));
    send_along(p[0], "cut", 3, &p[0], 1, &u);
    show_receive("cut", p[1], 100, CMSG_LEN(4), 0);
    send(p[0], "merged ", 7, 0);
    send(p[0], "bytes", 5, 0);
    show_receive("one sender", p[1], 100, 100, 0);
    pid_t pid = fork();
    if (!pid) _exit(send(p[0], "child", 5, 0) != 5);
    reap("child", pid);
    send(p[0], "parent", 6, 0);
    show_receive("two senders 1", p[1], 100, 100, 0);
    show_receive("two senders 2", p[1], 100, 100, 0);
    close(p[0]);
    close(p[1]);
}

static void several(void) {
    int p[2];
    char b[4][20];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    struct iovec out[3] = {{"one", 3}, {"three", 5}, {"fifteen", 7}};
    struct mmsghdr m[4];
    memset(m, 0, sizeof m);
    for (int i = 0; i < 3; i++) {
        m[i].msg_hdr.msg_iov = &out[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    CALL("sendmmsg", sendmmsg(p[0], m, 3, 0));
    SHOW("lengths", "%d %d %d", m[0].msg_len, m[1].msg_len, m[2].msg_len);
    struct iovec in[4];
    memset(m, 0, sizeof m);
    for (int i = 0; i < 4; i++) {
        in[i].iov_base = b[i];
        in[i].iov_len = 5;
        m[i].msg_hdr.msg_iov = &in[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    CALL("recvmmsg", recvmmsg(p[1], m, 4, MSG_WAITFORONE, NULL));
    SHOW("lengths", "%d %d %d", m[0].msg_len, m[1].msg_len, m[2].msg_len);
    SHOW("cut", "%x %x", m[1].msg_hdr.msg_flags, m[2].msg_hdr.msg_flags);
    CALL("nothing", recvmmsg(p[1], m, 4, MSG_DONTWAIT, NULL));
    struct timespec ts = {0, 0};
    write(p[0], "x", 1);
    write(p[0], "y", 1);
    CALL("with a limit", recvmmsg(p[1], m, 4, 0, &ts));
    close(p[0]);
    close(p[1]);

    /* epoll, edge and level */
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    int e = epoll_create1(0);
    struct epoll_event want = {EPOLLIN | EPOLLRDHUP, {.u64 = 7}}, got[4];
    epoll_ctl(e, EPOLL_CTL_ADD, p[1], &want);
    CALL("quiet", epoll_wait(e, got, 4, 0));
    write(p[0], "abc", 3);
    CALL("level", epoll_wait(e, got, 4, 0));
    CALL("level again", epoll_wait(e, got, 4, 0));
    want.events = EPOLLIN | EPOLLET;
    epoll_ctl(e, EPOLL_CTL_MOD, p[1], &want);
    CALL("edge", epoll_wait(e, got, 4, 0));
    CALL("no edge", epoll_wait(e, got, 4, 0));
    write(p[0], "d", 1);
    CALL("new edge", epoll_wait(e, got, 4, 0));
    close(p[0]);
    CALL("hang-up", epoll_wait(e, got, 4, 0));
    SHOW("events", "%x", got[0].events);
    close(e);
    close(p[1]);

    /* a wait for a connection, and for bytes, in another process */
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    name_bind(s, "@waiting");
    listen(s, 5);
    pid_t pid = fork();
    if (!pid) {
        sleep_ms(20);
        int c = socket(AF_UNIX, SOCK_STREAM, 0);
        if (name_connect(c, "@waiting")) _exit(1);
        sleep_ms(20);
        if (write(c, "slow", 4) != 4) _exit(2);
        char x[10];
        _exit(read(c, x, 10) == 2 ? 0 : 3);
    }
    int a = accept(s, NULL, NULL);
    CALL("slow bytes", read(a, b[0], 20));
    CALL("answer", write(a, "ok", 2));
    reap("client", pid);
    close(a);
    close(s);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signo) { alarms += signo == SIGALRM; }

/* A full listener, a connect with a time limit: the limit holds over signals, and a handler ends the call even with SA_RESTART. */
static void limited_connect(void) {
    struct sockaddr_un a;
    socklen_t length = unix_address(&a, "@limited");
    int s = socket(AF_UNIX, SOCK_STREAM, 0), c;
    bind(s, (void *)&a, length);
    listen(s, 0);
    struct timeval tv = {0, 60000}, none = {0, 0};
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval soon = {{0, 0}, {0, 50000}};
    sigaction(SIGALRM, &action, NULL);
    signal(SIGCHLD, SIG_IGN);
    while (c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), !connect(c, (void *)&a, length)) continue;
    fcntl(c, F_SETFL, 0);
    setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    if (fork() == 0) {
        sleep_ms(15);
        kill(getppid(), SIGCHLD);
        _exit(0);
    }
    int64_t before = now_ns(CLOCK_MONOTONIC);
    CALL("connect with a limit", connect(c, (void *)&a, length));
    int64_t took = now_ns(CLOCK_MONOTONIC) - before;
    TRUTH("it took its time", took >= 59000000 && took < 2000000000);
    close(c);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    tv.tv_sec = 20;
    setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    setitimer(ITIMER_REAL, &soon, NULL);
    CALL("interrupted with a limit", connect(c, (void *)&a, length));
    NUM("alarms", alarms);
    close(c);
    tv.tv_sec = 0;
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    while (accept(s, NULL, NULL) >= 0) continue;
    CALL("accept with a limit", accept(s, NULL, NULL));
    tv.tv_sec = 20;
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setitimer(ITIMER_REAL, &soon, NULL);
    CALL("accept interrupted", accept(s, NULL, NULL));
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    signal(SIGCHLD, SIG_DFL);
    close(s);
}

int main(void) {
    making();
    streams();
    names();
    datagrams();
    rights();
    several();
    limited_connect();
    return 0;
}
