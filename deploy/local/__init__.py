"""The local stack: real broker, real Flink cluster and our own processes on this machine, started and ended by pid."""
