"""Settings, read once from the environment: `MISTUDIO_<GROUP>__<NAME>`.

A secret may also be read from a file, by `..._FILE` with its path.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from mistudio_worker.domain.parameters import Device
from mistudio_worker.errors import WrongUsage
from mistudio_worker.settings_base import GIB, MIB, Bytes, Group, Seconds
from mistudio_worker.settings_services import KafkaSettings, StoreSettings


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
