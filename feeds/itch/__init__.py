"""NASDAQ TotalView-ITCH 5.0: a venue's whole day, order by order, in one file; one channel with many instruments."""
