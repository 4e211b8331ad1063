"""What Kafka's own kafka-acls.sh does, as far as our script needs it: that program is no part of the embedded Kafka.

python kafka_acls.py --bootstrap-server HOST:PORT --add --allow-principal User:NAME --operation Read --topic T
"""

from __future__ import annotations

import argparse
import asyncio
import itertools

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

TOPIC, GROUP = 2, 3
LITERAL, ALLOW = 3, 3
OPERATIONS = {"Read": 3, "Write": 4}


async def change(arguments: argparse.Namespace) -> None:
    """Add or remove an ACL for each operation and resource."""
    resources = [(TOPIC, name) for name in arguments.topic] + [(GROUP, name) for name in arguments.group]
    request = CreateAclsRequest if arguments.add else DeleteAclsRequest
    client = AIOKafkaClient(bootstrap_servers=arguments.bootstrap_server)
    await client.bootstrap()
    try:
        for (kind, name), operation in itertools.product(resources, arguments.operation):
            acl = (kind, name, LITERAL, arguments.allow_principal, "*", OPERATIONS[operation], ALLOW)
            response = await client.send(client.get_random_node(), request(*acl))
            answers = response.creation_responses if arguments.add else response.filter_responses
            for code, message, *_ in answers:
                if code:
                    raise SystemExit(f"error {code}: {message}")
    finally:
        await client.close()


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-server", required=True)
    change_kind = parser.add_mutually_exclusive_group(required=True)
    change_kind.add_argument("--add", action="store_true")
    change_kind.add_argument("--remove", action="store_true")
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", choices=OPERATIONS, required=True)
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--group", action="append", default=[])
    asyncio.run(change(parser.parse_args()))


if __name__ == "__main__":
    main()
