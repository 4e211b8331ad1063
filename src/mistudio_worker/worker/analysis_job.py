"""The child's side of a job: files on disk become exports on disk."""

from __future__ import annotations

import os
import platform
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

import mistudio_worker
from mistudio_worker.analysis.analyze import analyze
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.taxonomy import Taxonomy, default_taxonomy
from mistudio_worker.artifacts.reader import read_training_run
from mistudio_worker.contracts.events import CountsV1, GapV1, PriorityFeatureV1, VersionsV1
from mistudio_worker.errors import RefusedInput, ServiceAway
from mistudio_worker.exports.write_exports import write_exports
from mistudio_worker.worker.analysis_request import AnalysisOutcome, AnalysisRequest, Progress, WrittenExport
from mistudio_worker.worker.peak_memory import peak_bytes, reset_peak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mistudio_worker.domain.feature_report import FeatureReport
    from mistudio_worker.domain.find_result import FindResult
    from mistudio_worker.domain.training_run import TrainingRun

PRIORITY_LIMIT = 100
PRIORITY_KEYWORDS = 5
KEYWORD_CHARACTERS = 48
GAP_CHARACTERS = 500


def run_analysis(request: AnalysisRequest, report: Callable[[Progress], None]) -> AnalysisOutcome:
    """Decode, check, analyse, write the exports.

    Raises:
        MistudioError: the artifacts are refused.
    """
    reset_peak()
    timings: dict[str, float] = {}
    device = resolve_device(request.device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with _timed(timings, "decode"):
        report(Progress("decode", 0.0))
        run = read_training_run(request.files, request.limits)
        _check_complete(run, refuse_partial=request.refuse_partial)
    with _timed(timings, "analyze"):
        result = analyze(
            run,
            identity=request.identity,
            parameters=request.parameters,
            taxonomy=Taxonomy.load(request.taxonomy) if request.taxonomy is not None else default_taxonomy(),
            execution=Execution(device=device, threads=request.threads, memory_bytes=request.memory_bytes),
            on_progress=lambda step, fraction: report(Progress(step, fraction)),
        )
    with _timed(timings, "export"):
        files = write_exports(
            result, request.directory, on_progress=lambda done, total: report(Progress("export", done / total))
        )
    return AnalysisOutcome(
        status=result.status,
        reasons=tuple(
            GapV1(code=g.code, message=g.message[:GAP_CHARACTERS], features=len(g.features), texts=len(g.texts))
            for g in result.gaps
        ),
        exports=tuple(WrittenExport(f.format, f.path, f.size, f.sha256) for f in files),
        counts=_counts(result),
        priority_features=tuple(_priority(f) for f in result.priority_features[:PRIORITY_LIMIT]),
        priority_total=len(result.priority_features),
        versions=_versions(result),
        timings=timings,
        platform=describe_platform(device),
        peak_memory_bytes=peak_bytes(),
        peak_device_bytes=torch.cuda.max_memory_allocated() if device == "cuda" else 0,
    )


def resolve_device(wanted: str) -> str:
    """Return `cuda` or `cpu`: `auto` takes a GPU where there is one.

    Raises:
        ServiceAway: `DEVICE_MISSING`, CUDA is asked for and not there.
    """
    if wanted == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "auto":
        return "cpu"
    raise ServiceAway(
        "DEVICE_MISSING",
        f"device {wanted!r} is asked for, but torch sees no CUDA device",
        "set MISTUDIO_ANALYSIS__DEVICE to auto or cpu, or give the container a GPU",
    )


def describe_platform(device: str) -> dict[str, str]:
    """Name what the numbers depend on beside the input: they are byte-equal only on one platform."""
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # as plain text: its own class would have the worker load torch
        "numpy": np.__version__,
        "processors": str(len(os.sched_getaffinity(0))),
    }


@contextmanager
def _timed(timings: dict[str, float], step: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    timings[step] = round(time.perf_counter() - begun, 3)


def _check_complete(run: TrainingRun, *, refuse_partial: bool) -> None:
    if refuse_partial and run.gaps:
        raise RefusedInput(
            "ARTIFACT_PARTIAL",
            "; ".join(gap.message for gap in run.gaps)[:1000],
            "repair the run, or set MISTUDIO_JOB__REFUSE_PARTIAL=false to have the rest analysed",
        )


def _counts(result: FindResult) -> CountsV1:
    tiers = dict(result.corpus.tiers)
    return CountsV1(
        features=result.corpus.features, texts=result.corpus.texts, dead=tiers.get("dead", 0), by_tier=tiers
    )


def _priority(feature: FeatureReport) -> PriorityFeatureV1:
    return PriorityFeatureV1(
        feature_id=feature.feature_id,
        coherence_score=feature.coherence_score,
        category=feature.pattern_category,
        keywords=[word[:KEYWORD_CHARACTERS] for word in feature.pattern_keywords[:PRIORITY_KEYWORDS]],
        priority_score=feature.priority_score,
    )


def _versions(result: FindResult) -> VersionsV1:
    return VersionsV1(
        worker=mistudio_worker.__version__,
        analysis=result.versions.analysis,
        taxonomy=result.versions.taxonomy,
        taxonomy_sha256=result.versions.taxonomy_sha256,
    )
