"""History: a consumer of the topics that keeps every tick, state, alert and decision once, in ClickHouse or chDB.

Invariant: what is stored follows from the topics alone, so history can be dropped and built again from them.
Rejected: writing to the database from the jobs (a slow disk would hold up the loop).
"""
