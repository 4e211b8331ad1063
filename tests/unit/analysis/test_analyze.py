from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.memory_runs import blocks, planted_run, random_sae, run_of

from mistudio_worker.analysis.analyze import analyze
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.finite import check_finite
from mistudio_worker.analysis.kernels.bundle_choice import choose_active, choose_silent
from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.analysis.warm_up import warm_up
from mistudio_worker.domain.identity import JobIdentity
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from mistudio_worker.domain.find_result import FindResult
    from mistudio_worker.domain.training_run import TrainingRun

IDENTITY = JobIdentity("train_20260102_030405_0001", "find_20260102_030405_00000000", "0" * 64)


def found_in(run: TrainingRun, top_k: int = 20, execution: Execution | None = None) -> FindResult:
    """Analyse with the package's taxonomy."""
    parameters = Parameters(top_k=top_k)
    return analyze(run, identity=IDENTITY, parameters=parameters, taxonomy=default_taxonomy(), execution=execution)


def test_threads_and_memory_change_no_byte() -> None:
    """The same record, digit by digit, for one and two threads and for a small budget."""
    run = planted_run(n=300, features=30, dim=600)
    one, two, small = (
        repr(found_in(run, execution=execution))
        for execution in (Execution(), Execution(threads=2), Execution(threads=2, memory_bytes=80 << 20))
    )
    assert one == two
    assert one == small


def test_a_whole_report_of_a_clean_feature() -> None:
    """Everything is defined, and the top texts are the topic's, with keywords of the topic."""
    report = found_in(planted_run()).features[0]
    assert report.quality_tier in ("good", "excellent")
    assert report.reasons == {}
    assert {"river", "boat", "water"} & set(report.pattern_keywords)
    assert [top.rank for top in report.top_activations] == list(range(1, 21))
    strengths = [top.activation_strength for top in report.top_activations]
    assert strengths == sorted(strengths, reverse=True)
    assert all(top.text_index % 4 == 0 for top in report.top_activations)
    assert report.geometry is not None
    assert len(report.geometry.nearest) == 5


def test_invalid_dead_and_rare_features_are_told_apart() -> None:
    """Each has its tier, a coherence_score of 0, and a reason."""
    cells = np.zeros((12, 4))
    cells[:, 0] = np.nan
    cells[:4, 2] = [1, 2, 3, 4]
    cells[:6, 3] = [1, 2, 3, 4, 5, 6]
    run = run_of(cells, originals=np.random.default_rng(1).normal(size=(12, 5)))
    result = found_in(replace(run, invalid_features=(0,)))
    tiers = [report.quality_tier for report in result.features]
    assert tiers[:3] == ["invalid", "dead", "insufficient"]
    assert [report.coherence_score for report in result.features[:3]] == [0.0, 0.0, 0.0]
    assert all("coherence_score" in report.reasons for report in result.features[:3])
    assert result.features[0].activation_statistics is None
    assert [len(report.top_activations) for report in result.features] == [0, 0, 4, 6]
    assert "coherence_score" not in result.features[3].reasons
    assert sum(result.corpus.tiers.values()) == 4
    assert result.corpus.mean_l0 == pytest.approx(10 / 12)


def test_what_is_worth_explaining_is_counted() -> None:
    """The share is of the judged features; the texts are those that one of the priority features fires on."""
    run = planted_run()
    found = analyze(run, identity=IDENTITY, parameters=Parameters(coherence_threshold=0.6), taxonomy=default_taxonomy())
    over = [report.feature_id for report in found.features if report.coherence_score >= 0.6]
    cells = run.features.rows(0, 240).numpy()
    assert 0 < len(over) < 24
    assert found.corpus.priority_share == len(over) / 24
    assert found.corpus.priority_covered_texts == (cells[:, over] > 0).any(axis=1).mean()
    none = found_in(run_of(np.zeros((9, 2)))).corpus
    assert (none.priority_share, none.priority_covered_texts) == (None, 0.0)


def test_a_constant_feature_is_undefined_with_a_reason() -> None:
    """Max equals min: no weights, no coherence; the rest stands."""
    report = found_in(run_of(np.ones((9, 1)), originals=np.random.default_rng(1).normal(size=(9, 3)))).features[0]
    assert report.coherence_score == 0.0
    assert report.reasons["coherence_score"] == "the activation is the same for every text"
    assert report.flags["dense"] == 1.0
    assert len(report.top_activations) == 9


@pytest.mark.parametrize("cells", [[[0.5]], [[0.0]], np.zeros((6, 3)), np.ones((2, 1)), [[3e38], [1e-45], [0]]])
@pytest.mark.parametrize("originals", [True, False])
def test_the_smallest_runs_work(cells: object, *, originals: bool) -> None:
    """One text, one feature, all dead, extreme values: a result without NaN."""
    shape = np.asarray(cells).shape
    run = run_of(np.asarray(cells), originals=np.ones((shape[0], 2)) if originals else None)
    if originals:
        run = replace(run, sae=random_sae(shape[1], 2))
    assert len(found_in(run, top_k=100).features) == shape[1]


def test_texts_without_words_and_huge_ones() -> None:
    """Empty texts and one of 5 MB are texts like others."""
    texts = ["", " ", "\u200b", "word " * 1_000_000, "a", "b"]
    result = found_in(run_of(np.arange(1, 7)[:, None], texts, np.random.default_rng(2).normal(size=(6, 3))))
    assert result.corpus.empty_texts == 3
    assert max(len(top.context) for top in result.features[0].top_activations) <= 160


def test_unusable_originals_are_named() -> None:
    """When every row of the originals is invalid, the text space speaks alone."""
    run = planted_run()
    broken = replace(run, originals=blocks(np.full((240, 16), np.nan)), invalid_texts=tuple(range(240)))
    report = found_in(broken).features[0]
    assert report.coherence.activation_space is None
    assert "coherence.activation_space" in report.reasons
    assert report.coherence_score >= 0.5


def test_an_empty_run_is_refused() -> None:
    """No text or no feature is refused, not analysed."""
    with pytest.raises(RefusedInput, match="0 features"):
        found_in(run_of(np.zeros((3, 0))))


def test_what_does_not_fit_is_refused_with_its_figure() -> None:
    """The budget is a promise."""
    with pytest.raises(RefusedInput, match="MEMORY_BUDGET_EXCEEDED"):
        found_in(planted_run(), execution=Execution(memory_bytes=1000))


def test_progress_only_grows() -> None:
    """Fractions rise from 0 to 1."""
    told: list[float] = []
    analyze(
        planted_run(),
        identity=IDENTITY,
        parameters=Parameters(),
        taxonomy=default_taxonomy(),
        on_progress=lambda _step, fraction: told.append(fraction),
    )
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


def test_a_hidden_nan_is_a_defect() -> None:
    """The final check finds a NaN in any depth and names its place."""
    report = found_in(planted_run()).features[0]
    with pytest.raises(ArithmeticError, match="flags"):
        check_finite(replace(report, flags={"dense": float("nan")}))


def test_warm_up_runs() -> None:
    """The synthetic run passes through every kernel."""
    warm_up(Execution(threads=2))
    assert choose_active.signatures
    assert choose_silent.signatures
