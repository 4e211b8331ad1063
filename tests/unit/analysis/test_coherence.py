from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import kstest
from support.memory_runs import WORDS, blocks, planted_run

from mistudio_worker.analysis import coherence, corpus_pairs, text_rows, unit_rows
from mistudio_worker.analysis.coherence_table import CoherenceTable, CorpusTexts, measure_coherence
from mistudio_worker.analysis.content_order import distinct_texts
from mistudio_worker.analysis.duplicates import group_duplicates
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.statistics import compute_statistics
from mistudio_worker.analysis.terms import build_term_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.coherence import SpaceCoherence


def coherence_of(
    cells: NDArray[np.float64],
    texts: list[str] | None = None,
    originals: NDArray[np.float64] | None = None,
    invalid: tuple[int, ...] = (),
) -> CoherenceTable:
    """Coherence in both spaces; texts that are not given are all different."""
    execution = Execution(threads=2)
    texts = texts or [f"w{i}a w{i}b w{i}c" for i in range(len(cells))]
    found, moments = gather(blocks(cells), (), execution)
    terms = build_term_table(texts)
    rows = None if originals is None else unit_rows.unit_rows(blocks(originals), invalid, execution)
    duplicates = group_duplicates(texts, terms)
    corpus = CorpusTexts(texts, terms, duplicates, distinct_texts(texts, duplicates), rows)
    no_length = np.full(cells.shape[1], np.nan)
    return measure_coherence(corpus, found, compute_statistics(found, moments), no_length, execution)


def in_activations(
    cells: NDArray[np.float64], originals: NDArray[np.float64], invalid: tuple[int, ...] = ()
) -> SpaceCoherence:
    """Coherence in the activation space."""
    found = coherence_of(cells, originals=originals, invalid=invalid).activation
    assert found is not None
    return found


def in_texts(cells: NDArray[np.float64], texts: list[str]) -> SpaceCoherence:
    """Coherence in the text space."""
    return coherence_of(cells, texts).text


def standardised(originals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors by the definition."""
    rows = (originals - originals.mean(axis=0)) / originals.std(axis=0)
    unit: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


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
    for module in (unit_rows, coherence, corpus_pairs):
        monkeypatch.setattr(module, "COLUMN_TILE", 3)
        monkeypatch.setattr(module, "ROW_TILE", 8)
    monkeypatch.setattr(coherence, "FEATURE_TILE", 4)
    cells, originals = drawn(5)
    cells = (cells + lowest).astype(np.float32).astype(np.float64)
    unit = standardised(originals)
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
    texts = ["apple pear the", "apple plum the", "pear plum the", "fig kiwi the", "fig kiwi one two the", "the solo"]
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
    monkeypatch.setattr(text_rows, "KEPT_TERMS", 1)
    texts = ["rare often one two", "rare often three four", "often", "other", "other", "other", "nil", "nil"]
    cells = np.array([[1], [1], [0], [0], [0], [0], [0], [0]], dtype=np.float64)
    cells[2] = 1.0
    assert in_texts(cells, texts).score[0] == pytest.approx(1 / 3)


def scores_of_planted(*, originals: bool) -> dict[str, NDArray[np.float64]]:
    """Scores of planted features, by kind."""
    run = planted_run(n=400, features=60, dim=32)
    cells = run.features.rows(0, 400).double().numpy()
    assert run.originals is not None
    score = coherence_of(
        cells, list(run.texts), run.originals.rows(0, 400).double().numpy() if originals else None
    ).scores.score
    return {"clean": score[0::3], "mixed": score[1::3], "random": score[2::3]}


@pytest.mark.parametrize("originals", [True, False])
def test_planted_features_are_ordered_on_the_readers_scale(*, originals: bool) -> None:
    """Clean ones at 0.5 and above, over mixed ones; random ones under 0.4."""
    scores = scores_of_planted(originals=originals)
    assert scores["clean"].min() > max(scores["mixed"].max(), scores["random"].max())
    assert scores["clean"].min() >= 0.5
    assert scores["random"].max() < 0.4


def test_few_positives_at_random_do_not_reach_the_threshold() -> None:
    """Of 300 features on few random texts each of a corpus without topics, hardly any come over 0.4."""
    random = np.random.default_rng(8)
    words = [word for topic in WORDS for word in topic]
    texts = [" ".join(random.choice(words, 8)) for _ in range(400)]
    originals = random.normal(size=(400, 24))
    for positives, most in ((5, 0.05), (10, 0.01)):
        cells = np.zeros((400, 300))
        for feature in range(300):
            cells[random.choice(400, positives, replace=False), feature] = random.gamma(2.0, 1.0, positives)
        assert (coherence_of(cells, texts, originals).scores.score >= 0.4).mean() <= most


def test_the_interval_holds_the_score() -> None:
    """Lower end, score and upper end in this order, in 0 to 1; wider with fewer texts."""
    run = planted_run(n=400, features=60, dim=32)
    cells = run.features.rows(0, 400).double().numpy()
    few = np.where(np.cumsum(cells > 0, axis=0) <= 8, cells, 0.0)
    assert run.originals is not None
    originals = run.originals.rows(0, 400).double().numpy()
    many_scores, few_scores = (coherence_of(c, list(run.texts), originals).scores for c in (cells, few))
    for scores in (many_scores, few_scores):
        assert (scores.low >= 0).all()
        assert (scores.low <= scores.score).all()
        assert (scores.score <= scores.high).all()
        assert (scores.high <= 1).all()
    clean = slice(0, None, 3)
    assert np.mean((few_scores.high - few_scores.low)[clean]) > np.mean((many_scores.high - many_scores.low)[clean])


def test_near_duplicates_count_once() -> None:
    """A feature that fires on forty copies of one text, and weakly on others at random, has nothing in common."""
    random = np.random.default_rng(3)
    words = [f"word{i}" for i in range(600)]
    copied = " ".join(words[:20])
    texts = [copied] * 40 + [" ".join(random.choice(words, 20)) for _ in range(260)]
    originals = random.normal(size=(300, 24))
    originals[:40] = originals[0]
    cells = np.zeros((300, 1))
    cells[:40, 0] = 5.0
    cells[random.choice(np.arange(40, 300), 40, replace=False), 0] = random.uniform(0.5, 2.0, 40)
    found = coherence_of(cells, texts, originals)
    assert found.distinct_texts.tolist() == [41]
    assert found.scores.score[0] < 0.4


def test_a_majority_is_not_one_concept() -> None:
    """Two thirds of one topic and a third at random score far under the topic alone."""
    random = np.random.default_rng(11)
    centre = random.normal(size=24)
    originals = random.normal(size=(600, 24))
    originals[:60] += 2.0 * centre
    cells = np.zeros((600, 2))
    cells[:60, 0] = random.gamma(4.0, 1.0, 60)
    cells[:40, 1] = random.gamma(4.0, 1.0, 40)
    cells[np.arange(100, 120), 1] = random.gamma(4.0, 1.0, 20)
    clean, mixed = coherence_of(cells, originals=originals).scores.score
    assert clean > 0.5
    assert mixed < 0.4


def test_percentiles_of_random_features_are_uniform() -> None:
    """In both spaces, for features of 20 to 100 positives: Kolmogorov-Smirnov finds nothing at 1 %."""
    random = np.random.default_rng(12)
    words = [word for topic in WORDS for word in topic]
    topic = random.integers(0, 4, 500)
    texts = [" ".join([*random.choice(WORDS[t], 6), *random.choice(words, 4), f"t{i}"]) for i, t in enumerate(topic)]
    originals = random.normal(size=(4, 24))[topic] + random.normal(size=(500, 24))
    cells = np.zeros((500, 400))
    for feature in range(400):
        chosen = random.choice(500, random.integers(20, 100), replace=False)
        cells[chosen, feature] = random.gamma(2.0, 1.0, chosen.size)
    found = coherence_of(cells, texts, originals)
    assert found.activation is not None
    for space in (found.activation, found.text):
        told = space.percentile[np.isfinite(space.percentile)]
        assert told.size > 300
        assert kstest(told, "uniform").pvalue > 0.01


def test_percentiles_are_those_of_real_permutations() -> None:
    """The closed form agrees with 4,000 placements of the same weights on shuffled texts."""
    random = np.random.default_rng(13)
    topic = np.arange(200) % 3
    originals = random.normal(size=(3, 16))[topic] * 0.7 + random.normal(size=(200, 16))
    cells = np.zeros((200, 12))
    for feature in range(12):
        chances = np.where(topic == feature % 3, 1.4, 0.8)
        chosen = random.choice(200, 40, replace=False, p=chances / chances.sum())
        cells[chosen, feature] = random.gamma(2.0, 1.0, 40)
    found = in_activations(cells, originals)
    unit = standardised(originals)
    gram = unit @ unit.T
    np.fill_diagonal(gram, 0.0)
    weights = cells / cells.max(axis=0)
    own = np.einsum("nf,nm,mf->f", weights, gram, weights)
    below = np.zeros(12)
    for _ in range(4000):
        placed = weights[random.permutation(200)]
        below += np.einsum("nf,nm,mf->f", placed, gram, placed) < own
    assert found.percentile == pytest.approx(below / 4000, abs=0.03)
