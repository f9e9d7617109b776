"""Path text of places. Source: Linux fs/d_path.c."""

from sentry_vfs._node import Path


def d_path(where: Path, root: Path | None = None) -> bytes:
    """Return the absolute path of a place below root (the root mount if None).

    A place that was removed ends in ` (deleted)`; one that is not below root begins with `(unreachable)`.
    """
    mount, dentry = where
    names: list[bytes] = []
    deleted = dentry.dead
    prefix = b""
    while root is None or mount is not root.mount or dentry is not root.dentry:
        if dentry is mount.root:
            if mount.parent is None or mount.point is None:
                if root is not None:
                    prefix = b"(unreachable)"
                break
            dentry, mount = mount.point, mount.parent
        elif dentry.parent is dentry:
            if dentry.name:
                return dentry.name  # nameless: a pipe that was opened again through /proc
            break
        else:
            names.append(dentry.name)
            dentry = dentry.parent
    names.reverse()
    text = prefix + b"/" + b"/".join(names)
    return text + b" (deleted)" if deleted else text
