"""The window: REST, server-sent events and the console.

Invariant: what is shown as current comes from the topics themselves and never waits for history; what a person orders is kept on
disk before anybody else hears of it. The API judges no order and holds no limit: it publishes commands, and the gate decides.
"""
