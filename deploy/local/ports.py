"""Free ports on this machine.

A port is found by binding to it and letting go just before its owner starts; two stacks side by side therefore
never agree on fixed numbers. Rejected: a range per stack, which needs a registry of stacks.
"""

import contextlib
import socket


def free_ports(count: int) -> list[int]:
    """Return ``count`` different TCP ports that nothing listens on, all held at once while choosing."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
        return ports


def answers(port: int) -> bool:
    """Return whether something accepts connections on ``port`` of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
