"""Everything around the rooms: the `tidegate` command, the local stack, the demonstration, training drivers, reference data."""
