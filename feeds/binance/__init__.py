"""Binance spot and USD-M futures: recorded websocket and REST lines, one file per instrument and day."""
