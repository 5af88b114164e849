"""What else one could write in Flink for windowed features: measured beside the path by ``benchmarks.throughput``."""
