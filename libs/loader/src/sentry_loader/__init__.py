"""From an executable file to a ready address space: ELF, scripts, auxiliary vector, initial stack. Floor 9."""

from sentry_loader import _vdso as vdso
from sentry_loader._elf import Elf, Segment, read_elf, read_interpreter
from sentry_loader._file import ExecFile
from sentry_loader._load import Hardware, Ids, Image, LoadedImage, host_hardware, prepare
from sentry_loader._script import parse_script
from sentry_loader._stack import MAX_ARG_STRLEN, StackImage, build_stack, check_arguments

__all__ = [
    "MAX_ARG_STRLEN",
    "Elf",
    "ExecFile",
    "Hardware",
    "Ids",
    "Image",
    "LoadedImage",
    "Segment",
    "StackImage",
    "build_stack",
    "check_arguments",
    "host_hardware",
    "parse_script",
    "prepare",
    "read_elf",
    "read_interpreter",
    "vdso",
]
