/* TCP and UDP over loopback: ports, connections, readiness, options, errors. */
#include "guest.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>

static volatile sig_atomic_t caught;
static void note(int signo) { caught = signo; }

static struct sockaddr_in at(const char *host, int port) {
    struct sockaddr_in a;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons((uint16_t)port);
    inet_pton(AF_INET, host, &a.sin_addr);
    return a;
}

static int bind_to(int fd, const char *host, int port) {
    struct sockaddr_in a = at(host, port);
    return bind(fd, (struct sockaddr *)&a, sizeof a);
}

static int connect_to(int fd, const char *host, int port) {
    struct sockaddr_in a = at(host, port);
    return connect(fd, (struct sockaddr *)&a, sizeof a);
}

static int port_of(int fd) {
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    getsockname(fd, (struct sockaddr *)&a, &n);
    return ntohs(a.sin_port);
}

static void show_name(const char *what, int fd, int peer) {
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    char text[64];
    memset(&a, 0, sizeof a);
    errno = 0;
    int r = peer ? getpeername(fd, (struct sockaddr *)&a, &n) : getsockname(fd, (struct sockaddr *)&a, &n);
    if (r) SHOW(what, "%s", strerrorname_np(errno));
    else SHOW(what, "family %d length %d %s port %s", a.sin_family, n, inet_ntop(AF_INET, &a.sin_addr, text, 64),
              a.sin_port ? "set" : "0");
}

static void show_poll(const char *what, int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    int r = poll(&p, 1, 0);
    SHOW(what, "%d %x", r, p.revents);
}

static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t n = sizeof value;
    if (getsockopt(fd, level, name, &value, &n)) return -errno;
    return value;
}

static int turn(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value); }

static void making(void) {
    CALL("unknown protocol", socket(AF_INET, SOCK_STREAM, 200));
    CALL("UDP as a stream", socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    CALL("unknown kind", socket(AF_INET, 9, 0));
    int p[2];
    CALL("socketpair", socketpair(AF_INET, SOCK_STREAM, 0, p));
    int s = socket(AF_INET, SOCK_STREAM, 0), d = socket(AF_INET, SOCK_DGRAM, 0);
    SHOW("options", "%d %d %d", option(s, SOL_SOCKET, SO_DOMAIN), option(s, SOL_SOCKET, SO_TYPE), option(s, SOL_SOCKET, SO_PROTOCOL));
    SHOW("of UDP", "%d %d %d", option(d, SOL_SOCKET, SO_DOMAIN), option(d, SOL_SOCKET, SO_TYPE), option(d, SOL_SOCKET, SO_PROTOCOL));
    show_name("unbound", s, 0);
    show_name("unconnected", s, 1);
    show_poll("poll a new one", s);
    show_poll("poll a new UDP one", d);
    char b[10];
    CALL("recv", recv(s, b, 1, 0));
    CALL("send", send(s, b, 1, MSG_NOSIGNAL));
    signal(SIGPIPE, note);
    caught = 0;
    CALL("write", write(s, b, 1));
    NUM("signal", caught);
    CALL("shutdown", shutdown(s, SHUT_RDWR));
    CALL("accept", accept(s, NULL, NULL));
    CALL("TCP_NODELAY", turn(s, IPPROTO_TCP, TCP_NODELAY, 1));
    NUM("is on", option(s, IPPROTO_TCP, TCP_NODELAY));
    CALL("TCP option of UDP", turn(d, IPPROTO_TCP, TCP_NODELAY, 1));
    NUM("keepalive defaults", option(s, IPPROTO_TCP, TCP_KEEPCNT));
    CALL("set keepalive", turn(s, IPPROTO_TCP, TCP_KEEPIDLE, 60));
    NUM("kept", option(s, IPPROTO_TCP, TCP_KEEPIDLE));
    NUM("IP_TTL", option(s, IPPROTO_IP, IP_TTL));
    CALL("SO_KEEPALIVE", turn(s, SOL_SOCKET, SO_KEEPALIVE, 1));
    CALL("unknown option", turn(s, SOL_SOCKET, 999, 1));
    CALL("foreign address", bind_to(s, "192.0.2.1", 0));
    CALL("wrong family", ({ struct sockaddr_in a = at("127.0.0.1", 0); a.sin_family = AF_INET6; bind(s, (struct sockaddr *)&a, sizeof a); }));
    CALL("too short", ({ struct sockaddr_in a = at("127.0.0.1", 0); bind(s, (struct sockaddr *)&a, 8); }));
    CALL("bind", bind_to(s, "127.0.0.1", 0));
    show_name("bound", s, 0);
    CALL("bind twice", bind_to(s, "127.0.0.1", 0));
    int other = socket(AF_INET, SOCK_STREAM, 0);
    CALL("in use", bind_to(other, "127.0.0.1", port_of(s)));
    CALL("in use by any", bind_to(other, "0.0.0.0", port_of(s)));
    CALL("another address", bind_to(other, "127.0.0.2", port_of(s)));
    CALL("another protocol", bind_to(d, "127.0.0.1", port_of(s)));
    close(other);
    other = socket(AF_INET, SOCK_STREAM, 0);
    turn(other, SOL_SOCKET, SO_REUSEADDR, 1);
    CALL("one reuses", bind_to(other, "127.0.0.1", port_of(s)));
    turn(s, SOL_SOCKET, SO_REUSEADDR, 1);
    CALL("both reuse", bind_to(other, "127.0.0.1", port_of(s)));
    CALL("listen", listen(s, 5));
    CALL("two listen", listen(other, 5));
    close(other);
    other = socket(AF_INET, SOCK_STREAM, 0);
    turn(other, SOL_SOCKET, SO_REUSEADDR, 1);
    CALL("reuse of a listener", bind_to(other, "127.0.0.1", port_of(s)));
    close(other);
    close(s);
    close(d);
    s = socket(AF_INET, SOCK_STREAM, 0);
    CALL("listen unbound", listen(s, 5));
    show_name("takes a port", s, 0);
    close(s);
}

static void connections(void) {
    int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    char b[1000];
    bind_to(s, "127.0.0.1", 0);
    int port = port_of(s);
    CALL("refused before listen", connect_to(c, "127.0.0.1", port));
    CALL("listen", listen(s, 5));
    NUM("SO_ACCEPTCONN", option(s, SOL_SOCKET, SO_ACCEPTCONN));
    show_poll("quiet listener", s);
    CALL("connect", connect_to(c, "127.0.0.1", port));
    show_poll("listener", s);
    CALL("connect again", connect_to(c, "127.0.0.1", port));
    CALL("connect the listener", connect_to(s, "127.0.0.1", port));
    show_name("client", c, 0);
    show_name("client's peer", c, 1);
    CALL("early", send(c, "early", 5, 0));
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    int a = accept4(s, (struct sockaddr *)&from, &length, SOCK_NONBLOCK);
    SHOW("from", "%d %d %d", length, from.sin_family, ntohs(from.sin_port) == port_of(c));
    show_name("accepted", a, 0);
    NUM("same port", port_of(a) == port);
    sleep_ms(1);
    CALL("early bytes", recv(a, b, sizeof b, 0));
    CALL("no more", recv(a, b, sizeof b, 0));
    show_poll("connected", a);
    length = sizeof from;
    send(c, "named", 5, 0);
    sleep_ms(1);
    CALL("recvfrom", recvfrom(a, b, sizeof b, 0, (struct sockaddr *)&from, &length));
    NUM("no name on a stream", length);
    CALL("address is ignored", sendto(c, "x", 1, 0, (struct sockaddr *)&from, sizeof from));
    sleep_ms(1);
    CALL("peek", recv(a, b, 1, MSG_PEEK));
    int n = 0;
    ioctl(a, FIONREAD, &n);
    NUM("available", n);
    CALL("take", recv(a, b, 1, 0));
    fcntl(s, F_SETFL, O_NONBLOCK);
    CALL("no client", accept(s, NULL, NULL));
    CALL("read a listener", recv(s, b, 1, 0));

    /* halves */
    CALL("shutdown for writing", shutdown(c, SHUT_WR));
    sleep_ms(1);
    show_poll("this end", c);
    show_poll("that end", a);
    CALL("end of file", recv(a, b, 1, 0));
    CALL("the other way", send(a, "back", 4, 0));
    sleep_ms(1);
    CALL("arrives", recv(c, b, 10, 0));
    caught = 0;
    CALL("write after it", send(c, "x", 1, 0));
    NUM("signal", caught);
    CALL("again", shutdown(c, SHUT_WR));
    CALL("close the other half", shutdown(a, SHUT_WR));
    sleep_ms(1);
    show_poll("both", c);
    CALL("end", recv(c, b, 1, 0));
    close(a);
    close(c);

    /* the other end is gone */
    c = socket(AF_INET, SOCK_STREAM, 0);
    connect_to(c, "127.0.0.1", port);
    a = accept(s, NULL, NULL);
    close(a);
    sleep_ms(1);
    show_poll("closed", c);
    CALL("first write goes out", send(c, "x", 1, MSG_NOSIGNAL));
    sleep_ms(1);
    CALL("second fails", send(c, "x", 1, MSG_NOSIGNAL));
    CALL("end", recv(c, b, 1, 0));
    close(c);
    c = socket(AF_INET, SOCK_STREAM, 0);
    connect_to(c, "127.0.0.1", port);
    a = accept(s, NULL, NULL);
    send(c, "unread", 6, 0);
    sleep_ms(1);
    close(a);
    sleep_ms(1);
    show_poll("reset", c);
    CALL("reset", recv(c, b, 1, 0));
    CALL("then the end", recv(c, b, 1, 0));
    CALL("and a broken pipe", send(c, b, 1, MSG_NOSIGNAL));
    close(c);

    /* nonblocking */
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CALL("in progress", connect_to(c, "127.0.0.1", port));
    struct pollfd w = {c, POLLOUT, 0};
    CALL("poll", poll(&w, 1, 1000));
    SHOW("events", "%x", w.revents);
    NUM("SO_ERROR", option(c, SOL_SOCKET, SO_ERROR));
    CALL("done", connect_to(c, "127.0.0.1", port));
    CALL("connected", connect_to(c, "127.0.0.1", port));
    a = accept(s, NULL, NULL);
    close(a);
    close(c);
    int lone = socket(AF_INET, SOCK_STREAM, 0);
    bind_to(lone, "127.0.0.1", 0);
    int closed = port_of(lone);
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CALL("no listener", connect_to(c, "127.0.0.1", closed));
    w.fd = c;
    CALL("poll", poll(&w, 1, 1000));
    SHOW("events", "%x", w.revents);
    NUM("SO_ERROR", option(c, SOL_SOCKET, SO_ERROR));
    NUM("once", option(c, SOL_SOCKET, SO_ERROR));
    close(c);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CALL("refused", connect_to(c, "127.0.0.1", closed));
    CALL("then connected", connect_to(c, "127.0.0.1", port));
    a = accept(s, NULL, NULL);
    TRUTH("accepted", a >= 0);
    close(a);
    close(c);
    close(lone);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CALL("by 0.0.0.0", connect_to(c, "0.0.0.0", port));
    show_name("is loopback", c, 1);
    close(c);
    close(accept(s, NULL, NULL));
    close(s);

    /* any address */
    s = socket(AF_INET, SOCK_STREAM, 0);
    bind_to(s, "0.0.0.0", 0);
    listen(s, 5);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CALL("through another address", connect_to(c, "127.3.2.1", port_of(s)));
    a = accept(s, NULL, NULL);
    show_name("its end", a, 0);
    show_name("client's end", c, 0);
    close(a);
    close(c);
    /* a listener that goes */
    c = socket(AF_INET, SOCK_STREAM, 0);
    connect_to(c, "127.0.0.1", port_of(s));
    close(s);
    sleep_ms(1);
    CALL("listener gone", recv(c, b, 1, 0));
    close(c);
}

/* what state connect(2) left, and what it allows. */
static void attempts(void) {
    char b[8];
    int lone = socket(AF_INET, SOCK_STREAM, 0);
    bind_to(lone, "127.0.0.1", 0);
    int closed = port_of(lone);
    int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CALL("refused at once", connect_to(c, "127.0.0.1", closed));
    struct pollfd w = {c, POLLOUT, 0};
    poll(&w, 1, 1000);
    CALL("shut down after it", shutdown(c, SHUT_RDWR));
    CALL("then listen", listen(c, 1));
    CALL("then connect", connect_to(c, "127.0.0.1", closed));
    show_poll("then poll", c);
    close(c);
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect_to(c, "127.0.0.1", closed);
    poll(&w, 1, 1000);
    CALL("listen instead", listen(c, 1));
    CALL("the error", connect_to(c, "127.0.0.1", closed));
    CALL("listen after it", listen(c, 1));
    show_poll("poll of a listener", c);
    close(c);
    close(lone);
    c = socket(AF_INET, SOCK_STREAM, 0);
    bind_to(c, "127.0.0.1", 0);
    CALL("to itself", connect_to(c, "127.0.0.1", port_of(c)));
    CALL("again", connect_to(c, "127.0.0.1", port_of(c)));
    CALL("listen", listen(c, 1));
    CALL("send to itself", send(c, "self", 4, 0));
    CALL("receive from itself", recv(c, b, 8, 0));
    CALL("shut down", shutdown(c, SHUT_WR));
    CALL("listen when it is over", listen(c, 1));
    CALL("connect when it is over", connect_to(c, "127.0.0.1", closed));
    close(c);
}

static int many_port;
static void *serve(void *arg) {
    int s = *(int *)arg;
    for (int i = 0; i < 20; i++) {
        int a = accept(s, NULL, NULL);
        char b[5000];
        for (;;) {
            ssize_t n = read(a, b, sizeof b);
            if (n <= 0) break;
            for (ssize_t k = 0; k < n; k += write(a, b + k, (size_t)(n - k))) {}
        }
        close(a);
    }
    return NULL;
}

static void transfer(void) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    bind_to(s, "127.0.0.1", 0);
    listen(s, 50);
    many_port = port_of(s);
    pthread_t t;
    pthread_create(&t, NULL, serve, &s);
    long good = 0;
    char b[8000];
    for (int i = 0; i < 20; i++) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        connect_to(c, "127.0.0.1", many_port);
        for (int k = 0; k < (int)sizeof b; k++) b[k] = (char)(k * 7 + i);
        if (i % 2) send(c, b, sizeof b, 0);
        else for (int k = 0; k < 8; k++) send(c, b + k * 1000, 1000, 0);
        shutdown(c, SHUT_WR);
        char r[8000];
        if (recv(c, r, sizeof r, MSG_WAITALL) == sizeof r && !memcmp(b, r, sizeof b)) good++;
        close(c);
    }
    pthread_join(t, NULL);
    NUM("echoes", good);
    close(s);

    /* more than fits, with sendfile, to a slow reader */
    s = socket(AF_INET, SOCK_STREAM, 0);
    bind_to(s, "127.0.0.1", 0);
    listen(s, 5);
    int f = open("big", O_RDWR | O_CREAT, 0600);
    ftruncate(f, 8 << 20);
    pwrite(f, "end", 3, (8 << 20) - 3);
    pid_t pid = fork();
    if (!pid) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        connect_to(c, "127.0.0.1", port_of(s));
        long sent = 0;
        while (sent < 8 << 20) {
            ssize_t n = sendfile(c, f, NULL, (size_t)((8 << 20) - sent));
            if (n <= 0) _exit(1);
            sent += n;
        }
        _exit(0);
    }
    int a = accept(s, NULL, NULL);
    static char big[1 << 16];
    long total = 0;
    for (;;) {
        ssize_t n = read(a, big, sizeof big);
        if (n <= 0) break;
        total += n;
    }
    NUM("sendfile", total);
    reap("sender", pid);
    close(a);
    close(s);
    close(f);
    unlink("big");
}

static void datagrams(void) {
    int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
    char b[100];
    struct sockaddr_in to, from;
    socklen_t length = sizeof from;
    CALL("no destination", send(c, "x", 1, 0));
    CALL("bind", bind_to(s, "127.0.0.1", 0));
    int port = port_of(s);
    to = at("127.0.0.1", port);
    CALL("send", sendto(c, "hello", 5, 0, (struct sockaddr *)&to, sizeof to));
    show_name("takes a port", c, 0);
    CALL("recvfrom", recvfrom(s, b, sizeof b, 0, (struct sockaddr *)&from, &length));
    SHOW("from", "%d %d %d", length, from.sin_family, ntohs(from.sin_port) == port_of(c));
    CALL("answer", sendto(s, "there", 5, 0, (struct sockaddr *)&from, length));
    CALL("arrives", recv(c, b, 3, MSG_TRUNC));
    CALL("nothing", recv(c, b, 3, MSG_DONTWAIT));
    CALL("empty", sendto(c, "", 0, 0, (struct sockaddr *)&to, sizeof to));
    show_poll("one empty datagram", s);
    CALL("it", recv(s, b, 3, 0));
    CALL("too long", sendto(c, b, 70000, 0, (struct sockaddr *)&to, sizeof to));
    CALL("port 0", ({ struct sockaddr_in z = at("127.0.0.1", 0); sendto(c, "x", 1, 0, (struct sockaddr *)&z, sizeof z); }));
    CALL("connect", connect_to(c, "127.0.0.1", port));
    show_name("peer", c, 1);
    show_name("own", c, 0);
    CALL("send", send(c, "x", 1, 0));
    int stranger = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in mine = at("127.0.0.1", port_of(c));
    sendto(stranger, "no", 2, 0, (struct sockaddr *)&mine, sizeof mine);
    CALL("strangers are not heard", recv(c, b, 10, MSG_DONTWAIT));
    close(stranger);
    close(s);
    CALL("no receiver", send(c, "x", 1, 0));
    sleep_ms(1);
    show_poll("an error waits", c);
    CALL("the error", send(c, "x", 1, 0));
    CALL("and again", (sleep_ms(1), recv(c, b, 1, MSG_DONTWAIT)));
    struct sockaddr none = {AF_UNSPEC, ""};
    CALL("dissolve", connect(c, &none, sizeof none));
    show_name("no peer", c, 1);
    CALL("shutdown", shutdown(c, SHUT_WR));
    close(c);
    CALL("listen", listen(socket(AF_INET, SOCK_DGRAM, 0), 1));
    struct timeval tv = {0, 20000};
    c = socket(AF_INET, SOCK_DGRAM, 0);
    bind_to(c, "127.0.0.1", 0);
    setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    CALL("with a limit", recv(c, b, 1, 0));
    close(c);
}

static void interfaces(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq r = {0};
    strcpy(r.ifr_name, "lo");
    CALL("index", ioctl(fd, SIOCGIFINDEX, &r));
    NUM("lo", r.ifr_ifindex);
    CALL("name", ioctl(fd, SIOCGIFNAME, &r));
    SHOW("the name", "%s", r.ifr_name);
    r.ifr_ifindex = 99999;
    CALL("no such index", ioctl(fd, SIOCGIFNAME, &r));
    CALL("flags", ioctl(fd, SIOCGIFFLAGS, &r));
    NUM("flags", r.ifr_flags & (IFF_UP | IFF_LOOPBACK));
    CALL("address", ioctl(fd, SIOCGIFADDR, &r));
    SHOW("address", "%x", ntohl(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr));
    CALL("netmask", ioctl(fd, SIOCGIFNETMASK, &r));
    SHOW("netmask", "%x", ntohl(((struct sockaddr_in *)&r.ifr_netmask)->sin_addr.s_addr));
    CALL("hardware", ioctl(fd, SIOCGIFHWADDR, &r));
    NUM("kind", r.ifr_hwaddr.sa_family);
    CALL("MTU", ioctl(fd, SIOCGIFMTU, &r));
    strcpy(r.ifr_name, "none7");
    CALL("no such name", ioctl(fd, SIOCGIFMTU, &r));
    NUM("if_nametoindex", if_nametoindex("lo"));
    char requests[10 * sizeof r];
    struct ifconf all = {.ifc_len = sizeof requests, .ifc_buf = requests};
    CALL("list", ioctl(fd, SIOCGIFCONF, &all));
    TRUTH("lo is in it", all.ifc_len >= (int)sizeof r && !strcmp(((struct ifreq *)requests)->ifr_name, "lo"));
    all.ifc_len = 3;
    CALL("no space", ioctl(fd, SIOCGIFCONF, &all));
    NUM("none", all.ifc_len);
    CALL("of a file", ioctl(1, SIOCGIFINDEX, &r) == -1 ? 0 : 1);
    close(fd);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signo) { alarms += signo == SIGALRM; }

/* A full listener, a connect with a time limit: the limit holds over signals, and a handler ends the call even with SA_RESTART. */
static void limited_connect(void) {
    struct sockaddr_in a = at("127.0.0.1", 0);
    socklen_t length = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0), c;
    bind(s, (void *)&a, length);
    listen(s, 0);
    getsockname(s, (void *)&a, &length);
    struct timeval tv = {0, 60000}, none = {0, 0};
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval soon = {{0, 0}, {0, 50000}};
    sigaction(SIGALRM, &action, NULL);
    signal(SIGCHLD, SIG_IGN);
    c = socket(AF_INET, SOCK_STREAM, 0);
    connect(c, (void *)&a, length);
    c = socket(AF_INET, SOCK_STREAM, 0);
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
    c = socket(AF_INET, SOCK_STREAM, 0);
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
    interfaces();
    making();
    connections();
    attempts();
    transfer();
    datagrams();
    limited_connect();
    return 0;
}
