"""The kernel: tasks, signals, exits, the loop. See ARCHITECTURE.md for the way through it."""
