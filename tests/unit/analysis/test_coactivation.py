from __future__ import annotations

import numpy as np
import pytest
from support.memory_runs import blocks

from mistudio_worker.analysis import coactivation
from mistudio_worker.analysis.coactivation import CoactivationTable, coactive_records, find_coactive, texts_drawn
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.statistics import compute_statistics
from mistudio_worker.errors import RefusedInput


def coactive_in(
    cells: np.ndarray, invalid: tuple[int, ...] = (), execution: Execution | None = None
) -> CoactivationTable:
    """Co-active features of a matrix."""
    positives, moments = gather(blocks(cells), invalid, Execution())
    return find_coactive(positives, compute_statistics(positives, moments), execution or Execution())


def sparse_cells(n: int, features: int, seed: int = 3) -> np.ndarray:
    """Activations of features of densities from 2 to 60 %, half of which follow a common topic."""
    random = np.random.default_rng(seed)
    topic = random.random((n, 1)) < 0.2
    chance = random.random((n, features)) < np.linspace(0.05, 0.6, features)
    fires = np.where(np.arange(features) % 2, chance, chance & topic)
    return np.where(fires, random.gamma(2.0, 1.0, size=(n, features)), 0.0).astype(np.float32)


def jaccard_of(cells: np.ndarray) -> np.ndarray:
    """The whole matrix [F, F], with -1 on its diagonal."""
    fires = (cells > 0).astype(np.float64)
    both, sizes = fires.T @ fires, fires.sum(axis=0)
    jaccard: np.ndarray = both / np.maximum(sizes[:, None] + sizes - both, 1.0)
    np.fill_diagonal(jaccard, -1.0)
    return jaccard


def test_the_most_alike_are_those_of_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jaccard, its order and its ties, and the correlation, are those of the definitions, for any tiles."""
    monkeypatch.setattr(coactivation, "FEATURE_TILE", 7)
    cells = sparse_cells(200, 40)
    found, jaccard = coactive_in(cells, execution=Execution(threads=2)), jaccard_of(cells)
    order = np.argsort(-jaccard, axis=1, kind="stable")[:, :5]
    assert found.ids.tolist() == order.tolist()
    np.testing.assert_array_equal(found.jaccard, np.take_along_axis(jaccard, order, axis=1))
    expected = np.corrcoef(cells.astype(np.float64).T)
    np.testing.assert_allclose(found.correlation, np.take_along_axis(expected, order, axis=1), atol=1e-12)


def test_drawn_texts_find_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit candidates come from a part of the texts, but what is published of them is exact."""
    cells = sparse_cells(3_000, 150)
    whole = coactive_in(cells)
    monkeypatch.setattr(coactivation, "PAIR_LIMIT", 1)
    monkeypatch.setattr(coactivation, "CANDIDATES", 32)
    found, jaccard = coactive_in(cells), jaccard_of(cells)
    np.testing.assert_array_equal(found.jaccard, np.take_along_axis(jaccard, found.ids.astype(np.int64), axis=1))
    recall = np.mean([np.isin(ids, others).mean() for ids, others in zip(whole.ids, found.ids, strict=True)])
    assert recall > 0.98
    few = (cells > 0).sum(axis=0) <= coactivation.MIN_DRAWN
    assert few.sum() > 20
    np.testing.assert_array_equal(found.ids[few], whole.ids[few])


def test_equal_candidates_go_by_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two share half of the texts, the later one more of those drawn: equal in truth, so that the lower id is first."""
    monkeypatch.setattr(coactivation, "PAIR_LIMIT", 1)
    monkeypatch.setattr(coactivation, "MIN_DRAWN", 2)
    cells = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 1], [1, 0, 0]], dtype=np.float32)
    found = coactive_in(cells)
    assert found.ids[0].tolist() == [1, 2, -1, -1, -1]
    assert found.jaccard[0, :2].tolist() == [0.5, 0.5]


def test_few_texts_are_drawn_only_over_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many texts of a feature as the steps allow, never below the least number, never more than it has."""
    counts, fired = np.array([1_000, 200, 3]), np.full(1_203, 1)
    assert texts_drawn(counts, fired).tolist() == [1_000, 200, 3]
    monkeypatch.setattr(coactivation, "PAIR_LIMIT", 1_202)
    assert texts_drawn(counts, fired).tolist() == [400, 200, 3]
    monkeypatch.setattr(coactivation, "PAIR_LIMIT", 10)
    assert texts_drawn(counts, fired).tolist() == [128, 128, 3]


def test_what_does_not_vary_has_no_correlation() -> None:
    """A constant feature shares texts, but correlates with nothing; a copy at another scale correlates fully."""
    column = np.array([0.5, 0.0, 2.0, 1.0])
    found = coactive_in(np.column_stack([column, np.full(4, 3.0), 4 * column]))
    first, constant, _ = (coactive_records(found, feature) for feature in range(3))
    assert [(other.feature_id, other.jaccard, other.correlation) for other in first] == [
        (2, 1.0, pytest.approx(1.0)),
        (1, 0.75, None),
    ]
    assert [other.correlation for other in constant] == [None, None]


def test_a_nearly_constant_feature_keeps_its_digits() -> None:
    """A small variation on a large mean is not lost: +1 and -1, although the mean is a thousand times the spread."""
    wave = np.tile([0.0, 1.0], 50)
    found = coactive_in(np.column_stack([1000 + wave, 2000 + wave, 1000 - wave]))
    assert found.correlation[0, :2] == pytest.approx([1.0, -1.0], abs=1e-9)


def test_dead_invalid_and_lonely_features_have_none() -> None:
    """Who shares no text is not listed, and lists nobody."""
    cells = np.array([[1, 0, 0, np.nan], [1, 0, 0, 1], [0, 0, 2, 1]], dtype=np.float32)
    found = coactive_in(cells, invalid=(3,))
    assert (found.ids == -1).all()
    assert coactive_records(found, 0) == ()


def test_one_text_and_one_feature() -> None:
    """The smallest run has no pair; two features on one text do not vary."""
    assert coactive_records(coactive_in(np.ones((1, 1))), 0) == ()
    (record,) = coactive_records(coactive_in(np.ones((1, 2))), 0)
    assert (record.feature_id, record.jaccard, record.correlation) == (1, 1.0, None)


def test_what_does_not_fit_is_refused() -> None:
    """The turned matrix is counted against the budget."""
    with pytest.raises(RefusedInput, match="MEMORY_BUDGET_EXCEEDED"):
        coactive_in(np.ones((100, 100)), execution=Execution(memory_bytes=1000))
