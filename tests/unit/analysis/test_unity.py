from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.coherence_of import THREADS, alone, weights_of
from support.memory_runs import blocks

from mistudio_worker.analysis import unity as unity_module
from mistudio_worker.analysis.content_order import distinct_texts
from mistudio_worker.analysis.corpus_pairs import activation_pairs, text_pairs
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.analysis.text_rows import text_rows
from mistudio_worker.analysis.unit_rows import unit_rows
from mistudio_worker.analysis.unity import ERRORS, unity_in_activations, unity_in_texts
from mistudio_worker.analysis.weights import draw_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.unity import Unity

TOPICS, TEXTS = 6, 360


def topical(seed: int, noise: float = 1.0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Topic of each text, and originals around its topic."""
    random = np.random.default_rng(seed)
    topic = np.arange(TEXTS) % TOPICS
    return topic, 2.0 * random.normal(size=(TOPICS, 24))[topic] + noise * random.normal(size=(TEXTS, 24))


def in_activations(cells: NDArray[np.float64], originals: NDArray[np.float64]) -> Unity:
    """Unity over the original activations."""
    rows = unit_rows(blocks(originals), (), THREADS)
    distinct = distinct_texts([f"text {i}" for i in range(len(cells))], alone(len(cells)))
    draws = draw_texts(weights_of(cells), rows.usable, THREADS)
    return unity_in_activations(draws, rows, activation_pairs(rows, distinct, THREADS), THREADS)


def in_texts(cells: NDArray[np.float64], texts: Sequence[str]) -> Unity:
    """Unity over the words."""
    rows = text_rows(build_term_table(texts))
    draws = draw_texts(weights_of(cells), np.ones(len(texts), dtype=np.bool_), THREADS)
    return unity_in_texts(draws, rows, text_pairs(rows, distinct_texts(texts, alone(len(texts)))), THREADS)


def columns(topic: NDArray[np.int64], *shares: dict[int, float], seed: int = 1) -> NDArray[np.float64]:
    """One feature for each mixture: a share of the texts of some topics fire, about equally; -1 are all texts."""
    random = np.random.default_rng(seed)
    out = np.zeros((len(topic), len(shares)))
    for f, mixture in enumerate(shares):
        for which, share in mixture.items():
            fires = (random.random(len(topic)) < share) & ((topic == which) | (which < 0))
            out[fires, f] = random.uniform(0.8, 1.0, size=fires.sum())
    return out


def test_one_concept_two_concepts_and_chance() -> None:
    """Near 1; near 0 or below for two, three, and one among as many random texts; near -1."""
    topic, originals = topical(1)
    clean, two, three, noisy, chance = in_activations(
        columns(topic, {0: 1.0}, {0: 1.0, 1: 1.0}, {0: 1, 1: 1, 2: 1}, {0: 1.0, -1: 0.1}, {-1: 0.1}), originals
    ).value
    assert clean > 0.7
    assert max(two, three, noisy) < 0.2
    assert chance < -0.4


def test_a_strong_concept_does_not_hide_a_weaker_one() -> None:
    """A second concept, 0.6 as strong and a third of the texts, is found."""
    topic, originals = topical(2)
    cells = columns(topic, {0: 1.0, 1: 0.5}, {0: 1.0})
    cells[topic == 1] *= 0.6
    mixed, clean = in_activations(cells, originals).value
    assert clean > 0.7
    assert mixed < 0.2


def test_weak_noise_does_not_spoil_a_concept() -> None:
    """As many random texts as members, at a tenth of their strength."""
    topic, originals = topical(3)
    cells = columns(topic, {0: 1.0}, {-1: 0.17})
    noisy = np.where(cells[:, :1] > 0, cells[:, :1], 0.1 * cells[:, 1:])
    assert in_activations(noisy, originals).value[0] > 0.5


def test_words_in_common_are_one_thing() -> None:
    """Texts that share a word, texts of two words, texts without any word in common."""
    random = np.random.default_rng(4)
    vocabulary = [f"w{i}" for i in range(300)]
    texts = [" ".join([*random.choice(vocabulary, 12), *(["otter"] if i < 30 else ["cello"] if i < 60 else [])])
             for i in range(240)]  # fmt: skip
    cells = np.zeros((240, 3))
    cells[:30, 0], cells[:60, 1], cells[60:120, 2] = 1.0, 1.0, 1.0
    one, two, none = in_texts(cells, texts).value
    assert one > 0.2
    assert one > two + 0.2
    assert none < -0.3


def test_wordless_texts_are_like_no_other() -> None:
    """A feature that fires on signs alone has a unity of -1 in the text space; one on words and signs is lowered."""
    texts = [f"otter w{i} w{i % 7} w{i % 5}" for i in range(30)] + ["?!", "...", "--", "{}", "[]", "::", "**", "##"]
    texts += [f"v{i} v{i % 9} w{i % 5}" for i in range(60)]
    cells = np.zeros((98, 2))
    cells[30:38, 0] = 1.0
    cells[:38, 1] = 1.0
    signs, both = in_texts(cells, texts).value
    assert signs == -1.0
    only = in_texts(np.where(np.arange(98)[:, None] < 30, cells[:, 1:], 0.0), texts).value[0]
    assert both < only


def test_value_is_that_of_the_definition() -> None:
    """Five texts by hand: (B - 1.5 errors) / W over the cut that parts them, and without each of them."""
    topic, originals = topical(5)
    cells = np.zeros((TEXTS, 1))
    chosen = np.r_[np.flatnonzero(topic == 0)[:3], np.flatnonzero(topic == 1)[:2]]
    cells[chosen] = 1.0
    found = in_activations(cells, originals)
    standard = (originals - originals.mean(axis=0)) / originals.std(axis=0)
    unit = (standard / np.linalg.norm(standard, axis=1, keepdims=True)).astype(np.float64)
    table = unit @ unit.T
    off = table[np.triu_indices(TEXTS, 1)]
    likeness = table[np.ix_(chosen, chosen)] - off.mean()
    spread = activation_pairs(
        unit_rows(blocks(originals), (), THREADS),
        distinct_texts([f"text {i}" for i in range(TEXTS)], alone(TEXTS)),
        THREADS,
    ).spread
    assert spread == pytest.approx(off.std(), rel=0.02)
    error = ERRORS * spread * np.sqrt(2 * (25 - 5)) / 20  # five texts, eight draws each: sums of equal counts

    def ratio(side: list[int], other: list[int]) -> float:
        across = likeness[np.ix_(side, other)].mean()
        pairs = [(i, j) for group in (side, other) for i in group for j in group if i != j]
        return float(np.clip((across - error) / np.mean([likeness[pair] for pair in pairs]), -1, 1))

    assert found.value[0] == pytest.approx(ratio([0, 1, 2], [3, 4]), abs=1e-5)
    left = [ratio([i for i in (0, 1, 2) if i != gone], [i for i in (3, 4) if i != gone]) for gone in range(5)]
    drawn = draw_texts(weights_of(cells), np.ones(TEXTS, dtype=np.bool_), THREADS).members[0, :5]
    order = [chosen.tolist().index(text) for text in drawn.tolist()]
    assert found.without[0, :5] == pytest.approx([left[i] for i in order], abs=1e-5)
    assert np.isnan(found.without[0, 5:]).all()


def test_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into tiles of two features, every value is the same."""
    topic, originals = topical(6)
    cells = columns(topic, *({t: 1.0, (t + 1) % TOPICS: 0.3 * t} for t in range(TOPICS)), {})
    whole = in_activations(cells, originals)
    monkeypatch.setattr(unity_module, "FEATURE_TILE", 2)
    cut = in_activations(cells, originals)
    np.testing.assert_array_equal(cut.value, whole.value)
    np.testing.assert_array_equal(cut.without, whole.without)
    assert np.isnan(whole.value).tolist() == [False] * TOPICS + [True]


def test_undefined_without_vectors() -> None:
    """Equal originals have no direction, equal texts no rare word."""
    cells = np.ones((8, 1)) * np.arange(8)[:, None]
    assert np.isnan(in_activations(cells, np.ones((8, 3))).value).all()
    assert np.isnan(in_texts(cells, ["same words"] * 8).value).all()
