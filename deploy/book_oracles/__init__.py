"""Books against the venue's own word: one module per format."""
