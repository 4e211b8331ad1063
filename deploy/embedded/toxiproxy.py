"""What can happen to the network on the way to the broker and to the store, by toxiproxy.

    with EmbeddedStack() as stack, stack.proxies() as proxies:
        environment = os.environ | proxies.environment()
        ...  # start workers with it
        proxies.store.inject("half-open")
        ...
        proxies.store.heal()

The server is built once from its pinned source: see programs.py.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import urllib3

from embedded import programs
from embedded.process import Server, StackError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Toxic:
    """One thing that goes wrong with the data in one direction, by toxiproxy's name for it.

    `upstream` is from the worker to the service.
    """

    kind: str
    stream: Literal["upstream", "downstream"]
    attributes: Mapping[str, int]


FAULTS: Mapping[str, tuple[Toxic, ...]] = {
    # every answer a tenth of a second late, about
    "latency": (Toxic("latency", "downstream", {"latency": 80, "jitter": 40}),),
    # 1 MB/s in each direction, for each connection
    "bandwidth": (
        Toxic("bandwidth", "upstream", {"rate": 1024}),
        Toxic("bandwidth", "downstream", {"rate": 1024}),
    ),
    # connections end, new ones are refused
    "cut": (),
    # every connection is reset at its first answer
    "reset": (Toxic("reset_peer", "downstream", {"timeout": 0}),),
    # every connection ends in the middle of what it carries
    "limit": (Toxic("limit_data", "downstream", {"bytes": 100_000}),),
    # connections open and stay open, and nothing comes through
    "half-open": (
        Toxic("timeout", "upstream", {"timeout": 0}),
        Toxic("timeout", "downstream", {"timeout": 0}),
    ),
    # the service hears nothing
    "requests lost": (Toxic("timeout", "upstream", {"timeout": 0}),),
    # the service hears and does everything, the worker hears nothing
    "answers lost": (Toxic("timeout", "downstream", {"timeout": 0}),),
}
"""What `Proxy.inject` knows."""


class Api:
    """toxiproxy's HTTP interface."""

    def __init__(self, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}"
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(10), retries=False)

    def answers(self) -> bool:
        """Whether the server is up."""
        try:
            return self._pool.request("GET", f"{self._root}/version").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def call(self, method: str, path: str, content: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Ask for something; raises StackError where it is refused."""
        body = None if content is None else json.dumps(content).encode()
        answer = self._pool.request(method, f"{self._root}{path}", body=body)
        if answer.status >= 400:
            raise StackError(f"toxiproxy refuses {method} {path}: {answer.data.decode(errors='replace')}")
        parsed: dict[str, Any] = json.loads(answer.data) if answer.data else {}
        return parsed

    def close(self) -> None:
        """Close its connections."""
        self._pool.clear()


class Proxy:
    """The way to one service; clear until a fault is put in.

    Args:
        api: Of the running server.
        name: Unique to the server.
        port: Where clients find the service from now on.
        upstream: host:port of the service itself.
    """

    def __init__(self, api: Api, name: str, *, port: int, upstream: str) -> None:
        self._api = api
        self._path = f"/proxies/{name}"
        self.address = f"127.0.0.1:{port}"
        api.call("POST", "/proxies", {"name": name, "listen": self.address, "upstream": upstream})

    def inject(self, fault: str) -> None:
        """Put in one of `FAULTS`: open connections have it, too."""
        if fault == "cut":
            self._api.call("POST", self._path, {"enabled": False})
        self.add(*FAULTS[fault])

    def add(self, *toxics: Toxic) -> None:
        """Put in toxics; of each kind there is one a direction."""
        for toxic in toxics:
            content = {"type": toxic.kind, "stream": toxic.stream, "attributes": dict(toxic.attributes)}
            self._api.call("POST", f"{self._path}/toxics", content)

    def heal(self) -> None:
        """Take all faults out; connections that were half-open end at that moment."""
        for toxic in self._api.call("GET", self._path)["toxics"]:
            self._api.call("DELETE", f"{self._path}/toxics/{toxic['name']}")
        self._api.call("POST", self._path, {"enabled": True})


@dataclass(frozen=True)
class Proxies:
    """The ways to the broker and to the store, and the settings that lead through them."""

    broker: Proxy
    store: Proxy
    variables: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        """The MISTUDIO_ variables that lead to broker and store through the proxies."""
        return dict(self.variables)

    def heal(self) -> None:
        """Take all faults out of both."""
        self.broker.heal()
        self.store.heal()


def server(directory: Path, *, port: int) -> Server:
    """A toxiproxy without proxies, its HTTP interface on a port."""
    command = [str(programs.TOXIPROXY.binary()), "-host", "127.0.0.1", "-port", str(port)]
    environment = os.environ | {"LOG_LEVEL": "warn"}
    return Server("toxiproxy", command, log=directory / "toxiproxy.log", environment=environment)
