"""Settings, read once from the environment: `MISTUDIO_<GROUP>__<NAME>`.

A secret may also be read from a file, by `..._FILE` with its path.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from mistudio_worker.domain.parameters import Device
from mistudio_worker.errors import WrongUsage
from mistudio_worker.settings_security import Group, KafkaSecuritySettings, read_secret

Seconds = Annotated[float, Field(gt=0)]
Milliseconds = Annotated[int, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]

MIB = 1 << 20
GIB = 1 << 30
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


class JobSettings(Group):
    """The life of a job."""

    concurrency: int = Field(1, ge=1, le=64, description="jobs computed at a time")
    artifact_wait_s: Annotated[float, Field(ge=0)] = Field(120.0, description="how long absent artifacts are awaited")
    max_attempts: int = Field(3, ge=1, description="observed failures of the child that end a job")
    max_silent_deaths: int = Field(10, ge=1, description="deaths of a worker that end a job")
    dead_letters_per_minute: int = Field(600, ge=1, description="more dead letters than these wait for their turn")
    suspect_after: int = Field(
        10,
        ge=1,
        description="different jobs failing in a row, none done in between, before the worker doubts itself",
    )
    suspect_hold_s: Seconds = Field(
        60.0, description="pause before a worker in doubt tries a failed job once more; doubled each time"
    )
    suspect_hold_max_s: Seconds = Field(600.0, description="longest such pause")
    deadline_s: Seconds = Field(6 * 3600.0, description="longest run of one analysis")
    grace_s: Annotated[float, Field(ge=0)] = Field(
        60.0, description="after SIGTERM, before a running job is given back"
    )
    release_timeout_s: Seconds = Field(
        5.0, description="longest wait for the store when an attempt is given back, or its count is removed"
    )
    child_start_timeout_s: Seconds = Field(300.0, description="longest wait for an analysing process to be warm")
    work_dir: Path | None = Field(
        None, description="where artifacts and exports lie for a while; default: the system's"
    )
    disk_bytes: Bytes = Field(64 * GIB, description="largest sum of artifacts that is fetched for one job")
    refuse_partial: bool = Field(False, description="dead-letter a run with gaps instead of analysing the rest")
    progress_interval_s: Seconds = Field(
        1.0, description="at most one progress event a job in this time, and one a new step"
    )
    retry_wait_max_s: Seconds = Field(30.0, description="longest pause between two tries of a service that is away")


class AnalysisSettings(Group):
    """The analysing child process."""

    device: Device = "auto"
    threads: int = Field(0, ge=0, description="0: as many as there are processors for this process")
    memory_bytes: Bytes | None = Field(
        None,
        description="the analysing process is ended above it, half of it is for blocks; "
        "default: 85 % of the container's limit, divided by MISTUDIO_JOB__CONCURRENCY",
    )
    taxonomy: Path | None = Field(None, description="a taxonomy file to use instead of the built-in one")
    max_texts: int = Field(500_000, gt=0, description="texts of a run")
    max_features: int = Field(1 << 17, gt=0, description="features of a run")
    max_activation_dim: int = Field(1 << 17, gt=0, description="columns of the original activations")
    max_text_bytes: Bytes = Field(GIB, description="all texts together, in UTF-8 and in memory")
    max_one_text_bytes: Bytes = Field(16 * MIB, description="UTF-8 bytes of one text")
    max_metadata_bytes: Bytes = Field(16 * MIB, description="size of metadata.json")
    max_checkpoint_bytes: Bytes = Field(
        256 * GIB, description="size of one checkpoint; activations are mapped, not loaded"
    )
    max_pickle_bytes: Bytes = Field(GIB, description="size of the pickle inside a checkpoint; the texts stand in it")
    max_pickle_opcodes: int = Field(1 << 21, gt=0, description="steps of the pickle's program; a text takes two")
    max_zip_entries: int = Field(4096, gt=0, description="entries of a checkpoint's zip directory")
    max_sae_bytes: Bytes = Field(8 * GIB, description="float32 copies of the autoencoder's weights")


class HttpSettings(Group):
    """The worker's own pages: /live, /ready, /health, /metrics."""

    enabled: bool = True
    host: str = Field("127.0.0.1", description="0.0.0.0 where others ask: a container's orchestrator")
    port: int = Field(
        8081, ge=0, le=65535, description="0: a free one, told in the log line `http listening`; several workers a host"
    )
    probe_interval_s: Seconds = Field(10.0, description="how often store, broker and disk are looked at")


class TracingSettings(Group):
    """Spans of jobs for an OpenTelemetry collector, by OTLP over HTTP. Needs the extra `otel`; the image has it.

    Headers, certificates and sampling: OpenTelemetry's own variables, such as `OTEL_EXPORTER_OTLP_HEADERS`.
    """

    endpoint: str | None = Field(None, pattern=r"^https?://", description="URL without /v1/traces; none: no tracing")
    service_name: str = "mistudio-worker"


class LogSettings(Group):
    """What the worker says about itself."""

    format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal, else JSON")
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(env_prefix="MISTUDIO_", env_nested_delimiter="__", frozen=True, extra="forbid")

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    job: JobSettings = Field(default_factory=JobSettings)
    analysis: AnalysisSettings = Field(default_factory=AnalysisSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)


def listed(text: str) -> tuple[str, ...]:
    """Return what stands between the commas.

    >>> listed(" a, b,")
    ('a', 'b')
    """
    return tuple(part for piece in text.split(",") if (part := piece.strip()))


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        WrongUsage: `INVALID_SETTING`, naming the variable, never its value.
    """
    try:
        return Settings()
    except SettingsError:  # raised for a whole group in one variable; its cause quotes the value
        raise WrongUsage(
            "INVALID_SETTING",
            "one of " + ", ".join(f"MISTUDIO_{name.upper()}" for name in Settings.model_fields) + " is no JSON object",
            "set single variables, MISTUDIO_<GROUP>__<NAME>: docs/reference/settings.md lists all of them",
        ) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        variable = "MISTUDIO_" + "__".join(str(part).upper() for part in first["loc"])
        raise WrongUsage(
            "INVALID_SETTING",
            f"{variable}: {first['msg']}",
            "correct the variable, docs/reference/settings.md lists all of them",
        ) from None


def unknown_variables() -> list[str]:
    """Return the MISTUDIO_ variables of the environment that no setting reads: most likely misspelt."""
    known = {
        f"MISTUDIO_{group}__{name}".upper()
        for group, field in Settings.model_fields.items()
        for name in getattr(field.annotation, "model_fields", {})
    }
    ours = (name for name in os.environ if name.startswith("MISTUDIO_"))
    return sorted(name for name in ours if name.upper() not in known)
