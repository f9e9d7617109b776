"""Registers, extended state and signal frames of x86-64. Floor 5."""

from sentry_arch._regs import (
    EFLAGS_DF,
    EFLAGS_INITIAL,
    EFLAGS_RF,
    EFLAGS_TF,
    EFLAGS_USER,
    FIELDS,
    IMAGE,
    NO_SYSCALL,
    USER_CS,
    USER_DS,
    Regs,
    initial_regs,
)

__all__ = [
    "EFLAGS_DF",
    "EFLAGS_INITIAL",
    "EFLAGS_RF",
    "EFLAGS_TF",
    "EFLAGS_USER",
    "FIELDS",
    "IMAGE",
    "NO_SYSCALL",
    "USER_CS",
    "USER_DS",
    "Regs",
    "initial_regs",
]
