"""Likeness by decoder, by activation and by top texts, against their definitions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from support.comparisons import figures, run_figures
from support.memory_runs import random_sae, run_of

from mistudio_worker.analysis.execution import Execution
from mistudio_worker.comparison import decoders
from mistudio_worker.comparison.activations import activation_similarities
from mistudio_worker.comparison.common_texts import match_texts
from mistudio_worker.comparison.decoders import decoder_similarities
from mistudio_worker.comparison.top_texts import top_text_similarities
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from mistudio_worker.comparison.similarities import Similarities
    from mistudio_worker.domain.comparison import RunFigures


def whole(similarities: Similarities) -> np.ndarray:
    """The matrix that is never held."""
    return similarities.tile(np.arange(similarities.comparable_a.size))


def sparse(rows: int, features: int, seed: int = 5) -> np.ndarray:
    """Activations of which a third is positive."""
    random = np.random.default_rng(seed)
    fires = random.random((rows, features)) < 0.33
    return np.where(fires, random.gamma(2, 1, (rows, features)), 0).astype(np.float32)


def by_activation(
    a: np.ndarray, b: np.ndarray, texts_a: list[str] | None = None, texts_b: list[str] | None = None
) -> Similarities:
    """Similarities of two matrices of activations."""
    run_a, run_b = run_of(a, texts_a), run_of(b, texts_b)
    return activation_similarities(run_a, run_b, match_texts(run_a.texts, run_b.texts), Execution())


class TestDecoders:
    def test_cosines(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of dictionaries of different size, in tiles of 7 columns, the cosines are those of the definition."""
        monkeypatch.setattr(decoders, "COLUMN_TILE", 7)
        a, b = random_sae(20, 60, 1), random_sae(33, 60, 2)
        unit_a, unit_b = ((w := sae.decoder_weight.double().numpy()) / np.linalg.norm(w, axis=0) for sae in (a, b))
        found = decoder_similarities(a, b)
        np.testing.assert_allclose(whole(found), unit_a.T @ unit_b, atol=1e-14)
        np.testing.assert_allclose(found.tile(np.array([7, 2])), whole(found)[[7, 2]], atol=1e-14)
        assert (found.common_texts, found.caveats) == (None, ())

    def test_length_does_not_count_and_sign_does(self) -> None:
        """A longer direction is the same, an opposite one is not."""
        sae = random_sae(1, 60)
        other = replace(sae, decoder_weight=torch.cat([5 * sae.decoder_weight, -sae.decoder_weight], dim=1))
        np.testing.assert_allclose(whole(decoder_similarities(sae, other)), [[1.0, -1.0]])

    def test_without_a_direction_a_feature_is_not_comparable(self) -> None:
        """A decoder column of zeros matches nothing and divides nothing by zero."""
        sae = random_sae(3, 60)
        sae.decoder_weight[:, 1] = 0
        found = decoder_similarities(sae, sae)
        assert found.comparable_a.tolist() == found.comparable_b.tolist() == [True, False, True]
        assert np.isfinite(whole(found)).all()

    def test_few_dimensions_are_told(self) -> None:
        """In 16 dimensions some directions are alike by chance, and the reader is told."""
        assert "16 dimensions" in decoder_similarities(random_sae(2, 16), random_sae(2, 16)).caveats[0]


class TestActivations:
    def test_correlations(self) -> None:
        """Over the same texts they are Pearson's, for dictionaries of different size."""
        a, b = sparse(90, 6), sparse(90, 9, 6)
        found = by_activation(a, b)
        np.testing.assert_allclose(whole(found), np.corrcoef(a.T, b.T)[:6, 6:], atol=1e-12)
        np.testing.assert_array_equal(found.tile(np.array([4, 1])), whole(found)[[4, 1]])
        assert found.common_texts == 90

    def test_only_common_texts_count(self) -> None:
        """Of 90 and 70 texts in another order, the 40 common ones give the correlation, and all else nothing."""
        a, b = sparse(90, 4), sparse(70, 5, 6)
        order = np.random.default_rng(1).permutation(70)
        texts_b = np.array([f"text number {i}" for i in range(50, 120)])[order]
        found = by_activation(a, b[order], None, list(texts_b))
        assert found.common_texts == 40
        np.testing.assert_allclose(whole(found), np.corrcoef(a[50:].T, b[:40].T)[:4, 4:], atol=1e-12)

    def test_repeated_texts_are_paired_in_order(self) -> None:
        """The second of two equal texts is the second of the other run's."""
        a, b = sparse(60, 2), sparse(61, 2, 6)
        texts = ["the same"] * 60
        np.testing.assert_allclose(
            whole(by_activation(a, b, texts, [*texts, "the same"])), np.corrcoef(a.T, b[:60].T)[:2, 2:], atol=1e-12
        )

    def test_what_gives_nothing_to_match_by(self) -> None:
        """Dead, silent on the common texts, four positives, constant, nearly so: not comparable; five positives are."""
        cells = np.zeros((80, 6), dtype=np.float32)
        cells[:20, 1] = 1.0
        cells[60:64, 2] = 1.0
        cells[:, 3] = 0.3
        cells[:, 4] = np.where(np.arange(80) % 2, 0.3, np.nextafter(np.float32(0.3), np.float32(1)))
        cells[60:65, 5] = 1.0
        texts = [f"only here {i}" if i < 20 else f"text number {i}" for i in range(80)]
        found = by_activation(cells, sparse(80, 1), texts)
        assert found.comparable_a.tolist() == [False, False, False, False, False, True]
        assert np.isfinite(whole(found)).all()

    def test_invalid_features_are_not_comparable(self) -> None:
        """A column with NaN was not analysed and is not compared."""
        cells = sparse(60, 2)
        cells[3, 1] = np.nan
        run, other = replace(run_of(cells), invalid_features=(1,)), run_of(sparse(60, 2))
        found = activation_similarities(run, other, match_texts(run.texts, other.texts), Execution())
        assert found.comparable_a.tolist() == [True, False]
        assert np.isfinite(whole(found)).all()

    def test_memory_is_asked_for(self) -> None:
        """What does not fit into the budget is refused with the figure."""
        run = run_of(sparse(500, 40))
        with pytest.raises(RefusedInput, match="MEMORY_BUDGET_EXCEEDED"):
            activation_similarities(run, run, match_texts(run.texts, run.texts), Execution(memory_bytes=1000))


class TestTopTexts:
    def test_weighted_jaccard(self) -> None:
        """By hand: weights are shares of the strongest activation, texts of one side alone do not count."""
        texts = [(letter, 10.0 - i) for i, letter in enumerate("abcdef")]
        turned = [(letter, 5.0 - i / 2) for i, letter in enumerate("fbcdea")]
        found = top_text_similarities(of(texts), of(turned, [("only here", 3.0), ("b", 1.0)], texts))
        u = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
        v = np.array([0.5, 0.9, 0.8, 0.7, 0.6, 1.0])
        assert found.common_texts == 6
        assert whole(found)[0, [0, 2]] == pytest.approx([np.minimum(u, v).sum() / np.maximum(u, v).sum(), 1.0])
        assert found.comparable_b.tolist() == [True, False, True]

    def test_scale_does_not_count(self) -> None:
        """A run whose activations are a thousand times larger is the same."""
        texts = [(letter, 1.0 / (i + 1)) for i, letter in enumerate("abcdefg")]
        assert whole(top_text_similarities(of(texts), of([(t, 1024 * a) for t, a in texts]))).tolist() == [[1.0]]

    def test_a_repeated_text_counts_once(self) -> None:
        """Duplicates make no five texts out of four."""
        texts = [("a", 5.0), ("a", 4.0), ("b", 3.0), ("c", 2.0), ("d", 1.0)]
        assert top_text_similarities(of(texts), of(texts)).comparable_a.tolist() == [False]
        more = [*texts, ("e", 0.5)]
        assert whole(top_text_similarities(of(more), of(more[:1] + more[2:]))).tolist() == [[1.0]]

    def test_results_in_another_order_are_the_same(self) -> None:
        """The strongest activation is the largest, also where somebody sorted the texts otherwise."""
        texts = [(letter, 10.0 - i) for i, letter in enumerate("abcdef")]
        assert whole(top_text_similarities(of(texts), of(texts[::-1]))).tolist() == [[1.0]]

    def test_nothing_in_common(self) -> None:
        """Results over other texts have no comparable features, and dead ones have no texts at all."""
        found = top_text_similarities(of([(t, 1.0) for t in "abcde"], []), of([(t, 1.0) for t in "vwxyz"]))
        assert (found.common_texts, found.comparable_a.tolist(), found.comparable_b.tolist()) == (
            0,
            [False] * 2,
            [False],
        )
        assert whole(found).tolist() == [[0.0], [0.0]]


def test_texts_are_matched_by_content_and_order() -> None:
    """Other scripts, empty and repeated texts included."""
    found = match_texts(["x", "", "你好", "x", ""], ["x", "y", "x", "x", "你好", ""])
    assert found.count == 4
    assert found.places_a.tolist() == [0, 1, 2, 3, -1]
    assert found.places_b.tolist() == [0, -1, 3, -1, 2, 1]


def of(*lists: list[tuple[str, float]]) -> RunFigures:
    """Results of features with these top texts."""
    return run_figures([figures(i, texts=texts) for i, texts in enumerate(lists)])
