"""How clients reach the brokers: the one place that knows what aiokafka wants for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where the brokers are.

    Attributes:
        bootstrap_servers: host:port, several separated by commas.
    """

    bootstrap_servers: str

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of a client that connects now."""
        return {"bootstrap_servers": self.bootstrap_servers}
