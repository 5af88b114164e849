"""Drills: what operators do to a running deployment, and what may befall it, on a real cluster, with a proof of equality.

Each drill plays one session, disturbs the deployment in the middle of it and compares all that was published with a run of the
same session that nothing disturbed: tick for tick and state for state.
"""
