"""Venue or file → frames: a folder per format, parsing apart from input and output. Readers and the simulator yield blocks."""
