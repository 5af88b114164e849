"""LOBSTER: NASDAQ order messages with the book after each, one pair of files per instrument and day."""
