"""A Kafka cluster of two brokers, one of which may die for good: the other one is the controller."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from embedded import kafka
from embedded.ports import FreePorts
from embedded.process import Keeper, Server

if TYPE_CHECKING:
    from types import TracebackType

OVERRIDES = """
offsets.topic.replication.factor=2
default.replication.factor=2
"""
MORTAL_OVERRIDES = """
process.roles=broker
node.id=2
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxied_port}
"""
MORTAL = 2
"""Node id of the broker that may die."""


class TwoBrokers:
    """Both, for as long as a `with` block runs. All that they keep has two copies."""

    def __init__(self) -> None:
        self._ports = FreePorts()
        self._controller, self._mortal = (kafka.BrokerPorts(*self._ports.take(4)) for _ in range(2))
        self._servers: list[Server] = []
        self.bootstrap_servers = f"127.0.0.1:{self._controller.port},127.0.0.1:{self._mortal.port}"

    def __enter__(self) -> Self:
        """Start them side by side and wait until both answer."""
        self._keeper = Keeper()
        directory = Path(tempfile.mkdtemp(prefix="mistudio-two-"))
        self._keeper.put_away("directory", directory)
        cluster = kafka.cluster_id()
        more = MORTAL_OVERRIDES.format(**{**vars(self._mortal), "controller_port": self._controller.controller_port})
        for name, ports, overrides in (
            ("controller", self._controller, OVERRIDES),
            ("mortal", self._mortal, OVERRIDES + more),
        ):
            server = _broker(directory / name, ports, cluster, overrides)
            server.start(self._keeper)
            self._servers.append(server)
        for server, ports in zip(self._servers, (self._controller, self._mortal), strict=True):
            server.wait_until(partial(kafka.answers, f"127.0.0.1:{ports.port}"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything away."""
        for server in self._servers:
            server.kill()
        self._keeper.close()

    def kill_mortal(self) -> None:
        """SIGKILL the broker that is no controller; it stays dead."""
        self._servers[-1].kill()

    async def group_of_mortal(self, prefix: str) -> str:
        """Return a name for a group that the mortal broker coordinates."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            number = 0
            while await _coordinator(admin, f"{prefix}-{number}") != MORTAL:
                number += 1
            return f"{prefix}-{number}"
        finally:
            await admin.close()


async def _coordinator(admin: AIOKafkaAdminClient, group: str) -> int:
    """Ask again while there is none: a new cluster makes its own topic at the first question."""
    while True:
        try:
            return int(await admin.find_coordinator(group))
        except GroupCoordinatorNotAvailableError:
            await asyncio.sleep(0.2)


def _broker(directory: Path, ports: kafka.BrokerPorts, cluster: str, overrides: str) -> Server:
    """Format the storage of one broker and return it; what stands last in its settings holds."""
    directory.mkdir()
    settings = directory / "server.properties"
    template = kafka.LISTENERS + kafka.SERVER_PROPERTIES
    settings.write_text(template.format(**vars(ports), log_directory=directory / "kafka") + overrides)
    subprocess.run(
        kafka.java_command("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        env=kafka.java_environment(),
        cwd=directory,
    )
    command = kafka.java_command("kafka.Kafka", str(settings))
    return Server(f"Kafka {directory.name}", command, log=directory / "kafka.log", environment=kafka.java_environment())
