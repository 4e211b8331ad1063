"""Free TCP ports of the loopback interface."""

from __future__ import annotations

import itertools
import random
import socket
from threading import Lock

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


class FreePorts:
    """Hands out free ports, each once: the servers of one stack draw from one of these, also from several threads.

    A port is free together with the one 10000 above it, where SeaweedFS puts its gRPC servers.
    """

    def __init__(self) -> None:
        drawn = _random.sample(range(LOWEST_PORT, HIGHEST_PORT), HIGHEST_PORT - LOWEST_PORT)
        self._free = (port for port in drawn if is_free(port) and is_free(port + GRPC_OFFSET))
        self._turn = Lock()

    def take(self, count: int) -> list[int]:
        """Take ports that nobody took before; take others where a stranger is quicker than the server.

        Raises:
            OSError: Too few are free.
        """
        with self._turn:
            taken = list(itertools.islice(self._free, count))
        if len(taken) < count:
            raise OSError(f"only {len(taken)} of {count} ports are free between {LOWEST_PORT} and {HIGHEST_PORT}")
        return taken
