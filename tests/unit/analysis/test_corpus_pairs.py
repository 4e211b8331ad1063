from __future__ import annotations

import numpy as np
import pytest
from support.coherence_of import THREADS, alone
from support.memory_runs import blocks

from mistudio_worker.analysis import corpus_pairs
from mistudio_worker.analysis.content_order import distinct_texts, shuffled
from mistudio_worker.analysis.corpus_pairs import CorpusPairs, activation_pairs, text_pairs
from mistudio_worker.analysis.duplicates import DuplicateGroups
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.analysis.text_rows import text_rows
from mistudio_worker.analysis.unit_rows import unit_rows


def pairs_of(originals: object, invalid: tuple[int, ...] = (), groups: DuplicateGroups | None = None) -> CorpusPairs:
    """Pairs of original activations."""
    matrix = np.asarray(originals, dtype=np.float64)
    distinct = distinct_texts([f"text {i}" for i in range(len(matrix))], groups or alone(len(matrix)))
    return activation_pairs(unit_rows(blocks(matrix), invalid, THREADS), distinct, THREADS)


def drawn(n: int = 90) -> np.ndarray:
    """Originals of three loose groups."""
    random = np.random.default_rng(3)
    return np.asarray(random.normal(size=(n, 7)) + np.eye(7)[np.arange(n) % 3] * 2)


def test_mean_and_spread_are_those_of_all_pairs() -> None:
    """Over every pair of unit rows."""
    originals = drawn()
    rows = (originals - originals.mean(axis=0)) / originals.std(axis=0)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(90, 1)]
    found = pairs_of(originals)
    assert (found.texts, found.mean, found.spread) == pytest.approx((90, cosines.mean(), cosines.std()), abs=1e-6)


def test_a_sample_tells_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean stays exact; spread and moments of 200 of 600 texts are near those of all."""
    originals = drawn(600)
    whole = pairs_of(originals)
    monkeypatch.setattr(corpus_pairs, "SAMPLE_TEXTS", 200)
    sample = pairs_of(originals)
    assert sample.mean == whole.mean
    assert sample.spread == pytest.approx(whole.spread, rel=0.1)
    assert whole.moments is not None
    assert sample.moments is not None
    assert sample.moments.e2 == pytest.approx(whole.moments.e2, rel=0.1)
    assert sample.moments.triangle == pytest.approx(whole.moments.triangle, rel=0.3)


def test_repeats_and_texts_without_a_vector_do_not_count() -> None:
    """Two copies, a row of NaN and a text without words."""
    originals = drawn()
    originals[4] = np.nan
    groups = np.arange(90)
    groups[[7, 9]] = 5
    assert pairs_of(originals, (4,), DuplicateGroups(groups)).texts == 87
    texts = ["b c", "b c", "", "b d", "c d", "d", "e f", "e f"]
    rows = text_rows(build_term_table(texts))
    assert text_pairs(rows, distinct_texts(texts, DuplicateGroups(np.array([0, 0, 2, 3, 4, 5, 6, 6])))).texts == 5


def test_copies_do_not_move_the_mean() -> None:
    """With thirty copies of one text, the mean is that of the pairs of distinct rows."""
    originals = np.vstack([drawn(), np.tile(drawn()[3], (30, 1))])
    groups = DuplicateGroups(np.r_[np.arange(90), np.full(30, 3)])
    rows = (originals - originals.mean(axis=0)) / originals.std(axis=0)
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True))[:90]
    found = pairs_of(originals, groups=groups)
    assert found.mean == pytest.approx((unit @ unit.T)[np.triu_indices(90, 1)].mean(), abs=1e-6)
    assert abs(pairs_of(originals).mean - found.mean) > 0.01


def test_text_pairs_are_those_of_the_definition() -> None:
    """Mean, spread and every moment agree with dense rows."""
    random = np.random.default_rng(5)
    texts = [" ".join(random.choice([f"w{i}" for i in range(25)], 6)) for _ in range(50)]
    rows = text_rows(build_term_table(texts))
    dense = np.zeros((50, rows.vocabulary))
    for text in range(50):
        own = slice(rows.offsets[text], rows.offsets[text + 1])
        dense[text, rows.ids[own]] = rows.values[own]
    cosines = dense @ dense.T
    off = cosines[np.triu_indices(50, 1)]
    found = text_pairs(rows, distinct_texts(texts, alone(50)))
    assert (found.mean, found.spread) == pytest.approx((off.mean(), off.std()))
    to_all = (cosines.sum(axis=1) - 1) / 49
    a = (to_all - off.mean()) * 49 / 48
    assert found.moments is not None
    assert found.moments.a2 == pytest.approx((a * a).mean() * 50 / 49)


def test_one_and_two_texts() -> None:
    """No pair: no mean. One pair: a mean without moments."""
    assert np.isnan(pairs_of([[1.0, 2.0]]).mean)
    two = pairs_of([[1.0, 2.0], [2.0, 0.0]])
    assert two.mean == pytest.approx(-1.0)
    assert two.moments is None


def test_texts_are_shuffled_by_content() -> None:
    """The order of the rows has no say, and an added text leaves the others in their order."""
    texts = [f"text {i}" for i in range(40)]
    order = [texts[i] for i in shuffled(texts)]
    assert [texts[::-1][i] for i in shuffled(texts[::-1])] == order
    assert order != texts
    more = [*texts, "another"]
    assert [more[i] for i in shuffled(more) if i < 40] == order
    assert shuffled(["same", "same"]).tolist() == [0, 1]
    groups = DuplicateGroups(np.r_[np.zeros(39, dtype=np.int64), 39])
    assert len(distinct_texts(texts, groups)) == 2
