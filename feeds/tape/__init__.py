"""Trades without a book, as recorders of crypto venues write them."""
