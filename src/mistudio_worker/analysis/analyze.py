"""The analysis of one run, in the order of its measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.bundles import build_explainer
from mistudio_worker.analysis.coherence_table import CorpusTexts, measure_coherence
from mistudio_worker.analysis.content_order import distinct_texts
from mistudio_worker.analysis.corpus import describe_corpus
from mistudio_worker.analysis.dictionary import measure_dictionary
from mistudio_worker.analysis.diversity import compare_top_texts
from mistudio_worker.analysis.execution import Execution, run_together
from mistudio_worker.analysis.finite import check_finite
from mistudio_worker.analysis.held_out import measure_separability
from mistudio_worker.analysis.measures import Measures
from mistudio_worker.analysis.outliers import find_outliers
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.ranking import rank_texts
from mistudio_worker.analysis.reports import report_feature
from mistudio_worker.analysis.statistics import compute_statistics
from mistudio_worker.analysis.tiers import raise_flags
from mistudio_worker.analysis.unit_rows import unit_rows
from mistudio_worker.analysis.version import ANALYSIS_VERSION
from mistudio_worker.analysis.word_measures import measure_words
from mistudio_worker.domain.find_result import FindResult, Versions, priority_features
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistudio_worker.analysis.dictionary import Dictionary
    from mistudio_worker.analysis.diversity import Likeness
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.analysis.taxonomy import Taxonomy
    from mistudio_worker.analysis.top_examples import TopExamples
    from mistudio_worker.analysis.unit_rows import UnitRows
    from mistudio_worker.domain.identity import JobIdentity
    from mistudio_worker.domain.parameters import Parameters
    from mistudio_worker.domain.training_run import TrainingRun


def _no_progress(step: str, fraction: float) -> None:
    """Nobody listens."""


def analyze(  # noqa: PLR0913 - what is analysed, how it is named, how it is run
    run: TrainingRun,
    *,
    identity: JobIdentity,
    parameters: Parameters,
    taxonomy: Taxonomy,
    execution: Execution | None = None,
    on_progress: Callable[[str, float], None] = _no_progress,
) -> FindResult:
    """Measure every feature of a run. A pure function of run, parameters, taxonomy and ANALYSIS_VERSION.

    Args:
        run: checked; original activations and autoencoder may be absent.
        identity: names of the job, passed on.
        parameters: choices that change the result.
        taxonomy: categories, tags and indicators.
        execution: choices that change only the speed; None for one thread on the CPU.
        on_progress: told the next step and the fraction of the whole that is done, 0 to 1.

    Raises:
        RefusedInput: `EMPTY_RUN`, no text or no feature; `MEMORY_BUDGET_EXCEEDED`, with the figure.
        ArithmeticError: a defect of the analysis, see `check_finite`.
    """
    execution = execution or Execution()
    measures = _measure(run, parameters, taxonomy, execution, on_progress)
    on_progress("reports", 0.85)
    features = tuple(report_feature(measures, feature) for feature in range(run.features.shape[1]))
    priority = priority_features(features, parameters.coherence_threshold)
    corpus = describe_corpus(run, measures, features, priority)
    check_finite((features, corpus))  # the explainer's figures are those of the reports and of the activations
    on_progress("explainer", 0.95)
    result = FindResult(
        identity=identity,
        parameters=parameters,
        versions=Versions(ANALYSIS_VERSION, taxonomy.version, taxonomy.sha256),
        metadata=run.metadata,
        features=features,
        corpus=corpus,
        gaps=run.gaps,
        explainer=build_explainer(priority, measures, execution),
    )
    on_progress("done", 1.0)
    return result


def _measure(
    run: TrainingRun,
    parameters: Parameters,
    taxonomy: Taxonomy,
    execution: Execution,
    on_progress: Callable[[str, float], None],
) -> Measures:
    """Take every measure of all features at once, as columns."""
    invalid = _invalid(run)
    on_progress("statistics", 0.0)
    positives, moments = gather(run.features, run.invalid_features, execution)
    statistics = compute_statistics(positives, moments)
    top = rank_texts(positives, parameters.top_k)

    words, (rows, likeness, dictionary) = run_together(
        lambda shared: measure_words(run.texts, taxonomy, positives, top, shared, on_progress),
        lambda shared: _measure_activations(run, positives, statistics, top, shared),
        execution,
    )
    flags = raise_flags(positives, run.texts, words.duplicates)

    on_progress("coherence", 0.5)
    texts = CorpusTexts(run.texts, words.terms, words.duplicates, distinct_texts(run.texts, words.duplicates), rows)
    coherence = measure_coherence(texts, positives, statistics, flags.length_driven, execution)

    on_progress("top texts", 0.7)
    separability = None if rows is None else measure_separability(top, positives, texts, rows, execution)
    outliers = find_outliers(top, statistics, likeness, None if rows is None else rows.norms)
    return Measures(
        texts=run.texts,
        positives=positives,
        words=words,
        rows=rows,
        invalid=invalid,
        statistics=statistics,
        top=top,
        coherence=coherence,
        likeness=likeness,
        separability=separability,
        outliers=outliers,
        flags=flags,
        dictionary=dictionary,
    )


def _measure_activations(
    run: TrainingRun, positives: Positives, statistics: StatisticsTable, top: TopExamples, execution: Execution
) -> tuple[UnitRows | None, Likeness | None, Dictionary]:
    """Take the measures that read no text."""
    rows = None if run.originals is None else unit_rows(run.originals, run.invalid_texts, execution)
    likeness = None if rows is None else compare_top_texts(top, rows, execution)
    dictionary = measure_dictionary(
        run, positives=positives, statistics=statistics, top=top, rows=rows, execution=execution
    )
    return rows, likeness, dictionary


def _invalid(run: TrainingRun) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    rows, features = run.features.shape
    if rows == 0 or features == 0:
        raise RefusedInput(
            "EMPTY_RUN",
            f"the run has {rows} texts and {features} features, expected at least one of each",
            "check that the training wrote its activations",
        )
    invalid = np.zeros(features, dtype=np.bool_)
    invalid[list(run.invalid_features)] = True
    return invalid
