"""Databento DBN files: order by order (MBO), levels (MBP-1, MBP-10), trades and instrument definitions of any venue."""
