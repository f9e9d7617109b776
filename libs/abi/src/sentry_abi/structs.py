"""The structures that cross the system call boundary of x86-64 Linux, as packers.

Each is a `struct.Struct`, little-endian, padding written out. Its docstring names the C type, the header and the
fields in the order in which `pack` takes and `unpack` returns them; a test compiles C that holds sizes and offsets
against it. "Begins" means that a part of variable length follows.
"""

from struct import Struct
from typing import Final

# Files.

STAT: Final = Struct("<QQQIII4xQqqqqQqQqQ24x")
"""struct stat <asm/stat.h>: st_dev st_ino st_nlink st_mode st_uid st_gid st_rdev st_size st_blksize st_blocks st_atime
st_atime_nsec st_mtime st_mtime_nsec st_ctime st_ctime_nsec"""
# The kernel declares the seconds unsigned; every C library reads them signed, and times before 1970 exist.

STATX: Final = Struct("<IIQIIIH2xQQQQqI4xqI4xqI4xqI4xIIIIQII96x")
"""struct statx <linux/stat.h>: stx_mask stx_blksize stx_attributes stx_nlink stx_uid stx_gid stx_mode stx_ino
stx_size stx_blocks stx_attributes_mask stx_atime.tv_sec stx_atime.tv_nsec stx_btime.tv_sec stx_btime.tv_nsec
stx_ctime.tv_sec stx_ctime.tv_nsec stx_mtime.tv_sec stx_mtime.tv_nsec stx_rdev_major stx_rdev_minor stx_dev_major
stx_dev_minor stx_mnt_id stx_dio_mem_align stx_dio_offset_align"""

STATFS: Final = Struct("<qqQQQQQ8sqqq32x")
"""struct statfs <asm/statfs.h>: f_type f_bsize f_blocks f_bfree f_bavail f_files f_ffree f_fsid
f_namelen f_frsize f_flags"""

DIRENT64: Final = Struct("<QqHB")
"""Begins struct dirent64 <dirent.h>: d_ino d_off d_reclen d_type d_name"""

DIRENT: Final = Struct("<QQH")
"""What getdents(2) writes before the name; the type is the record's last byte. No header has it: d_ino d_off
d_reclen"""

FLOCK: Final = Struct("<hh4xqqi4x")
"""struct flock <asm/fcntl.h>: l_type l_whence l_start l_len l_pid"""

F_OWNER_EX: Final = Struct("<ii")
"""struct f_owner_ex <asm/fcntl.h>: type pid"""

OPEN_HOW: Final = Struct("<QQQ")
"""struct open_how <linux/openat2.h>: flags mode resolve"""

IOVEC: Final = Struct("<QQ")
"""struct iovec <linux/uio.h>: iov_base iov_len"""

INOTIFY_EVENT: Final = Struct("<iIII")
"""Begins struct inotify_event <linux/inotify.h>: wd mask cookie len name"""

# Time.

TIMESPEC: Final = Struct("<qq")
"""struct __kernel_timespec <linux/time_types.h>: tv_sec tv_nsec"""

ITIMERSPEC: Final = Struct("<qqqq")
"""struct __kernel_itimerspec <linux/time_types.h>: it_interval.tv_sec it_interval.tv_nsec it_value.tv_sec
it_value.tv_nsec"""

TIMEVAL: Final = Struct("<qq")
"""struct timeval <sys/time.h>: tv_sec tv_usec"""

ITIMERVAL: Final = Struct("<qqqq")
"""struct itimerval <sys/time.h>: it_interval.tv_sec it_interval.tv_usec it_value.tv_sec it_value.tv_usec"""

TIMEZONE: Final = Struct("<ii")
"""struct timezone <sys/time.h>: tz_minuteswest tz_dsttime"""

UTIMBUF: Final = Struct("<qq")
"""struct utimbuf <utime.h>: actime modtime"""

TMS: Final = Struct("<qqqq")
"""struct tms <sys/times.h>: tms_utime tms_stime tms_cutime tms_cstime"""

TIMEX: Final = Struct("<I4xqqqqi4xqqqqqqqqi4xqqqqqi44x")
"""struct __kernel_timex <linux/timex.h>: modes offset freq maxerror esterror status constant precision tolerance
time.tv_sec time.tv_usec tick ppsfreq jitter shift stabil jitcnt calcnt errcnt stbcnt tai"""

# Processes.

RUSAGE: Final = Struct("<qqqqqqqqqqqqqqqqqq")
"""struct rusage <sys/resource.h>: ru_utime.tv_sec ru_utime.tv_usec ru_stime.tv_sec ru_stime.tv_usec ru_maxrss
ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap ru_inblock ru_oublock ru_msgsnd ru_msgrcv ru_nsignals
ru_nvcsw ru_nivcsw"""

RLIMIT: Final = Struct("<QQ")
"""struct rlimit64 <linux/resource.h>: rlim_cur rlim_max"""

CLONE_ARGS: Final = Struct("<QQQQQQQQQQQ")
"""struct clone_args <linux/sched.h>: flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid
set_tid_size cgroup"""

SCHED_PARAM: Final = Struct("<i")
"""struct sched_param <sched.h>: sched_priority"""

SCHED_ATTR: Final = Struct("<IIQiIQQQII")
"""struct sched_attr <linux/sched/types.h>: size sched_policy sched_flags sched_nice sched_priority sched_runtime
sched_deadline sched_period sched_util_min sched_util_max"""

UTSNAME: Final = Struct("<65s65s65s65s65s65s")
"""struct new_utsname <linux/utsname.h>: sysname nodename release version machine domainname"""

SYSINFO: Final = Struct("<qQQQQQQQQQH6xQQI4x")
"""struct sysinfo <linux/sysinfo.h>: uptime loads[0] loads[1] loads[2] totalram freeram sharedram bufferram totalswap
freeswap procs totalhigh freehigh mem_unit"""

CAP_HEADER: Final = Struct("<Ii")
"""struct __user_cap_header_struct <linux/capability.h>: version pid"""

CAP_DATA: Final = Struct("<III")
"""struct __user_cap_data_struct <linux/capability.h>: effective permitted inheritable"""

ROBUST_LIST_HEAD: Final = Struct("<QqQ")
"""struct robust_list_head <linux/futex.h>: list.next futex_offset list_op_pending"""

FUTEX_WAITV: Final = Struct("<QQII")
"""struct futex_waitv <linux/futex.h>: val uaddr flags __reserved"""

RSEQ: Final = Struct("<IIQI12x")
"""struct rseq <linux/rseq.h>: cpu_id_start cpu_id rseq_cs flags"""

RSEQ_CS: Final = Struct("<IIQQQ")
"""struct rseq_cs <linux/rseq.h>: version flags start_ip post_commit_offset abort_ip"""

# Signals.

SIGACTION: Final = Struct("<QQQQ")
"""struct sigaction <linux/signal.h>: sa_handler sa_flags sa_restorer sa_mask"""

SIGSET: Final = Struct("<Q")
"""sigset_t <linux/signal.h>: one word, signal n is bit n - 1"""

STACK: Final = Struct("<Qi4xQ")
"""stack_t <linux/signal.h>: ss_sp ss_flags ss_size"""

SIGINFO_KILL: Final = Struct("<iii4xiI104x")
"""siginfo_t <linux/signal.h>: si_signo si_errno si_code si_pid si_uid"""

SIGINFO_QUEUE: Final = Struct("<iii4xiIQ96x")
"""siginfo_t <linux/signal.h>: si_signo si_errno si_code si_pid si_uid si_value"""

SIGINFO_TIMER: Final = Struct("<iii4xiiQi92x")
"""siginfo_t <linux/signal.h>: si_signo si_errno si_code si_tid si_overrun si_value si_sys_private"""

SIGINFO_CHLD: Final = Struct("<iii4xiIi4xqq80x")
"""siginfo_t <linux/signal.h>: si_signo si_errno si_code si_pid si_uid si_status si_utime si_stime"""

SIGINFO_FAULT: Final = Struct("<iii4xQh102x")
"""siginfo_t <linux/signal.h>: si_signo si_errno si_code si_addr si_addr_lsb"""

SIGINFO_POLL: Final = Struct("<iii4xqi100x")
"""siginfo_t <linux/signal.h>: si_signo si_errno si_code si_band si_fd"""

SIGINFO_SYS: Final = Struct("<iii4xQiI96x")
"""siginfo_t <linux/signal.h>: si_signo si_errno si_code si_call_addr si_syscall si_arch"""

SIGNALFD_SIGINFO: Final = Struct("<IiiIIiIIIIiiQQQQH2xiQI28x")
"""struct signalfd_siginfo <linux/signalfd.h>: ssi_signo ssi_errno ssi_code ssi_pid ssi_uid ssi_fd ssi_tid ssi_band
ssi_overrun ssi_trapno ssi_status ssi_int ssi_ptr ssi_utime ssi_stime ssi_addr ssi_addr_lsb ssi_syscall ssi_call_addr
ssi_arch"""

SIGEVENT: Final = Struct("<Qiii44x")
"""struct sigevent <linux/signal.h>: sigev_value sigev_signo sigev_notify sigev_notify_thread_id"""

# Readiness and terminals.

POLLFD: Final = Struct("<ihh")
"""struct pollfd <asm/poll.h>: fd events revents"""

EPOLL_EVENT: Final = Struct("<IQ")
"""struct epoll_event <linux/eventpoll.h>: events data"""

TERMIOS: Final = Struct("<IIIIB19s")
"""struct termios <asm/termbits.h>: c_iflag c_oflag c_cflag c_lflag c_line c_cc"""

TERMIOS2: Final = Struct("<IIIIB19sII")
"""struct termios2 <asm/termbits.h>: c_iflag c_oflag c_cflag c_lflag c_line c_cc c_ispeed c_ospeed"""

WINSIZE: Final = Struct("<HHHH")
"""struct winsize <asm/termios.h>: ws_row ws_col ws_xpixel ws_ypixel"""

# Sockets. Ports and addresses stay bytes: they are in network order.

MSGHDR: Final = Struct("<QI4xQQQQi4x")
"""struct msghdr <sys/socket.h>: msg_name msg_namelen msg_iov msg_iovlen msg_control msg_controllen msg_flags"""

MMSGHDR: Final = Struct("<QI4xQQQQi4xI4x")
"""struct mmsghdr <sys/socket.h>: msg_hdr.msg_name msg_hdr.msg_namelen msg_hdr.msg_iov msg_hdr.msg_iovlen
msg_hdr.msg_control msg_hdr.msg_controllen msg_hdr.msg_flags msg_len"""

CMSGHDR: Final = Struct("<Qii")
"""struct cmsghdr <sys/socket.h>: cmsg_len cmsg_level cmsg_type"""

UCRED: Final = Struct("<iII")
"""struct ucred <sys/socket.h>: pid uid gid"""

LINGER: Final = Struct("<ii")
"""struct linger <sys/socket.h>: l_onoff l_linger"""

SOCKADDR_IN: Final = Struct("<H2s4s8x")
"""struct sockaddr_in <netinet/in.h>: sin_family sin_port sin_addr"""

SOCKADDR_IN6: Final = Struct("<H2s4s16sI")
"""struct sockaddr_in6 <netinet/in.h>: sin6_family sin6_port sin6_flowinfo sin6_addr sin6_scope_id"""

SOCKADDR_UN: Final = Struct("<H108s")
"""struct sockaddr_un <sys/un.h>: sun_family sun_path"""

SOCKADDR_NL: Final = Struct("<H2xII")
"""struct sockaddr_nl <linux/netlink.h>: nl_family nl_pid nl_groups"""

NLMSGHDR: Final = Struct("<IHHII")
"""struct nlmsghdr <linux/netlink.h>: nlmsg_len nlmsg_type nlmsg_flags nlmsg_seq nlmsg_pid"""

RTATTR: Final = Struct("<HH")
"""struct rtattr <linux/rtnetlink.h>: rta_len rta_type"""

IFINFOMSG: Final = Struct("<BxHiII")
"""struct ifinfomsg <linux/rtnetlink.h>: ifi_family ifi_type ifi_index ifi_flags ifi_change"""

IFADDRMSG: Final = Struct("<BBBBI")
"""struct ifaddrmsg <linux/if_addr.h>: ifa_family ifa_prefixlen ifa_flags ifa_scope ifa_index"""

RTMSG: Final = Struct("<BBBBBBBBI")
"""struct rtmsg <linux/rtnetlink.h>: rtm_family rtm_dst_len rtm_src_len rtm_tos rtm_table rtm_protocol rtm_scope
rtm_type rtm_flags"""

# System V IPC.

SEMBUF: Final = Struct("<Hhh")
"""struct sembuf <linux/sem.h>: sem_num sem_op sem_flg"""

SEMID_DS: Final = Struct("<iIIIIIH22xq8xq8xQ16x")
"""struct semid64_ds <linux/sem.h>: sem_perm.key sem_perm.uid sem_perm.gid sem_perm.cuid sem_perm.cgid sem_perm.mode
sem_perm.seq sem_otime sem_ctime sem_nsems"""

SHMID_DS: Final = Struct("<iIIIIIH22xQqqqiiQ16x")
"""struct shmid64_ds <linux/shm.h>: shm_perm.key shm_perm.uid shm_perm.gid shm_perm.cuid shm_perm.cgid shm_perm.mode
shm_perm.seq shm_segsz shm_atime shm_dtime shm_ctime shm_cpid shm_lpid shm_nattch"""

MSQID_DS: Final = Struct("<iIIIIIH22xqqqQQQii16x")
"""struct msqid64_ds <linux/msg.h>: msg_perm.key msg_perm.uid msg_perm.gid msg_perm.cuid msg_perm.cgid msg_perm.mode
msg_perm.seq msg_stime msg_rtime msg_ctime msg_cbytes msg_qnum msg_qbytes msg_lspid msg_lrpid"""

MQ_ATTR: Final = Struct("<qqqq32x")
"""struct mq_attr <linux/mqueue.h>: mq_flags mq_maxmsg mq_msgsize mq_curmsgs"""

# Filters.

SOCK_FILTER: Final = Struct("<HBBI")
"""struct sock_filter <linux/filter.h>: code jt jf k"""

SOCK_FPROG: Final = Struct("<H6xQ")
"""struct sock_fprog <linux/filter.h>: len filter"""

SECCOMP_DATA: Final = Struct("<iIQQQQQQQ")
"""struct seccomp_data <linux/seccomp.h>: nr arch instruction_pointer args[0] args[1] args[2] args[3] args[4]
args[5]"""

# Programs.

ELF64_EHDR: Final = Struct("<16sHHIQQQIHHHHHH")
"""Elf64_Ehdr <linux/elf.h>: e_ident e_type e_machine e_version e_entry e_phoff e_shoff e_flags e_ehsize e_phentsize
e_phnum e_shentsize e_shnum e_shstrndx"""

ELF64_PHDR: Final = Struct("<IIQQQQQQ")
"""Elf64_Phdr <linux/elf.h>: p_type p_flags p_offset p_vaddr p_paddr p_filesz p_memsz p_align"""

AUXV: Final = Struct("<QQ")
"""Elf64_auxv_t <elf.h>: a_type a_un.a_val"""
