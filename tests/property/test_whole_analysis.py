"""What must not change the results of the whole analysis: order, scale, threads, memory, silent texts."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.memory_runs import blocks, planted_run

from mistudio_worker.analysis.analyze import analyze
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.analysis.version import ANALYSIS_VERSION
from mistudio_worker.domain.identity import derive_identity
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.exports.json_export import write_json

if TYPE_CHECKING:
    from mistudio_worker.domain.feature_report import FeatureReport
    from mistudio_worker.domain.find_result import FindResult
    from mistudio_worker.domain.training_run import TrainingRun

RUNS = [(1 + i % 4, (96 << 20) << (i % 5)) for i in range(20)]
"""Threads and memory budgets of 20 runs: budgets from one in which few tiles fit at once."""
TOLERANCE = 1e-6
"""Products in float32 may be rounded otherwise where a feature or a text lies elsewhere in its tile."""


@pytest.fixture(scope="module")
def run() -> TrainingRun:
    """Clean, mixed and random features over texts on four topics."""
    return planted_run(n=300, features=30)


@pytest.fixture(scope="module")
def usual(run: TrainingRun) -> FindResult:
    """Its results."""
    return found_in(run)


def found_in(run: TrainingRun, execution: Execution | None = None) -> FindResult:
    """Analyse a run."""
    identity = derive_identity(
        run.training_job_id,
        fingerprints={},
        parameters=Parameters(),
        taxonomy_sha256=default_taxonomy().sha256,
        analysis_version=ANALYSIS_VERSION,
        metadata_timestamp=None,
    )
    return analyze(run, identity=identity, parameters=Parameters(), taxonomy=default_taxonomy(), execution=execution)


def matrix(run: TrainingRun) -> np.ndarray:
    """The feature activations."""
    return run.features.rows(0, run.features.shape[0]).numpy()


def originals(run: TrainingRun) -> np.ndarray:
    """The original activations."""
    assert run.originals is not None
    return run.originals.rows(0, run.originals.shape[0]).numpy()


def figures(report: FeatureReport) -> list[float]:
    """Figures that products in float32 take part in."""
    parts = (
        report.coherence_score,
        report.coherence.activation_space,
        report.coherence.text_space,
        report.coherence.activation_percentile,
        report.coherence.text_percentile,
        report.diversity.vendi_score,
        report.held_out.separability,
    )
    return [float("nan") if part is None else part for part in parts]


def words(report: FeatureReport) -> tuple[object, ...]:
    """What is said of a feature in words."""
    return (
        report.quality_tier,
        report.pattern_keywords,
        report.pattern_category,
        report.secondary_categories,
        report.semantic_tags,
        report.behavioral_indicators,
        sorted(report.flags),
    )


def same(one: FeatureReport, other: FeatureReport) -> None:
    """Two reports say the same of a feature, wherever it stands."""
    assert words(one) == words(other)
    assert figures(one) == pytest.approx(figures(other), abs=TOLERANCE, nan_ok=True)


def test_20_runs_make_the_same_bytes(run: TrainingRun) -> None:
    """Threads and memory choose how many tiles are in hand, and change no byte."""
    hashes = set()
    for threads, memory_bytes in RUNS:
        stream = io.BytesIO()
        write_json(found_in(run, Execution(threads=threads, memory_bytes=memory_bytes)), stream)
        hashes.add(hashlib.sha256(stream.getvalue()).hexdigest())
    assert len(hashes) == 1


def test_permuted_features(run: TrainingRun, usual: FindResult) -> None:
    """A feature's report does not depend on its place among the others."""
    order = np.random.default_rng(3).permutation(run.features.shape[1])
    sae = run.sae
    assert sae is not None
    permuted = replace(
        run,
        features=blocks(matrix(run)[:, order]),
        sae=replace(
            sae,
            encoder_weight=sae.encoder_weight[order],
            encoder_bias=sae.encoder_bias[order],
            decoder_weight=sae.decoder_weight[:, order],
        ),
    )
    for place, report in enumerate(found_in(permuted).features):
        before = usual.features[order[place]]
        same(report, before)
        assert report.activation_statistics == before.activation_statistics
        assert report.top_activations == before.top_activations
        assert [other.jaccard for other in report.coactive] == [other.jaccard for other in before.coactive]


def test_permuted_texts(run: TrainingRun, usual: FindResult) -> None:
    """The order of the texts decides ties and nothing else; there are none here."""
    order = np.random.default_rng(4).permutation(len(run.texts))
    permuted = replace(
        run,
        texts=[run.texts[i] for i in order],
        features=blocks(matrix(run)[order]),
        originals=blocks(originals(run)[order]),
    )
    for report, before in zip(found_in(permuted).features, usual.features, strict=True):
        same(report, before)
        assert [order[t.text_index] for t in report.top_activations] == [t.text_index for t in before.top_activations]


@pytest.mark.parametrize("factor", [2.0**-6, 8.0])
def test_a_scaled_feature(run: TrainingRun, usual: FindResult, factor: float) -> None:
    """How strongly a feature fires in absolute terms says nothing about what it fires on."""
    scaled = replace(run, features=blocks(matrix(run) * factor))
    for report, before in zip(found_in(scaled).features, usual.features, strict=True):
        same(report, before)
        assert [t.text_index for t in report.top_activations] == [t.text_index for t in before.top_activations]


def test_texts_that_do_not_fire(run: TrainingRun, usual: FindResult) -> None:
    """More silent texts change what a feature is compared with, never the texts that it fires on."""
    copies = len(run.texts)
    more = replace(
        run,
        texts=[*run.texts, *(f"nothing of the kind, number {i}" for i in range(copies))],
        features=blocks(np.vstack([matrix(run), np.zeros_like(matrix(run))])),
        originals=blocks(np.vstack([originals(run), np.random.default_rng(5).permutation(originals(run))])),
    )
    for report, before in zip(found_in(more).features, usual.features, strict=True):
        assert report.top_activations == tuple(
            replace(new, context=old.context)
            for new, old in zip(before.top_activations, report.top_activations, strict=True)
        )
        now, then = report.activation_statistics, before.activation_statistics
        assert now is not None
        assert then is not None
        assert (now.positives, now.max, now.quantiles, now.effective_count) == (
            then.positives,
            then.max,
            then.quantiles,
            then.effective_count,
        )
