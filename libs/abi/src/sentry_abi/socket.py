"""Sockets: families, types, options, message flags.

Sources: Linux include/linux/socket.h, include/uapi/asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h,
linux/netlink.h; values that only libc headers carry are the same numbers.
"""

from typing import Final

# Address families.
AF_UNSPEC: Final = 0
AF_UNIX: Final = 1
AF_LOCAL: Final = 1
AF_INET: Final = 2
AF_INET6: Final = 10
AF_NETLINK: Final = 16
AF_PACKET: Final = 17
AF_VSOCK: Final = 40

# Types and flags of socket(2).
SOCK_STREAM: Final = 1
SOCK_DGRAM: Final = 2
SOCK_RAW: Final = 3
SOCK_RDM: Final = 4
SOCK_SEQPACKET: Final = 5
SOCK_PACKET: Final = 0xA
SOCK_CLOEXEC: Final = 0x8_0000
SOCK_NONBLOCK: Final = 0x800
SOCK_TYPE_MASK: Final = 0xF

# Protocols.
IPPROTO_IP: Final = 0
IPPROTO_ICMP: Final = 1
IPPROTO_TCP: Final = 6
IPPROTO_UDP: Final = 17
IPPROTO_IPV6: Final = 41
IPPROTO_ICMPV6: Final = 58
IPPROTO_RAW: Final = 255

# Option levels.
SOL_SOCKET: Final = 1
SOL_IP: Final = 0
SOL_TCP: Final = 6
SOL_UDP: Final = 17
SOL_IPV6: Final = 41
SOL_NETLINK: Final = 270

# Options of SOL_SOCKET.
SO_DEBUG: Final = 1
SO_REUSEADDR: Final = 2
SO_TYPE: Final = 3
SO_ERROR: Final = 4
SO_DONTROUTE: Final = 5
SO_BROADCAST: Final = 6
SO_SNDBUF: Final = 7
SO_RCVBUF: Final = 8
SO_SNDBUFFORCE: Final = 32
SO_RCVBUFFORCE: Final = 33
SO_KEEPALIVE: Final = 9
SO_OOBINLINE: Final = 10
SO_NO_CHECK: Final = 11
SO_PRIORITY: Final = 12
SO_LINGER: Final = 13
SO_BSDCOMPAT: Final = 14
SO_REUSEPORT: Final = 15
SO_PASSCRED: Final = 16
SO_PEERCRED: Final = 17
SO_RCVLOWAT: Final = 18
SO_SNDLOWAT: Final = 19
SO_RCVTIMEO: Final = 20
SO_SNDTIMEO: Final = 21
SO_BINDTODEVICE: Final = 25
SO_ATTACH_FILTER: Final = 26
SO_DETACH_FILTER: Final = 27
SO_PEERNAME: Final = 28
SO_TIMESTAMP: Final = 29
SO_ACCEPTCONN: Final = 30
SO_PEERSEC: Final = 31
SO_PASSSEC: Final = 34
SO_TIMESTAMPNS: Final = 35
SO_MARK: Final = 36
SO_TIMESTAMPING: Final = 37
SO_PROTOCOL: Final = 38
SO_DOMAIN: Final = 39
SO_RXQ_OVFL: Final = 40
SO_PEEK_OFF: Final = 42
SO_LOCK_FILTER: Final = 44
SO_BUSY_POLL: Final = 46
SO_INCOMING_CPU: Final = 49
SO_COOKIE: Final = 57
SO_PEERGROUPS: Final = 59
SO_ZEROCOPY: Final = 60
SO_PASSPIDFD: Final = 76
SO_PEERPIDFD: Final = 77

# Options of IP, IPv6 and TCP.
IP_TOS: Final = 1
IP_TTL: Final = 2
IP_HDRINCL: Final = 3
IP_OPTIONS: Final = 4
IP_RECVOPTS: Final = 6
IP_RETOPTS: Final = 7
IP_PKTINFO: Final = 8
IP_MTU_DISCOVER: Final = 10
IP_RECVERR: Final = 11
IP_RECVTTL: Final = 12
IP_RECVTOS: Final = 13
IP_MTU: Final = 14
IP_FREEBIND: Final = 15
IP_TRANSPARENT: Final = 19
IP_MULTICAST_IF: Final = 32
IP_MULTICAST_TTL: Final = 33
IP_MULTICAST_LOOP: Final = 34
IP_ADD_MEMBERSHIP: Final = 35
IP_DROP_MEMBERSHIP: Final = 36
IP_BIND_ADDRESS_NO_PORT: Final = 24
IPV6_UNICAST_HOPS: Final = 16
IPV6_MULTICAST_IF: Final = 17
IPV6_MULTICAST_HOPS: Final = 18
IPV6_MULTICAST_LOOP: Final = 19
IPV6_V6ONLY: Final = 26
IPV6_RECVPKTINFO: Final = 49
IPV6_PKTINFO: Final = 50
IPV6_RECVHOPLIMIT: Final = 51
IPV6_TCLASS: Final = 67
IPV6_RECVTCLASS: Final = 66
IPV6_RECVERR: Final = 25
IPV6_MTU_DISCOVER: Final = 23
TCP_NODELAY: Final = 1
TCP_MAXSEG: Final = 2
TCP_CORK: Final = 3
TCP_KEEPIDLE: Final = 4
TCP_KEEPINTVL: Final = 5
TCP_KEEPCNT: Final = 6
TCP_SYNCNT: Final = 7
TCP_LINGER2: Final = 8
TCP_DEFER_ACCEPT: Final = 9
TCP_WINDOW_CLAMP: Final = 10
TCP_INFO: Final = 11
TCP_QUICKACK: Final = 12
TCP_CONGESTION: Final = 13
TCP_USER_TIMEOUT: Final = 18
TCP_FASTOPEN: Final = 23
TCP_ULP: Final = 31

# Message flags.
MSG_OOB: Final = 1
MSG_PEEK: Final = 2
MSG_DONTROUTE: Final = 4
MSG_CTRUNC: Final = 8
MSG_PROXY: Final = 0x10
MSG_TRUNC: Final = 0x20
MSG_DONTWAIT: Final = 0x40
MSG_EOR: Final = 0x80
MSG_WAITALL: Final = 0x100
MSG_FIN: Final = 0x200
MSG_SYN: Final = 0x400
MSG_CONFIRM: Final = 0x800
MSG_RST: Final = 0x1000
MSG_ERRQUEUE: Final = 0x2000
MSG_NOSIGNAL: Final = 0x4000
MSG_MORE: Final = 0x8000
MSG_WAITFORONE: Final = 0x1_0000
MSG_BATCH: Final = 0x4_0000
MSG_ZEROCOPY: Final = 0x400_0000
MSG_FASTOPEN: Final = 0x2000_0000
MSG_CMSG_CLOEXEC: Final = 0x4000_0000

# Ancillary data.
SCM_RIGHTS: Final = 1
SCM_CREDENTIALS: Final = 2
SCM_SECURITY: Final = 3
SCM_PIDFD: Final = 4
SCM_MAX_FD: Final = 253

# shutdown(2) and listen(2).
SHUT_RD: Final = 0
SHUT_WR: Final = 1
SHUT_RDWR: Final = 2
SOMAXCONN: Final = 4096

# Interface flags.
IFF_UP: Final = 1
IFF_BROADCAST: Final = 2
IFF_LOOPBACK: Final = 8
IFF_POINTOPOINT: Final = 0x10
IFF_RUNNING: Final = 0x40
IFF_NOARP: Final = 0x80
IFF_PROMISC: Final = 0x100
IFF_MULTICAST: Final = 0x1000
IFNAMSIZ: Final = 0x10

# Netlink: families, message types and flags.
NETLINK_ROUTE: Final = 0
NETLINK_SOCK_DIAG: Final = 4
NETLINK_AUDIT: Final = 9
NETLINK_GENERIC: Final = 0x10
NETLINK_KOBJECT_UEVENT: Final = 0xF
NLMSG_NOOP: Final = 1
NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLMSG_OVERRUN: Final = 4
NLM_F_REQUEST: Final = 1
NLM_F_MULTI: Final = 2
NLM_F_ACK: Final = 4
NLM_F_ECHO: Final = 8
NLM_F_ROOT: Final = 0x100
NLM_F_MATCH: Final = 0x200
NLM_F_DUMP: Final = 0x300
NETLINK_ADD_MEMBERSHIP: Final = 1
NETLINK_PKTINFO: Final = 3
NETLINK_EXT_ACK: Final = 0xB
NETLINK_GET_STRICT_CHK: Final = 0xC
RTM_NEWLINK: Final = 0x10
RTM_GETLINK: Final = 0x12
RTM_NEWADDR: Final = 0x14
RTM_GETADDR: Final = 0x16
RTM_NEWROUTE: Final = 0x18
RTM_GETROUTE: Final = 0x1A
RTM_NEWNEIGH: Final = 0x1C
RTM_GETNEIGH: Final = 0x1E
RTM_GETRULE: Final = 0x22
IFLA_ADDRESS: Final = 1
IFLA_BROADCAST: Final = 2
IFLA_IFNAME: Final = 3
IFLA_MTU: Final = 4
IFLA_TXQLEN: Final = 0xD
IFLA_OPERSTATE: Final = 0x10
IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2
IFA_LABEL: Final = 3
IFA_BROADCAST: Final = 4
RTA_DST: Final = 1
RTA_OIF: Final = 4
RTA_GATEWAY: Final = 5
RTA_PREFSRC: Final = 7
RTA_TABLE: Final = 0xF
RT_TABLE_MAIN: Final = 0xFE
RT_TABLE_LOCAL: Final = 0xFF

# Longest path of a unix socket.
UNIX_PATH_MAX: Final = 108
