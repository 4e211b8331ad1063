"""One Apache Kafka broker: KRaft, a single node, loopback only."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from embedded import programs
from embedded.process import Server, StackError

# Aimed at a quick start and a small footprint: one compiler tier, one collector thread.
JVM_OPTIONS = ["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
LISTENERS = """\
listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxied_port},CONTROLLER://127.0.0.1:{controller_port}
# A client that comes through a proxy is sent back to the proxy, else it would go around it from its second request on.
advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxy_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"""
SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
log.dirs={log_directory}
# A topic that nobody made is a wrong setting: it must fail, not appear.
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A broker that was killed may come back as soon as its old session is over; the default is 9 s.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# Tests form groups by the dozen; the default waits 3 s for more members each time.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Kafka's own default, written out because dead letters are measured by it.
message.max.bytes=1048588
log.segment.bytes=16777216
log.cleaner.dedupe.buffer.size=2097152
"""


@dataclass(frozen=True)
class BrokerPorts:
    """The ports of one broker.

    Attributes:
        port: For clients.
        controller_port: For the broker itself.
        proxied_port: For what a proxy passes on.
        proxy_port: Where such a proxy has to listen; nobody does until there is one.
    """

    port: int
    controller_port: int
    proxied_port: int
    proxy_port: int


def java_command(main_class: str, *arguments: str) -> list[str]:
    """The command line of one of Kafka's own programs."""
    log_settings = Path(__file__).with_name("log4j2.properties")
    class_path = f"{programs.kafka_jars()}/*"
    logging = f"-Dlog4j2.configurationFile={log_settings}"
    return ["java", *JVM_OPTIONS, logging, "-cp", class_path, main_class, *arguments]


def java_environment() -> dict[str, str]:
    """The environment less what would change a JVM behind our back."""
    return {name: value for name, value in os.environ.items() if name not in {"KAFKA_OPTS", "CLASSPATH"}}


def cluster_id() -> str:
    """A random cluster id in Kafka's form; one that begins with a dash would read as an option."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return text if text[0] != "-" else cluster_id()


def broker(directory: Path, ports: BrokerPorts) -> Server:
    """Return the broker of the stack, see `prepared`."""
    return prepared(directory, ports.controller_port, LISTENERS.format(**vars(ports)))


def prepared(directory: Path, controller_port: int, listeners: str, *format_options: str) -> Server:
    """Write the settings, format the storage, and return the broker, not started yet.

    Args:
        directory: For settings, data and log.
        controller_port: For the broker itself.
        listeners: The settings of its listeners, and what goes with them.
        format_options: More for the storage tool.

    Raises:
        StackError: The storage could not be formatted.
    """
    settings = directory / "server.properties"
    common = SERVER_PROPERTIES.format(controller_port=controller_port, log_directory=directory / "kafka")
    settings.write_text(listeners + common)
    formatted = subprocess.run(
        java_command("kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", str(settings), *format_options),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=java_environment(),
        cwd=directory,
    )
    if formatted.returncode:
        raise StackError(f"Kafka's storage could not be formatted:\n{formatted.stdout}{formatted.stderr}")
    command = java_command("kafka.Kafka", str(settings))
    return Server("Kafka", command, log=directory / "kafka.log", environment=java_environment())


def answers(bootstrap_servers: str) -> bool:
    """Whether a broker gives its cluster's metadata and has its controller. Not to be called on an event loop."""
    host, _, port = bootstrap_servers.partition(":")
    try:
        # The client logs an error for each refused connection: ask it only once there is a listener.
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return asyncio.run(_describes_cluster(bootstrap_servers))


async def _describes_cluster(bootstrap_servers: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return bool(cluster["brokers"])
