"""What the analysis publishes about planted features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.truth.baseline import frequent_words, word_overlap
from mistudio_worker.analysis.analyze import analyze
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.artifacts.blocks import TensorBlocks
from mistudio_worker.domain.identity import JobIdentity
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.domain.training_run import TrainingMetadata, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.truth.corpora import Corpus
    from bench.truth.planted import Planted
    from mistudio_worker.domain.feature_report import FeatureReport
    from mistudio_worker.domain.find_result import FindResult

JOB_ID = "train_20260101_000000_0001"


@dataclass(frozen=True)
class Outcome:
    """One planted feature, what was published about it, and what the naive baseline says.

    Attributes:
        corpus: that it is planted over.
        planted: the truth.
        report: what a reader of the results has.
        worth_explaining: whether it is among the priority features.
        overlap: naive score.
        frequent: naive keywords.
    """

    corpus: Corpus
    planted: Planted
    report: FeatureReport
    worth_explaining: bool
    overlap: float
    frequent: tuple[str, ...]


def measure(corpus: Corpus, planted: Sequence[Planted], *, threads: int, originals: bool = True) -> list[Outcome]:
    """Analyse the planted features as one run, with default parameters and the built-in taxonomy."""
    vectors = TensorBlocks(torch.from_numpy(corpus.vectors)) if originals else None
    result = _analyze(corpus, planted, vectors, threads)
    worth = {report.feature_id for report in result.priority_features}
    outcomes = []
    for feature, report in zip(planted, result.features, strict=True):
        top_texts = [top.text for top in report.top_activations]
        outcomes.append(
            Outcome(
                corpus,
                feature,
                report,
                report.feature_id in worth,
                word_overlap(top_texts),
                frequent_words(top_texts),
            )
        )
    return outcomes


def _analyze(corpus: Corpus, planted: Sequence[Planted], originals: TensorBlocks | None, threads: int) -> FindResult:
    run = TrainingRun(
        training_job_id=JOB_ID,
        texts=corpus.texts,
        replaced_surrogates=0,
        features=TensorBlocks(torch.from_numpy(np.stack([feature.values for feature in planted], axis=1))),
        originals=originals,
        sae=None,
        metadata=TrainingMetadata(),
    )
    return analyze(
        run,
        identity=JobIdentity(JOB_ID, "find_20260101_000000_00000000", "0" * 64),
        parameters=Parameters(),
        taxonomy=default_taxonomy(),
        execution=Execution(threads=threads),
    )
