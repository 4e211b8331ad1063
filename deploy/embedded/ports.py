"""Free TCP ports of the loopback interface."""

from __future__ import annotations

import random
import socket

# Below the range that Linux and macOS hand to outgoing connections (32768 and up), also after GRPC_OFFSET is added.
LOWEST_PORT, HIGHEST_PORT = 20_000, 22_700
GRPC_OFFSET = 10_000
_random = random.SystemRandom()


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now (another may still take it before us)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Choose ports at random that are free, each also at + 10000, where SeaweedFS puts its gRPC servers.

    Args:
        count: How many.

    Returns:
        Different ports. A caller retries with others where a stranger takes one before the server does.

    Raises:
        OSError: Too few are free.
    """
    candidates = _random.sample(range(LOWEST_PORT, HIGHEST_PORT), HIGHEST_PORT - LOWEST_PORT)
    free = (port for port in candidates if is_free(port) and is_free(port + GRPC_OFFSET))
    chosen = [port for port, _ in zip(free, range(count), strict=False)]
    if len(chosen) < count:
        raise OSError(f"only {len(chosen)} of {count} ports are free between {LOWEST_PORT} and {HIGHEST_PORT}")
    return chosen
