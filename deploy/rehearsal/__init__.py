"""A session through the whole loop in one process: no broker, no Flink, the same machines and the same bytes.

For analysts who want a history to ask without a deployment, and for tests of what is asked. Orders are simulated and say so.
"""
