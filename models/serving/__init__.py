"""Where the network is asked: in this process, or on an inference server within a deadline."""
