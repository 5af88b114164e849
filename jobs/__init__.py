"""The Flink jobs: entries hold only ``main``, operators are thin shells, machines are pure. The only room with pyflink."""
