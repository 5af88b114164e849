"""The gate: the limit table in shared memory, the order check in C, and the sidecar that keeps the table.

Invariant: it never loosens a limit beyond the envelope that people set, and it refuses when in doubt.
"""
