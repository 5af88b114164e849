"""Order book and rolling microstructure features at 100 ms ticks: a pure C core, thin glue, and a Python twin as judge."""
