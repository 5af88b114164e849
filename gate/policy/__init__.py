"""What people allow: which limits an instrument and an account have, from envelopes, tiers and commands. Pure.

Invariant: nothing here is ever looser than any administrator's envelope, and what loosens needs two people.
"""
