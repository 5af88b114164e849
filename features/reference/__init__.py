"""The channel kernel in slow, plain Python: the judge of ``features/native``. Pure.

Invariant: written from ``features.spec`` and the meaning of the events, not from the C code: dicts and growing lists
where C has sorted arrays, hash slots and rings; only the frame and the row are shared. Hypothesis holds the two equal.
It has no memory bounds, so ``BOUND_HIT`` is the one status that it never sets. Never used in a process.
"""
