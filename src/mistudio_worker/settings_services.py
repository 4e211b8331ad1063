"""Settings of the services that the worker talks to: the brokers and the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from mistudio_worker.errors import WrongUsage
from mistudio_worker.settings_base import MIB, Bytes, Group, Seconds
from mistudio_worker.settings_security import KafkaSecuritySettings, read_secret

Milliseconds = Annotated[int, Field(gt=0)]
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def _is_host_and_port(address: str) -> bool:
    """Whether a text is a host with a port from 1 to 65535, or a host alone."""
    parts = urlsplit(f"//{address}")
    try:
        return bool(parts.hostname) and parts.port != 0 and parts.netloc == address and "@" not in address
    except ValueError:  # no number, or too large
        return False


class KafkaSettings(KafkaSecuritySettings):
    """The broker, how to get in, the topics, and how the consumer keeps its place."""

    bootstrap_servers: str = Field("localhost:9092", description="host:port, several separated by commas")
    group_id: str = Field("mistudio-worker", description="workers of one group share the partitions")
    training_complete_topic: str = "training-complete"
    find_complete_topic: str = "find-complete"
    find_failed_topic: str = "find-failed"
    find_progress_topic: str = "find-progress"
    dead_letter_topic: str = "training-complete.dead-letter"
    session_timeout_ms: Milliseconds = Field(45_000, description="a silent worker loses its partitions after it")
    heartbeat_interval_ms: Milliseconds = 3_000
    max_poll_interval_ms: Milliseconds = Field(60_000, description="watchdog of the loop, not of a job's length")
    rebalance_timeout_ms: Milliseconds = Field(15_000, description="must stay under request_timeout_ms")
    request_timeout_ms: Milliseconds = 40_000
    metadata_max_age_ms: Milliseconds = Field(30_000, description="a topic's new partitions are seen after it")
    publish_timeout_s: Seconds = Field(30.0, description="longest wait for the acknowledgement of one message")
    start_timeout_s: Seconds = Field(120.0, description="longest wait for a place in the group, before a new try")
    commit_timeout_s: Seconds = Field(15.0, description="longest wait for the commit of one offset")
    stop_timeout_s: Seconds = Field(
        5.0, description="longest wait for the group to be left at the end, and for what is left to be published"
    )
    stall_timeout_s: Seconds = Field(
        120.0, description="a consumer that makes no progress for so long, though the broker answers, is made anew"
    )
    max_message_bytes: Bytes = Field(MIB - 4096, description="largest message that the topics take")

    @property
    def shows_secrets(self) -> bool:
        """Whether a password or token leaves this machine as it is, for anyone on the way to read."""
        in_the_clear = not self.uses_tls and self.sasl_mechanism in ("PLAIN", "OAUTHBEARER")
        hosts = {urlsplit(f"//{broker.strip()}").hostname for broker in self.bootstrap_servers.split(",")}
        return in_the_clear and not hosts <= LOOPBACK

    @model_validator(mode="after")
    def _brokers_are_hosts_and_ports(self) -> Self:
        if not all(_is_host_and_port(broker.strip()) for broker in self.bootstrap_servers.split(",")):
            raise ValueError("bootstrap_servers must be host:port, several separated by commas")
        return self

    @model_validator(mode="after")
    def _timeouts_fit(self) -> Self:
        if self.rebalance_timeout_ms >= self.request_timeout_ms:
            raise ValueError("rebalance_timeout_ms must be under request_timeout_ms")
        if self.heartbeat_interval_ms * 3 > self.session_timeout_ms:
            raise ValueError("heartbeat_interval_ms must be at most a third of session_timeout_ms")
        return self


class StoreSettings(Group):
    """The S3 store."""

    endpoint: str = Field("localhost:9000", description="host:port or URL")
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    access_key_file: Path | None = Field(None, description="read access_key from this file")
    secret_key_file: Path | None = Field(None, description="read secret_key from this file")
    session_token: SecretStr = SecretStr("")
    session_token_file: Path | None = Field(None, description="read session_token from this file")
    secure: bool = Field(False, description="TLS; an https:// endpoint switches it on")
    ca_file: Path | None = Field(None, description="certificates (PEM) of who signs the store's; default: the system's")
    region: str = "us-east-1"
    artifacts_bucket: str = "mistudio"
    results_bucket: str = "mistudio-results"
    allowed_buckets: str = Field(
        "*",
        description="buckets that an event may name besides artifacts_bucket, separated by commas; "
        "* leaves it to the store's policy, empty is none",
    )
    allowed_prefixes: str = Field(
        "", description="beginnings of the object keys that are read, separated by commas; empty: any key"
    )
    connect_timeout_s: Seconds = Field(
        5.0, description="longest wait for a connection, and for the store to take one block of an upload"
    )
    read_timeout_s: Seconds = Field(60.0, description="longest silence of the store within one answer")
    call_timeout_s: Seconds = Field(
        150.0, description="longest call in all, its second try included; one that carries a file has more time"
    )
    min_bytes_per_s: int = Field(4096, ge=1, description="a file that comes or goes more slowly is given up for now")

    @model_validator(mode="after")
    def _endpoint_is_host_and_port(self) -> Self:
        parts = urlsplit(self.endpoint if "//" in self.endpoint else f"//{self.endpoint}")
        beyond = parts.path.strip("/") or parts.query or parts.fragment or parts.username
        if beyond or parts.scheme not in ("", "http", "https") or not _is_host_and_port(parts.netloc):
            raise ValueError("endpoint must be host:port or http(s)://host:port")
        return self

    @model_validator(mode="after")
    def _ca_is_of_use(self) -> Self:
        if self.ca_file is not None and not self.uses_tls:
            raise ValueError("ca_file is given and neither secure nor an https:// endpoint asks for TLS")
        return self

    @property
    def address(self) -> str:
        """host:port."""
        return self.endpoint.split("//")[-1].rstrip("/")

    @property
    def uses_tls(self) -> bool:
        """Whether the endpoint or the setting asks for TLS."""
        return self.secure or self.endpoint.startswith("https://")

    def credentials(self) -> tuple[str, str]:
        """Return the two keys as they are now, from files where these are named; both empty for an open store.

        Raises:
            WrongUsage: `INVALID_SETTING`, a file cannot be read, or one of the two is missing.
        """
        access = read_secret(self.access_key, self.access_key_file)
        secret = read_secret(self.secret_key, self.secret_key_file)
        if bool(access) != bool(secret):
            given, missing = ("ACCESS", "SECRET") if access else ("SECRET", "ACCESS")
            raise WrongUsage(
                "INVALID_SETTING",
                f"MISTUDIO_STORE__{given}_KEY is set and MISTUDIO_STORE__{missing}_KEY is not",
                "set both, or the files that hold them (..._FILE)",
            )
        return access, secret

    def temporary_token(self) -> str:
        """Return the token that belongs to temporary keys as it is now; empty where they are lasting ones."""
        return read_secret(self.session_token, self.session_token_file)
