/* /proc/net: the tables of sockets, row by row of this program's own; found by inode, ports shown by their owners. */
#include "guest.h"
#include <arpa/inet.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static char text[1 << 20];

static void slurp(const char *path) {
    int fd = open(path, O_RDONLY);
    size_t total = 0;
    ssize_t got;
    while ((got = read(fd, text + total, sizeof text - 1 - total)) > 0) total += (size_t)got;
    text[total] = 0;
    close(fd);
}

static unsigned long inode(int fd) {
    struct stat st;
    return fstat(fd, &st) ? 0 : st.st_ino;
}

/* The column-th word of a row, from 0 on. */
static const char *word(const char *row, int column, char *out) {
    int used = 0;
    for (int i = 0; i <= column && sscanf(row, "%s%n", out, &used) == 1; i++) row += used;
    return out;
}

/* The row whose inode is that of fd, in a table whose inode is in a column; NULL without one. The first lines stay. */
static char *row_of(const char *table, int fd, int column) {
    static char found[600];
    char path[32], number[200];
    snprintf(path, sizeof path, "/proc/net/%s", table);
    slurp(path);
    for (char *row = strtok(text, "\n"); row; row = strtok(NULL, "\n"))
        if (strtoul(word(row, column, number), NULL, 10) == inode(fd)) return snprintf(found, sizeof found, "%s", row), found;
    return NULL;
}

static unsigned port_of(int fd) {
    struct sockaddr_in6 a = {0};
    socklen_t n = sizeof a;
    return getsockname(fd, (void *)&a, &n) ? 0 : ntohs(a.sin6_port);
}

/* One row of tcp, tcp6, udp or udp6: the port of other is "other". */
static void inet(const char *what, const char *table, int fd, int other) {
    char *row = row_of(table, fd, 9);
    if (!row) {
        SHOW(what, "not in %s", table);
        return;
    }
    char local[60], remote[60], state[8], queues[20], timer[20], retransmits[12];
    unsigned uid, timeout;
    unsigned long number;
    int shape = sscanf(row, "%*d: %s %s %s %s %s %s %u %u %lu", local, remote, state, queues, timer, retransmits, &uid, &timeout,
                       &number);
    unsigned from = (unsigned)strtoul(strchr(local, ':') + 1, NULL, 16), to = (unsigned)strtoul(strchr(remote, ':') + 1, NULL, 16);
    *strchr(local, ':') = *strchr(remote, ':') = 0;
    SHOW(what, "%d words, %s:%s %s:%s %s %s uid %d, length %zu", shape, local, from == port_of(fd) ? "own" : "?", remote,
         to && to == port_of(other) ? "other" : to ? "?" : "0", state, *table == 't' ? queues : "", uid == getuid(),
         strchr(table, '6') ? 0 : strlen(row));
    char path[32], link[64] = {0}, expected[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    snprintf(expected, sizeof expected, "socket:[%lu]", number);
    if (readlink(path, link, sizeof link - 1) < 0 || strcmp(link, expected)) SHOW(what, "link %s", link);
}

static int listener(int family, const char *address) {
    int s = socket(family, SOCK_STREAM, 0);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    inet_pton(family, address, family == AF_INET ? (void *)&four.sin_addr : (void *)&six.sin6_addr);
    if (family == AF_INET ? bind(s, (void *)&four, sizeof four) : bind(s, (void *)&six, sizeof six)) return -1;
    return s;
}

static int connected(int family, int type, const char *address, unsigned port) {
    int s = socket(family, type, 0);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(family, address, family == AF_INET ? (void *)&four.sin_addr : (void *)&six.sin6_addr);
    if (family == AF_INET ? connect(s, (void *)&four, sizeof four) : connect(s, (void *)&six, sizeof six)) return -1;
    return s;
}

/* How many rows of tcp have this local port and an inode of 0: connections that were not accepted. */
static int embryos(unsigned port) {
    char local[60], state[8];
    unsigned long number;
    int count = 0;
    slurp("/proc/net/tcp");
    for (char *row = strtok(text, "\n"); row; row = strtok(NULL, "\n"))
        if (sscanf(row, "%*d: %s %*s %s %*s %*s %*s %*u %*u %lu", local, state, &number) == 3 && !number && !strcmp(state, "01"))
            count += strtoul(strchr(local, ':') + 1, NULL, 16) == port;
    return count;
}

static void tcp(void) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    inet("tcp unbound", "tcp", s, -1);
    int l = listener(AF_INET, "127.0.0.1");
    inet("tcp bound", "tcp", l, -1);
    TRY("listen", listen(l, 5));
    inet("tcp listening", "tcp", l, -1);
    int c = connected(AF_INET, SOCK_STREAM, "127.0.0.1", port_of(l));
    inet("tcp client", "tcp", c, l);
    inet("tcp listener with a client", "tcp", l, -1);
    NUM("tcp embryos", embryos(port_of(l)));
    int a = accept(l, NULL, NULL);
    NUM("tcp embryos", embryos(port_of(l)));
    inet("tcp accepted", "tcp", a, c);
    NUM("sent", send(c, "some bytes", 10, 0));
    inet("tcp with bytes", "tcp", a, c);
    TRY("shutdown", shutdown(c, SHUT_WR));
    for (int i = 0; i < 100 && strstr(row_of("tcp", c, 9), " 04 "); i++) sleep_ms(20); /* FIN_WAIT1, until a delayed ACK */
    inet("tcp half closed", "tcp", c, l);
    inet("tcp other half", "tcp", a, c);
    int any = listener(AF_INET, "0.0.0.0");
    TRY("listen", listen(any, 5));
    inet("tcp on all addresses", "tcp", any, -1);
    inet("tcp in tcp6", "tcp6", any, -1);
    close(c), close(a), close(s), close(any);
    int l6 = listener(AF_INET6, "::"), l1 = listener(AF_INET6, "::1");
    TRY("listen", listen(l6, 5));
    TRY("listen", listen(l1, 5));
    inet("tcp6 on all addresses", "tcp6", l6, -1);
    inet("tcp6 on ::1", "tcp6", l1, -1);
    int c6 = connected(AF_INET6, SOCK_STREAM, "::1", port_of(l6)), c4 = connected(AF_INET, SOCK_STREAM, "127.0.0.1", port_of(l6));
    inet("tcp6 client", "tcp6", c6, l6);
    inet("tcp client of tcp6", "tcp", c4, l6);
    int a6 = accept(l6, NULL, NULL), a4 = accept(l6, NULL, NULL);
    inet("tcp6 accepted", "tcp6", a6, c6);
    inet("tcp6 accepted from tcp", "tcp6", a4, c4);
    close(l), close(l6), close(l1), close(c6), close(c4), close(a6), close(a4);
}

static void udp(void) {
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    inet("udp unbound", "udp", s, -1);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    TRY("bind", bind(s, (void *)&a, sizeof a));
    inet("udp bound", "udp", s, -1);
    int c = connected(AF_INET, SOCK_DGRAM, "127.0.0.1", port_of(s));
    inet("udp connected", "udp", c, s);
    int six = connected(AF_INET6, SOCK_DGRAM, "::1", port_of(s));
    inet("udp6 connected", "udp6", six, s);
    close(s), close(c), close(six);
}

/* One row of unix, the name compared with the expected one. */
static void local(const char *what, int fd, const char *name) {
    char *row = row_of("unix", fd, 6);
    if (!row) {
        SHOW(what, "not in unix");
        return;
    }
    char protocol[12], flags[12], type[8], state[8], path[200] = "";
    unsigned long number;
    int shape = sscanf(row, "%*[0-9a-f]: %*s %s %s %s %s %lu %199s", protocol, flags, type, state, &number, path);
    SHOW(what, "%d words, %s %s %s %s, name %s", shape, protocol, flags, type, state, strcmp(path, name) ? path : "as expected");
}

static void named(struct sockaddr_un *a, socklen_t *n, const char *name, size_t length) {
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(a->sun_path, name, length);
    *n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static void unix_sockets(void) {
    struct sockaddr_un a;
    socklen_t n;
    char abstract[40] = {0}, shown[40];
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0),
        q = socket(AF_UNIX, SOCK_SEQPACKET, 0), p[2];
    local("unix unbound", l, "");
    local("unix dgram", d, "");
    local("unix seqpacket", q, "");
    named(&a, &n, "path", 4);
    TRY("bind", bind(l, (void *)&a, n));
    local("unix bound", l, "path");
    TRY("listen", listen(l, 5));
    local("unix listening", l, "path");
    TRY("connect", connect(c, (void *)&a, n));
    local("unix client", c, "");
    int accepted = accept(l, NULL, NULL);
    local("unix accepted", accepted, "path");
    int length = snprintf(abstract + 1, sizeof abstract - 1, "procnet-%d", getpid());
    snprintf(shown, sizeof shown, "@procnet-%d@x", getpid());
    memcpy(abstract + 1 + length, "\0x", 2);
    named(&a, &n, abstract, (size_t)length + 3);
    TRY("bind", bind(d, (void *)&a, n));
    local("unix abstract", d, shown);
    TRY("socketpair", socketpair(AF_UNIX, SOCK_DGRAM, 0, p));
    local("unix pair", p[0], "");
    close(l), close(c), close(d), close(q), close(accepted), close(p[0]), close(p[1]);
    unlink("path");
}

static void first_lines(void) {
    const char *tables[] = {"tcp", "tcp6", "udp", "udp6", "unix"};
    for (int i = 0; i < 5; i++) {
        char path[32];
        snprintf(path, sizeof path, "/proc/net/%s", tables[i]);
        slurp(path);
        text[strcspn(text, "\n")] = 0;
        SHOW(path, "%s|", text);
    }
}

int main(void) {
    first_lines();
    tcp();
    udp();
    unix_sockets();
    return 0;
}
