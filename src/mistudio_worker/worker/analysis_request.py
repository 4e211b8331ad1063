"""What goes to the child process and what comes back; both cross a pipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.artifacts.files import ArtifactFiles
    from mistudio_worker.artifacts.limits import Limits
    from mistudio_worker.contracts.events import CountsV1, GapV1, PriorityFeatureV1, VersionsV1
    from mistudio_worker.domain.identity import JobIdentity
    from mistudio_worker.domain.parameters import Parameters


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """One analysis, from files on disk to exports on disk.

    Attributes:
        files: the fetched artifacts.
        identity: names of the job.
        parameters: what the user chose.
        taxonomy: content of the taxonomy file; None for the built-in one.
        limits: what is read at most.
        device: `auto`, `cpu` or `cuda`.
        threads: at least 1.
        memory_bytes: working memory for blocks.
        refuse_partial: refuse a run with gaps.
        directory: where the exports are written; must exist and be empty.
    """

    files: ArtifactFiles
    identity: JobIdentity
    parameters: Parameters
    taxonomy: bytes | None
    limits: Limits
    device: str
    threads: int
    memory_bytes: int
    refuse_partial: bool
    directory: Path


@dataclass(frozen=True, slots=True)
class WrittenExport:
    """One export on disk."""

    format: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AnalysisOutcome:
    """What the worker must know of a result; the rest stands in the exports."""

    status: Literal["completed", "partial"]
    reasons: tuple[GapV1, ...]
    exports: tuple[WrittenExport, ...]
    counts: CountsV1
    priority_features: tuple[PriorityFeatureV1, ...]
    priority_total: int
    versions: VersionsV1
    timings: dict[str, float] = field(default_factory=dict)
    platform: dict[str, str] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    peak_device_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a job is doing, and how far the analysis, the export or the transfer is, 0 to 1."""

    step: str
    fraction: float
