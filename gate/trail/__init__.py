"""How decisions leave the trading process: entries of the ring become records, and records become messages.

Invariant: no order waits for it, and no decision is lost without being counted and told.
"""
