from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mistudio_worker.analysis.candidate_words import candidate_words
from mistudio_worker.analysis.duplicates import DuplicateGroups, group_duplicates, group_top_texts
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.keywords import FAMILY_WISE_ERROR, PRIOR_SHARE, find_keywords
from mistudio_worker.analysis.terms import TermTable, build_term_table
from mistudio_worker.analysis.top_examples import GroupedTop, TopExamples

if TYPE_CHECKING:
    from mistudio_worker.domain.feature_report import KeywordStatistic

FILLER = [f"w{i % 97} v{i % 89} u{i % 83} common the" for i in range(1000)]
TEN = list(range(10))


def top_of(*features: list[int], groups: DuplicateGroups | None = None) -> GroupedTop:
    """Make equally strong top texts of features, all distinct where no groups are given."""
    sizes = [len(f) for f in features]
    top = TopExamples(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([t for f in features for t in f], dtype=np.int32),
        np.ones(sum(sizes), dtype=np.float32),
    )
    return group_top_texts(groups or DuplicateGroups(np.arange(5000)), top)


def found_in(table: TermTable, *features: list[int], limit: int = 10) -> list[tuple[KeywordStatistic, ...]]:
    """Find the keywords of features with these top texts."""
    return find_keywords(table, top_of(*features), candidate_words(table), limit=limit)


def planted(extra: str = "heron pond", filler: list[str] = FILLER) -> list[str]:
    """Make texts of which the first ten hold something of their own."""
    return [f"{text} {extra}" if i < 10 else text for i, text in enumerate(filler)]


def keywords_of(texts: list[str]) -> list[str]:
    """Keywords of the first ten texts."""
    return [k.keyword for k in found_in(build_term_table(texts), TEN)[0]]


def test_planted_words_are_found_and_others_are_not() -> None:
    """Words that only the top texts hold are the keywords, with their counts, ties by the term."""
    (keywords,) = found_in(build_term_table(planted()), TEN)
    assert [(k.keyword, k.top_texts, k.other_texts) for k in keywords] == [("heron", 10, 0), ("pond", 10, 0)]
    assert all(0.0 <= k.p_value <= FAMILY_WISE_ERROR and k.z > 0.0 for k in keywords)


def test_log_odds_follow_the_formula() -> None:
    """Log-odds and z are those of Monroe, Colaresi and Quinn on document frequencies."""
    texts = [f"{t} rare" if i < 8 or i in (500, 600) else t for i, t in enumerate(FILLER)]
    (keywords,) = found_in(build_term_table(texts), TEN)
    alpha0, alpha = PRIOR_SHARE * 1000, PRIOR_SHARE * 10
    d = math.log((8 + alpha) / (10 + alpha0 - 8 - alpha)) - math.log((2 + alpha) / (990 + alpha0 - 2 - alpha))
    assert keywords[0].keyword == "rare"
    assert keywords[0].log_odds == pytest.approx(d, rel=1e-12)
    assert keywords[0].z == pytest.approx(d / math.sqrt(1 / (8 + alpha) + 1 / (2 + alpha)), rel=1e-12)


@pytest.mark.parametrize(("topk", "texts"), [(20, 800), (5, 800), (20, 60)])
def test_random_features_have_no_keywords(topk: int, texts: int) -> None:
    """Of 1,000 features of random texts at most 1 % have any keyword, phrases and marks included."""
    rng = np.random.default_rng(1)
    vocabulary = [f"t{i}" for i in range(1500)] + [f't{i}:"x{i}"' for i in range(1500)]
    weights = 1.0 / np.arange(1, 3001)
    drawn = rng.choice(3000, size=(texts, 30), p=weights / weights.sum())
    table = build_term_table([" ".join(vocabulary[i] for i in row) for row in drawn])
    features = [rng.choice(texts, topk, replace=False).tolist() for _ in range(1000)]
    assert sum(map(bool, found_in(table, *features))) <= 10


@pytest.mark.parametrize(
    ("extra", "keyword"),
    [
        ('{"type": 5}', '{"type":'),
        ("poll 15min now", "15min"),
        ("User: hi", "user:"),
        ("*/5 *", "*/5"),
        ("https:// or", "https://"),
        ("x -> y", "->"),
        ("😂", "😂"),
        ("self.assertEqual(a)", "self.assertequal"),
        ("人工知能", "人工知能"),
        ("ภาษาไทย", "ภาษาไทย"),
    ],
)
def test_structure_and_scripts_without_blanks_are_given_as_they_stand(extra: str, keyword: str) -> None:
    """Structural tokens keep their marks, characters without blanks are joined to longer strings."""
    assert keyword in keywords_of(planted(extra))


def test_a_phrase_is_given_once() -> None:
    """The phrase stands for its words and for its parts, where these are no better."""
    filler = [f"{t} {('state', 'union', 'of the')[i % 3]}" for i, t in enumerate(FILLER)]
    assert keywords_of(planted("the state of the union", filler)) == ["state of the union"]


def test_one_word_is_given_in_one_form() -> None:
    """Of `type`, `"type":` and `{"type":` the most telling one is kept."""
    filler = [f'{t} type {{"name": 1, "type": 2}}' if i % 9 == 1 else t for i, t in enumerate(FILLER)]
    assert keywords_of(planted('{"type": "x"}', filler)) == ['{"type":']


def test_a_word_that_says_as_much_wins_over_its_phrase() -> None:
    """Words around a keyword that add nothing are left out."""
    assert keywords_of(planted("heron common")) == ["heron"]


def test_copies_of_a_text_count_once() -> None:
    """Nine copies of one text among the top texts make none of its words a keyword."""
    texts = ["an odd heron stands in this pond of yesterday" if i < 9 else t for i, t in enumerate(FILLER)]
    table = build_term_table(texts)
    top = [*range(9), *range(20, 30)]
    copies = top_of(top, groups=group_duplicates(texts, table))
    assert find_keywords(table, top_of(top), candidate_words(table))[0]
    assert find_keywords(table, copies, candidate_words(table)) == [()]


def test_long_texts_have_no_keywords_for_being_long() -> None:
    """Words that long texts hold because they are long are none."""
    rng = np.random.default_rng(5)
    vocabulary = [f"t{i}" for i in range(400)]
    texts = [" ".join(rng.choice(vocabulary, 200 if i < 40 else 10)) for i in range(2000)]
    assert found_in(build_term_table(texts), list(range(20))) == [()]


def test_a_few_top_texts_make_no_keyword() -> None:
    """What less than 15 % of the top texts share is no keyword, however rare it is elsewhere."""
    texts = [f"{t} heron" if i < 4 else t for i, t in enumerate(FILLER)]
    table = build_term_table(texts)
    assert [k.keyword for k in found_in(table, list(range(26)))[0]] == ["heron"]
    assert found_in(table, list(range(27))) == [()]


def test_stop_words_letters_and_numbers_are_never_keywords() -> None:
    """Function words, single letters and numbers stand out in no feature."""
    assert keywords_of(planted("which q 2024 2024-01 heron")) == ["heron"]


@pytest.mark.parametrize("top", [[], [3]])
def test_too_few_texts_have_no_keywords(top: list[int]) -> None:
    """A dead feature and one with a single text have none."""
    assert found_in(build_term_table(planted()), top) == [()]


@pytest.mark.parametrize(
    "texts",
    [[], [""], ["word"], ["the same text"] * 30, ["", " ", "\u200f\u202e"] * 5, ["x" * 200_000] * 8, ["((((("] * 9],
)
def test_odd_corpora_have_no_keywords(texts: list[str]) -> None:
    """No text, empty ones, equal ones, direction marks and endless words."""
    assert found_in(build_term_table(texts), list(range(min(5, len(texts))))) == [()]


def test_features_do_not_touch_each_other() -> None:
    """Neighbours, their order and the limit change nothing but the number kept."""
    table = build_term_table(planted('heron pond {"type": 1} in the long grass'))
    (alone,) = found_in(table, TEN)
    among = found_in(table, [50, 51], TEN, [], TEN[::-1])
    assert among[1] == alone
    assert among[3] == alone
    assert found_in(table, TEN, limit=1)[0] == alone[:1]


def test_rows_and_threads_change_nothing() -> None:
    """Texts in another order and more threads give the same keywords."""
    texts = planted('a heron, a pond: {"type": 1} by the long grass')
    order = np.random.default_rng(2).permutation(len(texts))
    place = np.argsort(order)
    table = build_term_table([texts[i] for i in order])
    moved = find_keywords(
        table, top_of([int(place[i]) for i in TEN]), candidate_words(table), execution=Execution(threads=3)
    )
    assert moved == found_in(build_term_table(texts), TEN)
