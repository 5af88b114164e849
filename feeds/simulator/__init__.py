"""A seeded market: zero-intelligence order flow per instrument, and scenarios that bend it."""
