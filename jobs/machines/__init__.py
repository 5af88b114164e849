"""The pure state machines behind the operators: no Flink, no clock, no I/O, so a test can drive them a frame at a time."""
