"""The embedded stack: a broker and a store for as long as a `with` block runs.

    with EmbeddedStack() as stack:
        environment = os.environ | stack.environment()
        ...  # start workers with it

Where the MISTUDIO_ variables name a broker or a store that is already running, that one is used and none is started.
Ports, credentials and the data folder are new for each start. Everything is gone when the block ends, however it ends:
see keeper.py.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from embedded import kafka, programs, stores, toxiproxy
from embedded.ports import FreePorts
from embedded.process import Keeper, Server, StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

StoreName = Literal["seaweedfs", "minio"]
BOOTSTRAP_SERVERS = "MISTUDIO_KAFKA__BOOTSTRAP_SERVERS"
STORE_PREFIX = "MISTUDIO_STORE__"
ENDPOINT = f"{STORE_PREFIX}ENDPOINT"
STARTS = 3
"""Tries with new ports: another process may take one between the look and the listen."""


class EmbeddedStack:
    """Kafka and an S3 server, started on entry and gone on exit.

    Args:
        store: Which S3 server; ignored where the environment names a running store.
        broker: False starts no Kafka (for what needs the store alone).
        variables: Where running services are looked for; the process's environment by default.
    """

    def __init__(
        self,
        *,
        store: StoreName = "seaweedfs",
        broker: bool = True,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._store_name: StoreName = store
        self._with_broker = broker
        self._variables = os.environ if variables is None else variables
        self._environment: dict[str, str] = {}
        self._keeper: Keeper | None = None
        self._directory: Path | None = None
        self._servers: list[Server] = []
        self._kafka: Server | None = None
        self._kafka_ports = kafka.BrokerPorts(0, 0, 0, 0)
        self._ports = FreePorts()

    def environment(self) -> dict[str, str]:
        """The MISTUDIO_ variables that lead to this broker and this store."""
        return dict(self._environment)

    def __enter__(self) -> Self:
        """Start what is not running already; raises StackError with the reason and the end of a log."""
        self._require_tools()
        self._keeper = Keeper()
        try:
            self._directory = Path(tempfile.mkdtemp(prefix="mistudio-stack-"))
            self._keeper.put_away("directory", self._directory)
            with ThreadPoolExecutor(2) as side_by_side:
                starts = [side_by_side.submit(self._start_store), side_by_side.submit(self._start_broker)]
            for start in starts:
                start.result()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything away."""
        self.close()

    def close(self) -> None:
        """End the servers and remove their data; twice is harmless."""
        if self._keeper is None:
            return
        for server in self._servers:
            server.kill()
        self._servers.clear()
        self._keeper.close()
        self._keeper = None
        self._environment.clear()

    @contextmanager
    def beside(self, server: Server, *, grace_s: float) -> Iterator[Server]:
        """Run a worker with the stack: it gets SIGTERM and a grace period at the end of the block.

        Should the owner be killed before that, the worker ends with the stack.
        """
        server.start(self.running_keeper())
        try:
            yield server
        finally:
            server.stop(grace_s)

    @contextmanager
    def proxies(self) -> Iterator[toxiproxy.Proxies]:
        """Put a proxy before this stack's own broker, and one before the store, to let the network fail.

        Raises:
            StackError: The broker is not of this stack, or toxiproxy cannot be had.
        """
        self._own_kafka()
        api_port, store_port = self._ports.take(2)
        server = toxiproxy.server(self._new_directory("proxies-"), port=api_port)
        with closing(toxiproxy.Api(api_port)) as api:
            self._start(server, api.answers)
            ports, endpoint = self._kafka_ports, self._environment[ENDPOINT]
            upstream = f"127.0.0.1:{ports.proxied_port}"
            broker = toxiproxy.Proxy(api, "broker", port=ports.proxy_port, upstream=upstream)
            store = toxiproxy.Proxy(api, "store", port=store_port, upstream=endpoint.split("//")[-1].rstrip("/"))
            through = {BOOTSTRAP_SERVERS: broker.address, ENDPOINT: store.address}
            try:
                yield toxiproxy.Proxies(broker, store, {**self._environment, **through})
            finally:
                server.kill()

    def kill_kafka(self) -> None:
        """SIGKILL the broker and keep its data."""
        self._own_kafka().kill()

    def start_kafka(self) -> None:
        """Start the killed broker again, on the same port with the same data, and wait until it answers."""
        server = self._own_kafka()
        server.start(self.running_keeper())
        server.wait_until(lambda: kafka.answers(self._environment[BOOTSTRAP_SERVERS]))

    def _require_tools(self) -> None:
        if self._with_broker and BOOTSTRAP_SERVERS not in self._variables:
            programs.require("java")
            programs.kafka_jars()
        if ENDPOINT not in self._variables:
            _ = programs.MINIO.binary() if self._store_name == "minio" else programs.weed_binary()

    def _start_broker(self) -> None:
        if not self._with_broker:
            return
        if BOOTSTRAP_SERVERS in self._variables:
            self._environment[BOOTSTRAP_SERVERS] = self._variables[BOOTSTRAP_SERVERS]
            return
        _again_with_other_ports(self._start_broker_once)

    def _start_broker_once(self) -> None:
        self._kafka_ports = kafka.BrokerPorts(*self._ports.take(4))
        directory = self._new_directory("broker-")
        bootstrap_servers = f"127.0.0.1:{self._kafka_ports.port}"
        self._kafka = kafka.broker(directory, self._kafka_ports)
        self._start(self._kafka, lambda: kafka.answers(bootstrap_servers))
        self._environment[BOOTSTRAP_SERVERS] = bootstrap_servers

    def _start_store(self) -> None:
        if ENDPOINT in self._variables:
            self._environment |= {n: value for n, value in self._variables.items() if n.startswith(STORE_PREFIX)}
            return
        _again_with_other_ports(self._start_store_once)

    def _start_store_once(self) -> None:
        directory = self._new_directory("store-")
        access_key, secret_key = secrets.token_hex(10), secrets.token_hex(20)
        if self._store_name == "minio":
            chosen = self._ports.take(stores.MINIO_PORTS)
            server = stores.minio(directory, ports=chosen, access_key=access_key, secret_key=secret_key)
        else:
            chosen = self._ports.take(stores.SEAWEED_PORTS)
            server = stores.seaweed(directory, ports=chosen, access_key=access_key, secret_key=secret_key)
            for path in stores.seaweed_sockets(chosen):
                self.running_keeper().put_away("file", path)
        endpoint = f"127.0.0.1:{chosen[0]}"
        self._start(server, lambda: stores.answers(endpoint, access_key, secret_key))
        ours = {"ENDPOINT": endpoint, "ACCESS_KEY": access_key, "SECRET_KEY": secret_key, "SECURE": "false"}
        self._environment |= {f"{STORE_PREFIX}{name}": value for name, value in ours.items()}

    def _start(self, server: Server, answers: Callable[[], bool]) -> None:
        self._servers.append(server)
        server.start(self.running_keeper())
        try:
            server.wait_until(answers)
        except StackError:
            server.kill()
            raise

    def _new_directory(self, prefix: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self._directory))

    def running_keeper(self) -> Keeper:
        """The process that puts away what is started beside the stack; raises StackError where it does not run."""
        if self._keeper is None:
            raise StackError("the stack is not running: use it in a `with` block")
        return self._keeper

    def _own_kafka(self) -> Server:
        if self._kafka is None:
            raise StackError("the broker was not started by this stack")
        return self._kafka


def _again_with_other_ports(start: Callable[[], None]) -> None:
    for left in reversed(range(STARTS)):
        try:
            start()
        except StackError as error:
            if not left or "in use" not in str(error):
                raise
        else:
            return
