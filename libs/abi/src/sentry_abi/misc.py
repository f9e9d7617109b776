"""What belongs to no larger subject.

For getrandom(2), syslog(2), reboot(2), uname(2) and keyctl(2).

Sources: Linux include/uapi/linux/random.h, reboot.h, utsname.h, keyctl.h; syslog(2).
"""

from typing import Final

# getrandom(2).
GRND_NONBLOCK: Final = 1
GRND_RANDOM: Final = 2
GRND_INSECURE: Final = 4

# syslog(2).
SYSLOG_ACTION_CLOSE: Final = 0
SYSLOG_ACTION_OPEN: Final = 1
SYSLOG_ACTION_READ: Final = 2
SYSLOG_ACTION_READ_ALL: Final = 3
SYSLOG_ACTION_READ_CLEAR: Final = 4
SYSLOG_ACTION_CLEAR: Final = 5
SYSLOG_ACTION_CONSOLE_OFF: Final = 6
SYSLOG_ACTION_CONSOLE_ON: Final = 7
SYSLOG_ACTION_CONSOLE_LEVEL: Final = 8
SYSLOG_ACTION_SIZE_UNREAD: Final = 9
SYSLOG_ACTION_SIZE_BUFFER: Final = 10

# reboot(2).
LINUX_REBOOT_MAGIC1: Final = 0xFEE1_DEAD
LINUX_REBOOT_MAGIC2: Final = 0x2812_1969
LINUX_REBOOT_CMD_RESTART: Final = 0x123_4567
LINUX_REBOOT_CMD_HALT: Final = 0xCDEF_0123
LINUX_REBOOT_CMD_CAD_ON: Final = 0x89AB_CDEF
LINUX_REBOOT_CMD_CAD_OFF: Final = 0
LINUX_REBOOT_CMD_POWER_OFF: Final = 0x4321_FEDC

# uname(2).
__NEW_UTS_LEN: Final = 64

# Length of a task's name, the zero at its end included.
TASK_COMM_LEN: Final = 16

# keyctl(2).
KEYCTL_GET_KEYRING_ID: Final = 0
KEYCTL_JOIN_SESSION_KEYRING: Final = 1
KEYCTL_UPDATE: Final = 2
KEYCTL_REVOKE: Final = 3
KEYCTL_CHOWN: Final = 4
KEYCTL_SETPERM: Final = 5
KEYCTL_DESCRIBE: Final = 6
KEYCTL_CLEAR: Final = 7
KEYCTL_LINK: Final = 8
KEYCTL_UNLINK: Final = 9
KEYCTL_SEARCH: Final = 10
KEYCTL_READ: Final = 11
KEY_SPEC_THREAD_KEYRING: Final = -1
KEY_SPEC_PROCESS_KEYRING: Final = -2
KEY_SPEC_SESSION_KEYRING: Final = -3
KEY_SPEC_USER_KEYRING: Final = -4
KEY_SPEC_USER_SESSION_KEYRING: Final = -5
