"""The order of registers against python-ptrace's structure."""

from ptrace.binding.linux_struct import user_regs_struct

from sentry_arch import FIELDS


def test_register_image_is_the_host_s() -> None:
    """`struct user_regs_struct` has the fields of `Regs`, in the same order."""
    assert [name for name, _ in user_regs_struct._fields_] == list(FIELDS)
