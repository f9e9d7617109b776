"""File types, permission bits, statx(2), directory entry types, file system magic numbers and statfs(2) flags.

Sources: Linux include/uapi/linux/stat.h, linux/magic.h; include/linux/fs_types.h (DT_), include/linux/statfs.h (ST_);
makedev(3).
"""

from typing import Final

# File types in st_mode.
S_IFMT: Final = 0o170000
S_IFSOCK: Final = 0o140000
S_IFLNK: Final = 0o120000
S_IFREG: Final = 0o100000
S_IFBLK: Final = 0o60000
S_IFDIR: Final = 0o40000
S_IFCHR: Final = 0o20000
S_IFIFO: Final = 0o10000

# Permission bits.
S_ISUID: Final = 0o4000
S_ISGID: Final = 0o2000
S_ISVTX: Final = 0o1000
S_IRWXU: Final = 0o700
S_IRUSR: Final = 0o400
S_IWUSR: Final = 0o200
S_IXUSR: Final = 0o100
S_IRWXG: Final = 0o70
S_IRGRP: Final = 0o40
S_IWGRP: Final = 0o20
S_IXGRP: Final = 0o10
S_IRWXO: Final = 7
S_IROTH: Final = 4
S_IWOTH: Final = 2
S_IXOTH: Final = 1

# d_type of a directory entry.
DT_UNKNOWN: Final = 0
DT_FIFO: Final = 1
DT_CHR: Final = 2
DT_DIR: Final = 4
DT_BLK: Final = 6
DT_REG: Final = 8
DT_LNK: Final = 10
DT_SOCK: Final = 12
DT_WHT: Final = 14

# stx_mask of statx(2).
STATX_TYPE: Final = 1
STATX_MODE: Final = 2
STATX_NLINK: Final = 4
STATX_UID: Final = 8
STATX_GID: Final = 0x10
STATX_ATIME: Final = 0x20
STATX_MTIME: Final = 0x40
STATX_CTIME: Final = 0x80
STATX_INO: Final = 0x100
STATX_SIZE: Final = 0x200
STATX_BLOCKS: Final = 0x400
STATX_BASIC_STATS: Final = 0x7FF
STATX_BTIME: Final = 0x800
STATX_MNT_ID: Final = 0x1000
STATX_DIOALIGN: Final = 0x2000
STATX_MNT_ID_UNIQUE: Final = 0x4000
STATX_ALL: Final = 0xFFF
STATX__RESERVED: Final = 0x8000_0000

# stx_attributes of statx(2).
STATX_ATTR_COMPRESSED: Final = 4
STATX_ATTR_IMMUTABLE: Final = 0x10
STATX_ATTR_APPEND: Final = 0x20
STATX_ATTR_NODUMP: Final = 0x40
STATX_ATTR_ENCRYPTED: Final = 0x800
STATX_ATTR_AUTOMOUNT: Final = 0x1000
STATX_ATTR_MOUNT_ROOT: Final = 0x2000
STATX_ATTR_VERITY: Final = 0x10_0000
STATX_ATTR_DAX: Final = 0x20_0000

# f_type of statfs(2).
TMPFS_MAGIC: Final = 0x102_1994
RAMFS_MAGIC: Final = 0x8584_58F6
PROC_SUPER_MAGIC: Final = 0x9FA0
SYSFS_MAGIC: Final = 0x6265_6572
DEVPTS_SUPER_MAGIC: Final = 0x1CD1
OVERLAYFS_SUPER_MAGIC: Final = 0x794C_7630
EXT4_SUPER_MAGIC: Final = 0xEF53
XFS_SUPER_MAGIC: Final = 0x5846_5342
BTRFS_SUPER_MAGIC: Final = 0x9123_683E
NSFS_MAGIC: Final = 0x6E73_6673
SOCKFS_MAGIC: Final = 0x534F_434B
PIPEFS_MAGIC: Final = 0x5049_5045
CGROUP_SUPER_MAGIC: Final = 0x27_E0EB
CGROUP2_SUPER_MAGIC: Final = 0x6367_7270
ANON_INODE_FS_MAGIC: Final = 0x904_1934
HUGETLBFS_MAGIC: Final = 0x9584_58F6
FUSE_SUPER_MAGIC: Final = 0x6573_5546
V9FS_MAGIC: Final = 0x102_1997
NFS_SUPER_MAGIC: Final = 0x6969
SECURITYFS_MAGIC: Final = 0x7363_6673
DEBUGFS_MAGIC: Final = 0x6462_6720
TRACEFS_MAGIC: Final = 0x7472_6163
BINFMTFS_MAGIC: Final = 0x4249_4E4D
MQUEUE_MAGIC: Final = 0x1980_0202


def makedev(major: int, minor: int) -> int:
    """Return the device number that stat(2) shows for a major and a minor number.

    Raises: ValueError for a number of more than 32 bits.
    """
    if (major | minor) >> 32:
        message = f"makedev({major}, {minor}): device numbers have 32 bits, unsigned"
        raise ValueError(message)
    return (major & 0xFFFFF000) << 32 | (major & 0xFFF) << 8 | (minor & 0xFFFFFF00) << 12 | (minor & 0xFF)


def device_major(dev: int) -> int:
    """Return the major number of a device number as stat(2) shows it."""
    return dev >> 32 & 0xFFFFF000 | dev >> 8 & 0xFFF


def device_minor(dev: int) -> int:
    """Return the minor number of a device number as stat(2) shows it."""
    return dev >> 12 & 0xFFFFFF00 | dev & 0xFF


def directory_type(mode: int) -> int:
    """Return the DT_ type of a directory entry whose file has this st_mode."""
    return mode >> 12 & 0xF
