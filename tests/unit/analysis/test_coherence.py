from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.memory_runs import WORDS, blocks, planted_run

from mistudio_worker.analysis import coherence, unit_rows
from mistudio_worker.analysis.coherence import activation_coherence, text_coherence, weights_of
from mistudio_worker.analysis.coherence_score import coherence_score
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.statistics import compute_statistics
from mistudio_worker.analysis.terms import build_term_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.coherence import SpaceCoherence


def in_activations(
    cells: NDArray[np.float64], originals: NDArray[np.float64], invalid: tuple[int, ...] = ()
) -> SpaceCoherence:
    """Coherence in the activation space."""
    execution = Execution(threads=2)
    found, moments = gather(blocks(cells), (), execution)
    weights = weights_of(compute_statistics(found, moments), np.zeros(cells.shape[1], dtype=np.bool_))
    rows = unit_rows.unit_rows(blocks(originals), invalid, execution)
    return activation_coherence(blocks(cells), found, weights, rows, execution)


def in_texts(cells: NDArray[np.float64], texts: list[str]) -> SpaceCoherence:
    """Coherence in the text space."""
    found, moments = gather(blocks(cells), (), Execution())
    weights = weights_of(compute_statistics(found, moments), np.zeros(cells.shape[1], dtype=np.bool_))
    return text_coherence(found, weights, build_term_table(texts), Execution(threads=2))


def quadratic(weight: NDArray[np.float64], unit: NDArray[np.float64]) -> float:
    """The definition: the weighted mean cosine over all pairs."""
    above = below = 0.0
    for i, j in itertools.combinations(range(weight.size), 2):
        above += weight[i] * weight[j] * float(unit[i] @ unit[j])
        below += weight[i] * weight[j]
    return above / below


def drawn(seed: int, n: int = 30, features: int = 5, dim: int = 7) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Random activations and originals, exact in float32."""
    random = np.random.default_rng(seed)
    cells = np.maximum(random.normal(size=(n, features)), 0).astype(np.float32).astype(np.float64)
    originals = (random.normal(size=(n, dim)) + 2).astype(np.float32).astype(np.float64)
    return cells, originals


@pytest.mark.parametrize("lowest", [0.0, 1.5])
def test_linear_form_equals_the_quadratic_definition(monkeypatch: pytest.MonkeyPatch, lowest: float) -> None:
    """Over several tiles and with a positive minimum, both agree to 1e-9."""
    monkeypatch.setattr(unit_rows, "COLUMN_TILE", 3)
    monkeypatch.setattr(coherence, "COLUMN_TILE", 3)
    monkeypatch.setattr(unit_rows, "ROW_TILE", 8)
    monkeypatch.setattr(coherence, "ROW_TILE", 8)
    monkeypatch.setattr(coherence, "FEATURE_TILE", 2)
    cells, originals = drawn(5)
    cells = (cells + lowest).astype(np.float32).astype(np.float64)
    centred = originals - originals.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    found = in_activations(cells, originals)
    for feature in range(cells.shape[1]):
        a = cells[:, feature]
        weight = (a - a.min()) / (a.max() - a.min())
        assert found.score[feature] == pytest.approx(quadratic(weight, unit), abs=1e-7)
    assert found.baseline == pytest.approx(quadratic(np.ones(len(cells)), unit), abs=1e-7)


def test_invalid_texts_take_no_part() -> None:
    """A row of NaN changes nothing for the others, whatever its activation."""
    cells, originals = drawn(6)
    cells[:, 0] = np.maximum(cells[:, 0], 0.0)
    cells[3] = 0.0
    broken = originals.copy()
    broken[3] = np.nan
    without = np.delete(np.arange(len(cells)), 3)
    found, expected = in_activations(cells, broken, (3,)), in_activations(cells[without], originals[without])
    assert found.score == pytest.approx(expected.score, abs=1e-7)
    cells[3] = 0.5
    found = in_activations(cells, broken, (3,))
    assert found.score == pytest.approx(expected.score, abs=1e-7)
    assert found.usable_texts.tolist() == expected.usable_texts.tolist()


def test_undefined_where_there_is_no_pair() -> None:
    """Dead, constant and single-text features have no coherence, and identical originals no directions."""
    cells = np.array([[0, 1, 1, 1], [0, 1, 0, 2], [0, 1, 0, 0]], dtype=np.float64)
    originals = np.random.default_rng(7).normal(size=(3, 4))
    assert np.isnan(in_activations(cells, originals).score).tolist() == [True, True, True, False]
    assert np.isnan(in_activations(cells, np.ones((3, 4)) * 0.1).score).all()
    assert np.isnan(in_activations(cells[:1], originals[:1]).score).all()


def test_text_space_equals_the_quadratic_definition() -> None:
    """TF-IDF rows by hand: terms of one text and of more than half of the texts are left out."""
    texts = ["apple pear the", "apple plum the", "pear plum the", "fig kiwi the", "fig kiwi the", "the solo"]
    cells = np.array([[3, 0], [2, 0], [1, 1], [0, 2], [0, 2], [1, 0]], dtype=np.float64)
    vocabulary = ["apple", "pear", "plum", "fig", "kiwi"]
    table = np.array([[word in text.split() for word in vocabulary] for text in texts], dtype=np.float64)
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    found = in_texts(cells, texts)
    expected = [quadratic((cells[:, f] / cells[:, f].max())[:5], unit[:5]) for f in range(2)]
    assert found.score == pytest.approx(expected, abs=1e-7)
    assert found.baseline == pytest.approx(quadratic(np.ones(5), unit[:5]), abs=1e-7)


def test_only_the_rarest_terms_of_a_text_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one kept term, texts that share their rarest term are the same text."""
    monkeypatch.setattr(coherence, "KEPT_TERMS", 1)
    texts = ["rare often", "rare often", "often", "other", "other", "other", "nil", "nil"]
    cells = np.array([[1], [1], [0], [0], [0], [0], [0], [0]], dtype=np.float64)
    cells[2] = 1.0
    assert in_texts(cells, texts).score[0] == pytest.approx(1 / 3)


def scores_of_planted(*, originals: bool) -> dict[str, NDArray[np.float64]]:
    """Scores of planted features, by kind."""
    run = planted_run(n=400, features=60, dim=32)
    found, moments = gather(run.features, (), Execution())
    weights = weights_of(compute_statistics(found, moments), np.zeros(60, dtype=np.bool_))
    text = text_coherence(found, weights, build_term_table(run.texts), Execution())
    activation = None
    if originals and run.originals is not None:
        rows = unit_rows.unit_rows(run.originals, (), Execution())
        activation = activation_coherence(run.features, found, weights, rows, Execution())
    score = coherence_score(activation, text)
    return {"clean": score[0::3], "mixed": score[1::3], "random": score[2::3]}


@pytest.mark.parametrize("originals", [True, False])
def test_planted_features_are_ordered_on_the_readers_scale(*, originals: bool) -> None:
    """Clean ones over mixed ones over random ones; clean at 0.5 and above, random under 0.4."""
    scores = scores_of_planted(originals=originals)
    assert scores["clean"].min() > scores["mixed"].max()
    assert scores["mixed"].min() > scores["random"].max()
    assert scores["clean"].min() >= 0.5
    assert scores["random"].max() < 0.4


def test_few_positives_at_random_do_not_reach_the_threshold() -> None:
    """Of 300 features on 5 random texts each of a corpus without topics, at most 1 % come over 0.4."""
    random = np.random.default_rng(8)
    words = [word for topic in WORDS for word in topic]
    texts = [" ".join(random.choice(words, 8)) for _ in range(400)]
    originals = random.normal(size=(400, 24))
    cells = np.zeros((400, 300))
    for feature in range(300):
        cells[random.choice(400, 5, replace=False), feature] = random.gamma(2.0, 1.0, 5)
    score = coherence_score(in_activations(cells, originals), in_texts(cells, texts))
    assert (score >= 0.4).mean() <= 0.01
