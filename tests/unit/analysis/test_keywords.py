from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import hypergeom

from mistudio_worker.analysis.kernels.term_counts import log_tail
from mistudio_worker.analysis.keywords import (
    FAMILY_WISE_ERROR,
    PRIOR_SHARE,
    _Finds,
    _holm,
    default_stop_words,
    find_keywords,
)
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.analysis.top_examples import TopExamples

FILLER = [f"w{i % 97} v{i % 89} u{i % 83} common the" for i in range(1000)]


def top_of(*features: list[int]) -> TopExamples:
    """Make equally strong top texts of features."""
    sizes = [len(f) for f in features]
    return TopExamples(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([t for f in features for t in f], dtype=np.int32),
        np.ones(sum(sizes), dtype=np.float32),
    )


def planted() -> list[str]:
    """Make texts of which the first ten hold two words of their own."""
    return [f"{text} heron pond" if i < 10 else text for i, text in enumerate(FILLER)]


def test_planted_words_are_found_and_others_are_not() -> None:
    """Words that only the top texts hold are the keywords, with their counts, ties by the term."""
    (keywords,) = find_keywords(build_term_table(planted()), top_of(list(range(10))))
    assert [(k.keyword, k.top_texts, k.other_texts) for k in keywords] == [("heron", 10, 0), ("pond", 10, 0)]
    assert all(0.0 <= k.p_value <= FAMILY_WISE_ERROR and k.z > 0.0 for k in keywords)


def test_log_odds_follow_the_formula() -> None:
    """Log-odds and z are those of Monroe, Colaresi and Quinn on document frequencies."""
    texts = [f"{t} rare" if i < 8 or i in (500, 600) else t for i, t in enumerate(FILLER)]
    (keywords,) = find_keywords(build_term_table(texts), top_of(list(range(10))))
    alpha0, alpha = PRIOR_SHARE * 1000, PRIOR_SHARE * 10
    d = math.log((8 + alpha) / (10 + alpha0 - 8 - alpha)) - math.log((2 + alpha) / (990 + alpha0 - 2 - alpha))
    assert keywords[0].keyword == "rare"
    assert keywords[0].log_odds == pytest.approx(d, rel=1e-12)
    assert keywords[0].z == pytest.approx(d / math.sqrt(1 / (8 + alpha) + 1 / (2 + alpha)), rel=1e-12)


@pytest.mark.parametrize(("total", "marked", "drawn", "least"), [(1000, 10, 10, 3), (50, 40, 20, 17), (8, 8, 4, 4)])
def test_tail_is_the_hypergeometric_one(total: int, marked: int, drawn: int, least: int) -> None:
    """The p-value is that of scipy's distribution."""
    log_factorial = np.array([math.lgamma(i + 1) for i in range(total + 1)])
    expected = hypergeom.sf(least - 1, total, marked, drawn)
    assert math.exp(log_tail(log_factorial, total, marked, drawn, least)) == pytest.approx(expected, rel=1e-9)


def test_random_features_have_no_keywords() -> None:
    """Of 1,000 features of random texts at most 1 % have any keyword."""
    rng = np.random.default_rng(1)
    vocabulary = [f"t{i}" for i in range(3000)]
    weights = 1.0 / np.arange(1, 3001)
    drawn = rng.choice(3000, size=(800, 30), p=weights / weights.sum())
    table = build_term_table([" ".join(vocabulary[i] for i in row) for row in drawn])
    features = [rng.choice(800, 20, replace=False).tolist() for _ in range(1000)]
    assert sum(map(bool, find_keywords(table, top_of(*features)))) <= 10


def test_stop_words_letters_and_numbers_are_never_keywords() -> None:
    """Function words, single letters and numbers stand out in no feature."""
    texts = [f"{t} which q 2024 2024-01 heron" if i < 10 else t for i, t in enumerate(FILLER)]
    table = build_term_table(texts)
    assert [k.keyword for k in find_keywords(table, top_of(list(range(10))))[0]] == ["heron"]
    own = find_keywords(table, top_of(list(range(10))), stop_words={"heron"})[0]
    assert [k.keyword for k in own] == ["which"]


@pytest.mark.parametrize("top", [[], [3]])
def test_too_few_texts_have_no_keywords(top: list[int]) -> None:
    """A dead feature and one with a single text have none."""
    assert find_keywords(build_term_table(planted()), top_of(top)) == [()]


def test_features_do_not_touch_each_other() -> None:
    """Neighbours, their order and the limit change nothing but the number kept."""
    table = build_term_table(planted())
    alone = find_keywords(table, top_of(list(range(10))))[0]
    among = find_keywords(table, top_of([50, 51], list(range(10)), [], list(range(9, -1, -1))))
    assert among[1] == alone
    assert among[3] == alone
    assert find_keywords(table, top_of(list(range(10))), limit=1)[0] == alone[:1]


def test_stop_words_are_case_folded() -> None:
    """The list of the package holds terms as the table writes them."""
    words = default_stop_words()
    assert "the" in words
    assert all(w == w.casefold() for w in words)


def test_p_values_are_adjusted_by_holm() -> None:
    """Each p-value is multiplied by the hypotheses still standing, and never below a smaller one's."""
    p = np.array([0.002, 0.001, 0.0021, 0.5, 0.001])
    finds = _Finds(
        np.array([0, 0, 0, 0, 1], dtype=np.int32),
        np.arange(5, dtype=np.int32),
        np.full(5, 2, dtype=np.int32),
        np.log(p),
    )
    adjusted = _holm(finds, np.array([10, 10, 10, 10, 4]))
    np.testing.assert_allclose(adjusted, [0.018, 0.01, 0.018, 1.0, 0.004], rtol=1e-12)
