"""Thin shells: they move bytes between Flink and a machine, and hold no logic of their own."""
