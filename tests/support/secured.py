"""A broker and a MinIO that ask for TLS and a name, and workers that have just the permissions of deploy/policies."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedded import kafka, stores
from embedded.certificates import Authority
from embedded.ports import FreePorts
from embedded.secure_kafka import SecurePorts, secure_broker
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from support import kafka_acls
from urllib3 import PoolManager

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from embedded.process import Keeper, Server

POLICIES = Path(__file__).parents[2] / "deploy" / "policies"
USER = "mistudio-worker"


@dataclass(frozen=True)
class Secured:
    """What runs, and what leads to it.

    Attributes:
        directory: For files of tests.
        authority: Signs every certificate.
        stranger: Signs none of them.
        ports: Of the broker.
        password: Of `USER`, for SCRAM.
        endpoint: Of MinIO.
        root: Access key and secret key of MinIO's own administrator.
    """

    directory: Path
    authority: Authority
    stranger: Authority
    ports: SecurePorts
    password: str
    endpoint: str
    root: tuple[str, str]

    def administrator(self) -> dict[str, str]:
        """The settings of who may do everything, and comes to the broker by its back door."""
        return {
            "MISTUDIO_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{self.ports.plain}",
            **self.store(*self.root),
        }

    def scram(self, password: str | None = None) -> dict[str, str]:
        """The settings of `USER` by SCRAM."""
        return {
            "MISTUDIO_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{self.ports.scram}",
            "MISTUDIO_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "MISTUDIO_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
            "MISTUDIO_KAFKA__SASL_USERNAME": USER,
            "MISTUDIO_KAFKA__SASL_PASSWORD": password or self.password,
            "MISTUDIO_KAFKA__CA_FILE": str(self.authority.certificate),
        }

    def store(self, access_key: str, secret_key: str) -> dict[str, str]:
        """The settings of a user of MinIO."""
        return {
            "MISTUDIO_STORE__ENDPOINT": f"https://{self.endpoint}",
            "MISTUDIO_STORE__CA_FILE": str(self.authority.certificate),
            "MISTUDIO_STORE__ACCESS_KEY": access_key,
            "MISTUDIO_STORE__SECRET_KEY": secret_key,
        }

    def store_user(self, name: str, artifacts: str, results: str) -> dict[str, str]:
        """Make a user of MinIO with the policy of deploy/policies for two buckets, and return its settings."""
        policy = (POLICIES / "s3-worker.json").read_text()
        # the longer name first: the other one is its beginning
        policy = policy.replace(":::mistudio-results", f":::{results}").replace(":::mistudio", f":::{artifacts}")
        secret = secrets.token_hex(20)
        pool = PoolManager(ca_certs=str(self.authority.certificate))
        admin = MinioAdmin(endpoint=self.endpoint, credentials=StaticProvider(*self.root), http_client=pool)
        admin.user_add(name, secret)
        admin.policy_add(name, policy=json.loads(policy))
        admin.attach_policy([name], user=name)
        return self.store(name, secret)

    def allow(self, principal: str, variables: Mapping[str, str]) -> None:
        """Run deploy/policies/kafka-acls.sh for the topics and the group of a worker's variables."""
        programs = self.directory / "programs"
        programs.mkdir(exist_ok=True)
        program = programs / "kafka-acls.sh"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{kafka_acls.__file__}" "$@"\n')
        program.chmod(0o755)
        environment = {
            **variables,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "BOOTSTRAP_SERVER": f"127.0.0.1:{self.ports.plain}",
            "PRINCIPAL": f"User:{principal}",
        }
        subprocess.run([POLICIES / "kafka-acls.sh"], env=environment, check=True)

    def change_acl(self, action: str, principal: str, operation: str, topic: str) -> None:
        """Add or remove one ACL of a topic."""
        arguments = ["--bootstrap-server", f"127.0.0.1:{self.ports.plain}", f"--{action}", "--topic", topic]
        arguments += ["--allow-principal", f"User:{principal}", "--operation", operation]
        subprocess.run([sys.executable, kafka_acls.__file__, *arguments], check=True)


@contextlib.contextmanager
def running(directory: Path, keeper: Keeper) -> Iterator[Secured]:
    """Start both, for as long as the block runs."""
    authority, stranger = Authority(directory), Authority(directory, "stranger")
    *for_broker, store_port, console_port = FreePorts().take(7)
    made = Secured(
        directory=directory,
        authority=authority,
        stranger=stranger,
        ports=SecurePorts(*for_broker),
        password=secrets.token_hex(16),
        endpoint=f"127.0.0.1:{store_port}",
        root=(secrets.token_hex(10), secrets.token_hex(20)),
    )
    broker = secure_broker(directory, made.ports, authority, {USER: made.password})
    access_key, secret_key = made.root
    store = stores.minio(
        directory,
        ports=[store_port, console_port],
        access_key=access_key,
        secret_key=secret_key,
        certificate=authority.sign("store"),
    )
    with _started(broker, keeper), _started(store, keeper):
        broker.wait_until(lambda: kafka.answers(f"127.0.0.1:{made.ports.plain}"))
        store.wait_until(lambda: stores.answers(made.endpoint, access_key, secret_key, authority.certificate))
        yield made


@contextlib.contextmanager
def _started(server: Server, keeper: Keeper) -> Iterator[None]:
    server.start(keeper)
    try:
        yield
    finally:
        server.kill()
