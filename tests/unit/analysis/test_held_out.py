from __future__ import annotations

import numpy as np
import pytest
from support.memory_runs import blocks

from mistudio_worker.analysis import held_out, unit_rows
from mistudio_worker.analysis.coherence_table import CorpusTexts
from mistudio_worker.analysis.content_order import distinct_texts
from mistudio_worker.analysis.duplicates import DuplicateGroups
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.held_out import SeparabilityTable, measure_separability
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.ranking import rank_texts
from mistudio_worker.analysis.terms import build_term_table


def separability_of(
    cells: object,
    originals: object,
    *,
    top_k: int = 20,
    texts: list[str] | None = None,
    group: list[int] | None = None,
    invalid_texts: tuple[int, ...] = (),
    execution: Execution | None = None,
) -> SeparabilityTable:
    """Separability of every feature; `group` names near-duplicates, none by default."""
    matrix, _ = gather(blocks(np.asarray(cells)), (), Execution())
    rows = unit_rows.unit_rows(blocks(np.asarray(originals)), invalid_texts, Execution())
    groups = DuplicateGroups(np.arange(matrix.rows) if group is None else np.array(group))
    texts = [f"text {i}" for i in range(matrix.rows)] if texts is None else texts
    corpus = CorpusTexts(texts, build_term_table(texts), groups, distinct_texts(texts, groups), rows)
    return measure_separability(rank_texts(matrix, top_k), matrix, corpus, rows, execution or Execution())


def planted(n: int = 900, seed: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Activations of a clean, a half clean and a random feature, and originals with one topic among noise."""
    random = np.random.default_rng(seed)
    topic = np.arange(n) % 9 == 0
    originals = random.normal(size=(n, 12)) + np.where(topic[:, None], 2.0, 0.0)
    chance = random.random(n) < 0.11
    fires = np.column_stack([topic, np.where(np.arange(n) % 2, topic, chance), chance])
    return np.where(fires, random.gamma(2.0, 1.0, size=(n, 3)), 0.0), originals


def by_definition(cells: np.ndarray, originals: np.ndarray, top_k: int) -> list[float]:
    """AUROC pair by pair, over all silent texts."""
    exact = originals.astype(np.float32).astype(np.float64)
    unit = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    found = []
    for column in cells.T:
        top = [text for text in np.argsort(-column, kind="stable")[:top_k] if column[text] > 0]
        cosines = unit @ unit[top[0::2]].sum(axis=0)
        own, others = cosines[top[1::2]], cosines[column == 0]
        found.append(float((own[:, None] > others).mean()))
    return found


def test_auroc_is_that_of_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into small tiles, with a pool that holds every text, pair by pair."""
    for module in (held_out, unit_rows):
        monkeypatch.setattr(module, "COLUMN_TILE", 5)
    monkeypatch.setattr(unit_rows, "ROW_TILE", 100)
    monkeypatch.setattr(held_out, "FEATURE_TILE", 2)
    monkeypatch.setattr(held_out, "POOL", 10_000)
    cells, originals = planted()
    found = separability_of(cells, originals, top_k=15, execution=Execution(threads=2))
    assert found.auroc.tolist() == pytest.approx(by_definition(cells, originals, 15), abs=1e-9)


def test_a_pool_stands_for_all_silent_texts() -> None:
    """What holds on held-out texts is near 1, what is random near 0.5, and the pool tells nearly the truth."""
    cells, originals = planted()
    clean, half, random = separability_of(cells, originals).auroc
    assert clean > 0.95
    assert clean > half > random
    assert abs(random - 0.5) < 0.25
    assert [clean, half, random] == pytest.approx(by_definition(cells, originals, 20), abs=0.03)


def test_a_copy_of_an_odd_ranked_text_is_not_held_out() -> None:
    """Six copies of one text beside nothing else: by themselves they would be found again, as one they are too few."""
    cells, originals = planted()
    cells, copies = np.zeros((len(cells), 1)), [5, 6, 7, 8, 10, 11]
    cells[copies, 0] = np.arange(6, 0, -1)
    originals[copies] = originals[5]
    group = [5 if text in copies else text for text in range(len(cells))]
    assert separability_of(cells, originals).auroc.tolist() == [1.0]
    found = separability_of(cells, originals, group=group)
    assert np.isnan(found.auroc).tolist() == [True]
    assert found.distinct.tolist() == [1]


def test_four_distinct_texts_with_a_direction_are_needed() -> None:
    """Three are too few, and a text without originals counts as none; dead features have none."""
    cells = np.zeros((30, 4))
    cells[:3, 0], cells[:4, 1], cells[:5, 2] = 1.0, 1.0, 1.0
    originals = np.random.default_rng(3).normal(size=(30, 4))
    originals[1] = np.nan
    found = separability_of(cells, originals, invalid_texts=(1,))
    assert found.distinct.tolist() == [2, 3, 4, 0]
    assert np.isnan(found.auroc).tolist() == [True, True, False, True]


def test_without_a_silent_text_it_is_not_defined() -> None:
    """A feature that fires on every text has nothing to be told from."""
    found = separability_of(np.ones((20, 1)), np.random.default_rng(3).normal(size=(20, 4)))
    assert found.distinct.tolist() == [20]
    assert np.isnan(found.auroc).tolist() == [True]


def test_equal_directions_are_ties() -> None:
    """In one dimension there are two directions: own ones tie with half of the silent texts."""
    signs = np.tile([1.0, -1.0], 20)[:, None]
    cells = np.zeros((40, 1))
    cells[[0, 2, 4, 6], 0] = 1.0
    silent_same, silent_other = 16, 20
    expected = (silent_other + 0.5 * silent_same) / (silent_same + silent_other)
    assert separability_of(cells, signs).auroc.tolist() == pytest.approx([expected])


@pytest.mark.parametrize("originals", [np.ones((6, 3)), np.full((6, 3), np.nan)])
def test_without_directions_nothing_is_defined(originals: np.ndarray) -> None:
    """All texts alike, or none usable: no pool, no halves."""
    found = separability_of(np.eye(6), originals, invalid_texts=tuple(range(6)) if np.isnan(originals).any() else ())
    assert np.isnan(found.auroc).all()
    assert found.distinct.tolist() == [0] * 6


def test_the_order_of_the_rows_does_not_matter() -> None:
    """The pool is chosen by what the texts say, so that permuted rows give the same figures."""
    cells, originals = planted()
    texts = [f"text {i}" for i in range(len(cells))]
    order = np.random.default_rng(4).permutation(len(cells))
    found = separability_of(cells, originals, texts=texts)
    permuted = separability_of(cells[order], originals[order], texts=[texts[i] for i in order])
    np.testing.assert_allclose(permuted.auroc, found.auroc, atol=1e-9)
