from __future__ import annotations

import numpy as np
import pytest
from support.memory_runs import blocks

from mistudio_worker.analysis import diversity, unit_rows
from mistudio_worker.analysis.diversity import Likeness, compare_top_texts
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.top_examples import TopExamples


def likeness_of(lists: list[list[int]], originals: object, invalid: tuple[int, ...] = ()) -> Likeness:
    """Likeness of the given lists of top texts."""
    offsets = np.cumsum([0, *map(len, lists)])
    texts = np.array([text for texts in lists for text in texts], dtype=np.int32)
    rows = unit_rows.unit_rows(blocks(np.asarray(originals)), invalid, Execution())
    return compare_top_texts(TopExamples(offsets, texts, np.ones(texts.size, dtype=np.float32)), rows, Execution())


CROSS = [[1, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [-1, 0]]


def test_copies_count_once_and_orthogonal_texts_each() -> None:
    """Vendi: 1 for two copies, 2 for two orthogonal texts, undefined for one text or none."""
    found = likeness_of([[0, 1], [0, 3], [2], []], CROSS)
    assert found.vendi[:2] == pytest.approx([1.0, 2.0])
    assert np.isnan(found.vendi[2:]).all()


def test_similarity_is_the_mean_cosine_to_the_others() -> None:
    """Two copies and an orthogonal text: 0.5, 0.5, 0."""
    found = likeness_of([[0, 3, 1], [4]], CROSS)
    assert found.similarity[:3] == pytest.approx([0.5, 0.0, 0.5], abs=1e-6)
    assert np.isnan(found.similarity[3])


def test_texts_without_a_direction_take_no_part() -> None:
    """An invalid text neither adds to the score nor gets a similarity."""
    broken = [*CROSS, [np.nan, 1.0]]
    found = likeness_of([[0, 6, 3]], broken, invalid=(6,))
    assert found.vendi == pytest.approx([2.0])
    assert np.isnan(found.similarity).tolist() == [False, True, False]


def test_tiles_do_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into small tiles, the Gram matrices are the same."""
    random = np.random.default_rng(4)
    originals = random.normal(size=(40, 9))
    lists = [random.choice(40, size, replace=False).tolist() for size in (5, 0, 8, 1, 3)]
    whole = likeness_of(lists, originals)
    for module in (diversity, unit_rows):
        monkeypatch.setattr(module, "COLUMN_TILE", 2)
    monkeypatch.setattr(unit_rows, "ROW_TILE", 7)
    monkeypatch.setattr(diversity, "FEATURE_TILE", 2)
    cut = likeness_of(lists, originals)
    np.testing.assert_allclose(cut.vendi, whole.vendi, rtol=1e-6)
    np.testing.assert_allclose(cut.similarity, whole.similarity, atol=1e-6)


def test_without_a_usable_text_nothing_is_compared() -> None:
    """Top texts that equal the mean, or are broken, have neither a score nor a similarity."""
    for originals, invalid in ((np.ones((3, 2)), ()), (np.full((3, 2), np.nan), (0, 1, 2))):
        found = likeness_of([[0, 1, 2], []], originals, invalid)
        assert np.isnan(found.vendi).all()
        assert np.isnan(found.similarity).all()


def test_the_score_stays_between_one_and_the_number_of_texts() -> None:
    """For any texts, copies or more texts than dimensions among them."""
    random = np.random.default_rng(12)
    originals = np.repeat(random.normal(size=(9, 3)), 3, axis=0)
    lists = [random.choice(27, size, replace=False).tolist() for size in (2, 3, 10, 27)]
    vendi = likeness_of(lists, originals).vendi
    assert ((vendi >= 1.0) & (vendi <= [2, 3, 10, 27])).all()
