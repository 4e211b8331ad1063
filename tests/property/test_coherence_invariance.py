from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.coherence_of import in_both, weights_of

from mistudio_worker.analysis import coherence, corpus_pairs, grams, unit_rows, unity
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.weights import draw_texts

if TYPE_CHECKING:
    from mistudio_worker.analysis.coherence_table import CoherenceTable

SEEDS = st.integers(0, 9_999)
VOCABULARY = [f"word{i}" for i in range(120)]


def corpus(seed: int, n: int = 70, features: int = 5) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Activations, texts and originals of four topics; some texts repeat others, some hold no word."""
    random = np.random.default_rng(seed)
    topic = random.integers(4, size=n)
    texts = [" ".join([*random.choice(VOCABULARY, 7), f"topic{t}"]) for t in topic]
    for row in random.choice(n, 2, replace=False):
        texts[row] = "?!" * row
    originals = random.normal(size=(4, 9))[topic] * 1.5 + random.normal(size=(n, 9))
    fires = (topic[:, None] == np.arange(features) % 4) & (random.random((n, features)) < 0.9)
    fires |= random.random((n, features)) < np.linspace(0.0, 0.3, features)
    strengths = random.gamma(2.0, 1.0, size=(n, features)) + 0.001
    cells = np.where(fires, strengths, 0.0).astype(np.float32)
    for copy, source in random.choice(n, (3, 2), replace=False):
        texts[copy], originals[copy], cells[copy] = texts[source], originals[source], cells[source]
    return cells, texts, originals.astype(np.float32)


def figures(table: CoherenceTable) -> dict[str, np.ndarray]:
    """Everything that is published of it."""
    assert table.activation is not None
    assert table.activation_unity is not None
    return {
        "score": table.scores.score,
        "low": table.scores.low,
        "high": table.scores.high,
        "distinct": table.distinct_texts,
        **{f"{name}_space": space.score for name, space in (("a", table.activation), ("t", table.text))},
        **{f"{name}_percentile": space.percentile for name, space in (("a", table.activation), ("t", table.text))},
        **{f"{name}_unity": space.value for name, space in (("a", table.activation_unity), ("t", table.text_unity))},
    }


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_order_of_the_rows_has_no_say(seed: int) -> None:
    """Permuted together, texts, activations and originals give the same figures but for rounding (and for ties)."""
    cells, texts, originals = corpus(seed)
    order = np.random.default_rng(seed).permutation(len(texts))
    whole = figures(in_both(cells, texts, originals))
    other = figures(in_both(cells[order], [texts[i] for i in order], originals[order]))
    for name, column in whole.items():
        np.testing.assert_allclose(other[name], column, atol=1e-4, err_msg=name)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_features_do_not_know_of_each_other(seed: int) -> None:
    """Permuted features have permuted figures; one alone has its own. But for the rounding of a product's shape."""
    cells, texts, originals = corpus(seed)
    order = np.random.default_rng(seed).permutation(cells.shape[1])
    whole = figures(in_both(cells, texts, originals))
    for chosen in (order, order[:1]):
        for name, column in figures(in_both(cells[:, chosen], texts, originals)).items():
            np.testing.assert_allclose(column, whole[name][chosen], atol=1e-6, err_msg=name)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, factor=st.one_of(st.integers(-6, 6).map(lambda e: 2.0**e), st.floats(0.01, 100)))
def test_scale_of_a_feature_has_no_say(seed: int, factor: float) -> None:
    """To the last bit for a power of two; else as far as the draws do not hang on the rounding."""
    cells, texts, originals = corpus(seed)
    whole = figures(in_both(cells, texts, originals))
    scaled = figures(in_both(cells * np.float32(factor), texts, originals))
    exact = np.log2(factor).is_integer()
    for name, column in whole.items():
        np.testing.assert_allclose(scaled[name], column, atol=0 if exact else 1e-4, rtol=0, err_msg=name)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, added=st.integers(1, 9))
def test_silent_texts_change_no_draw(seed: int, added: int) -> None:
    """More texts that do not fire: the same weights and draws. What random texts are like may change."""
    cells, _, _ = corpus(seed)
    cells = np.vstack([cells, np.zeros((1, cells.shape[1]))])
    before = weights_of(cells)
    after = weights_of(np.vstack([cells, np.zeros((added, cells.shape[1]))]))
    np.testing.assert_array_equal(after.values, before.values)
    usable = np.ones(len(cells) + added, dtype=np.bool_)
    drawn, again = (draw_texts(w, usable, Execution()) for w in (before, after))
    np.testing.assert_array_equal(again.members, drawn.members)
    np.testing.assert_array_equal(again.counts, drawn.counts)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_no_bit(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small tiles, computed by one thread or several."""
    for module, name in (
        (unit_rows, "ROW_TILE"), (coherence, "ROW_TILE"), (corpus_pairs, "ROW_TILE"),
        (unit_rows, "COLUMN_TILE"), (coherence, "COLUMN_TILE"), (corpus_pairs, "COLUMN_TILE"), (grams, "COLUMN_TILE"),
        (coherence, "FEATURE_TILE"), (unity, "FEATURE_TILE"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, 4)
    cells, texts, originals = corpus(1)
    one = figures(in_both(cells, texts, originals, execution=Execution()))
    many = figures(in_both(cells, texts, originals, execution=Execution(threads=threads)))
    for name, column in one.items():
        np.testing.assert_array_equal(many[name], column, err_msg=name)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_every_figure_stays_in_its_range(seed: int) -> None:
    """Scores and percentiles 0 to 1, the interval around its score, unities -1 to 1, NaN where not defined."""
    cells, texts, originals = corpus(seed, n=12)
    found = figures(in_both(cells, texts, originals))
    for name in ("score", "low", "high", "a_percentile", "t_percentile", "t_space"):
        assert np.all(np.isnan(found[name]) | ((found[name] >= 0) & (found[name] <= 1))), name
    for name in ("a_unity", "t_unity", "a_space"):
        assert np.all(np.isnan(found[name]) | (np.abs(found[name]) <= 1)), name
    defined = np.isfinite(found["score"])
    assert (found["low"][defined] <= found["score"][defined]).all()
    assert (found["score"][defined] <= found["high"][defined]).all()
