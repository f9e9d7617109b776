"""The binary interface of x86-64 Linux: errors, constants, structures, syscall numbers. Floor 0."""
