"""System calls: one module of small typed handlers per subject, one table with the numbers."""
