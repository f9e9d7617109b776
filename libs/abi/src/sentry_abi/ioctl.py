"""Device controls: terminals, pipes and sockets, block devices, file flags.

Sources: Linux include/uapi/asm-generic/ioctls.h, termbits.h, linux/sockios.h, linux/fs.h; ioctl_tty(2).
"""

from typing import Final

# Requests of terminals and of descriptors in general.
TCGETS: Final = 0x5401
TCSETS: Final = 0x5402
TCSETSW: Final = 0x5403
TCSETSF: Final = 0x5404
TCGETA: Final = 0x5405
TCSETA: Final = 0x5406
TCSETAW: Final = 0x5407
TCSETAF: Final = 0x5408
TCSBRK: Final = 0x5409
TCXONC: Final = 0x540A
TCFLSH: Final = 0x540B
TIOCEXCL: Final = 0x540C
TIOCNXCL: Final = 0x540D
TIOCSCTTY: Final = 0x540E
TIOCGPGRP: Final = 0x540F
TIOCSPGRP: Final = 0x5410
TIOCOUTQ: Final = 0x5411
TIOCSTI: Final = 0x5412
TIOCGWINSZ: Final = 0x5413
TIOCSWINSZ: Final = 0x5414
TIOCMGET: Final = 0x5415
TIOCMBIS: Final = 0x5416
TIOCMBIC: Final = 0x5417
TIOCMSET: Final = 0x5418
FIONREAD: Final = 0x541B
TIOCINQ: Final = 0x541B
TIOCCONS: Final = 0x541D
TIOCPKT: Final = 0x5420
FIONBIO: Final = 0x5421
TIOCNOTTY: Final = 0x5422
TIOCSETD: Final = 0x5423
TIOCGETD: Final = 0x5424
TCSBRKP: Final = 0x5425
TIOCGSID: Final = 0x5429
TCGETS2: Final = 0x802C_542A
TCSETS2: Final = 0x402C_542B
TCSETSW2: Final = 0x402C_542C
TCSETSF2: Final = 0x402C_542D
TIOCGPTN: Final = 0x8004_5430
TIOCSPTLCK: Final = 0x4004_5431
TIOCGDEV: Final = 0x8004_5432
TIOCSIG: Final = 0x4004_5436
TIOCVHANGUP: Final = 0x5437
TIOCGPKT: Final = 0x8004_5438
TIOCGPTLCK: Final = 0x8004_5439
TIOCGEXCL: Final = 0x8004_5440
TIOCGPTPEER: Final = 0x5441
FIONCLEX: Final = 0x5450
FIOCLEX: Final = 0x5451
FIOASYNC: Final = 0x5452
FIOQSIZE: Final = 0x5460

# Values of TIOCPKT.
TIOCPKT_DATA: Final = 0
TIOCPKT_FLUSHREAD: Final = 1
TIOCPKT_FLUSHWRITE: Final = 2
TIOCPKT_STOP: Final = 4
TIOCPKT_START: Final = 8
TIOCPKT_NOSTOP: Final = 0x10
TIOCPKT_DOSTOP: Final = 0x20
TIOCPKT_IOCTL: Final = 0x40

# Indices of c_cc.
VINTR: Final = 0
VQUIT: Final = 1
VERASE: Final = 2
VKILL: Final = 3
VEOF: Final = 4
VTIME: Final = 5
VMIN: Final = 6
VSWTC: Final = 7
VSTART: Final = 8
VSTOP: Final = 9
VSUSP: Final = 10
VEOL: Final = 11
VREPRINT: Final = 12
VDISCARD: Final = 13
VWERASE: Final = 14
VLNEXT: Final = 15
VEOL2: Final = 16
NCCS: Final = 19
N_TTY: Final = 0

# c_iflag.
IGNBRK: Final = 1
BRKINT: Final = 2
IGNPAR: Final = 4
PARMRK: Final = 0o10
INPCK: Final = 0o20
ISTRIP: Final = 0o40
INLCR: Final = 0o100
IGNCR: Final = 0o200
ICRNL: Final = 0o400
IUCLC: Final = 0o1000
IXON: Final = 0o2000
IXANY: Final = 0o4000
IXOFF: Final = 0o10000
IMAXBEL: Final = 0o20000
IUTF8: Final = 0o40000

# c_oflag.
OPOST: Final = 1
OLCUC: Final = 2
ONLCR: Final = 4
OCRNL: Final = 0o10
ONOCR: Final = 0o20
ONLRET: Final = 0o40
OFILL: Final = 0o100
OFDEL: Final = 0o200
TABDLY: Final = 0o14000
XTABS: Final = 0o14000

# c_cflag.
CBAUD: Final = 0o10017
B0: Final = 0
B9600: Final = 0o15
B38400: Final = 0o17
CSIZE: Final = 0o60
CS5: Final = 0
CS6: Final = 0o20
CS7: Final = 0o40
CS8: Final = 0o60
CSTOPB: Final = 0o100
CREAD: Final = 0o200
PARENB: Final = 0o400
PARODD: Final = 0o1000
HUPCL: Final = 0o2000
CLOCAL: Final = 0o4000

# c_lflag.
ISIG: Final = 1
ICANON: Final = 2
XCASE: Final = 4
ECHO: Final = 0o10
ECHOE: Final = 0o20
ECHOK: Final = 0o40
ECHONL: Final = 0o100
NOFLSH: Final = 0o200
TOSTOP: Final = 0o400
ECHOCTL: Final = 0o1000
ECHOPRT: Final = 0o2000
ECHOKE: Final = 0o4000
FLUSHO: Final = 0o10000
PENDIN: Final = 0o40000
IEXTEN: Final = 0o100000
EXTPROC: Final = 0o200000

# tcflow(3), tcflush(3).
TCOOFF: Final = 0
TCOON: Final = 1
TCIOFF: Final = 2
TCION: Final = 3
TCIFLUSH: Final = 0
TCOFLUSH: Final = 1
TCIOFLUSH: Final = 2

# Requests of network interfaces.
SIOCINQ: Final = 0x541B
SIOCOUTQ: Final = 0x5411
SIOCGIFNAME: Final = 0x8910
SIOCGIFCONF: Final = 0x8912
SIOCGIFFLAGS: Final = 0x8913
SIOCSIFFLAGS: Final = 0x8914
SIOCGIFADDR: Final = 0x8915
SIOCGIFDSTADDR: Final = 0x8917
SIOCGIFBRDADDR: Final = 0x8919
SIOCGIFNETMASK: Final = 0x891B
SIOCGIFMETRIC: Final = 0x891D
SIOCGIFMTU: Final = 0x8921
SIOCGIFHWADDR: Final = 0x8927
SIOCGIFINDEX: Final = 0x8933
SIOCGIFPFLAGS: Final = 0x8935
SIOCGIFTXQLEN: Final = 0x8942
SIOCGIFMAP: Final = 0x8970
SIOCETHTOOL: Final = 0x8946
SIOCATMARK: Final = 0x8905
FIOSETOWN: Final = 0x8901
FIOGETOWN: Final = 0x8903
SIOCSPGRP: Final = 0x8902
SIOCGPGRP: Final = 0x8904

# Requests of files and block devices.
FIBMAP: Final = 1
FIGETBSZ: Final = 2
FIFREEZE: Final = 0xC004_5877
FITHAW: Final = 0xC004_5878
FICLONE: Final = 0x4004_9409
FICLONERANGE: Final = 0x4020_940D
FS_IOC_GETFLAGS: Final = 0x8008_6601
FS_IOC_SETFLAGS: Final = 0x4008_6602
FS_IOC_FSGETXATTR: Final = 0x801C_581F
BLKGETSIZE: Final = 0x1260
BLKGETSIZE64: Final = 0x8008_1272
BLKSSZGET: Final = 0x1268
BLKROGET: Final = 0x125E

# Flags of FS_IOC_GETFLAGS.
FS_IMMUTABLE_FL: Final = 0x10
FS_APPEND_FL: Final = 0x20
FS_NODUMP_FL: Final = 0x40
FS_NOATIME_FL: Final = 0x80

# Requests of consoles and of the random device.
KDGKBTYPE: Final = 0x4B33
KDGETMODE: Final = 0x4B3B
KDGKBMODE: Final = 0x4B44
VT_GETSTATE: Final = 0x5603
RNDGETENTCNT: Final = 0x8004_5200
RNDADDTOENTCNT: Final = 0x4004_5201
RNDADDENTROPY: Final = 0x4008_5203
