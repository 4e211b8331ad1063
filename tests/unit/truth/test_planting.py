from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from bench.truth.concepts import content_words
from bench.truth.corpora import Corpus, edited, with_copies
from bench.truth.generated import generated_corpus
from bench.truth.planted import CLEAN, POLYSEMANTIC, Planted
from bench.truth.planting import COUNTS, EACH, generator, plant_all

SEED = 7


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Generated texts with copies."""
    return with_copies(generated_corpus(generator(SEED, "generated"), 1_200), generator(SEED, "copies"))


@pytest.fixture(scope="module")
def planted(corpus: Corpus) -> list[Planted]:
    """Features of every kind."""
    return plant_all(corpus, SEED)


def of_kind(planted: list[Planted], kind: str) -> list[Planted]:
    """Features of a kind, at least one."""
    found = [feature for feature in planted if feature.kind == kind]
    assert found
    return found


def test_every_kind_is_there_in_its_number(planted: list[Planted]) -> None:
    """Sixty of each, or what COUNTS says."""
    counts = Counter(feature.kind for feature in planted)
    assert len(counts) == 15
    assert all(count == COUNTS.get(kind, EACH) for kind, count in counts.items())


def test_activations_are_those_of_a_relu(corpus: Corpus, planted: list[Planted]) -> None:
    """Float32, one a text, finite, never negative."""
    for feature in planted:
        assert feature.values.dtype == np.float32
        assert feature.values.shape == (corpus.size,)
        assert np.isfinite(feature.values).all()
        assert (feature.values >= 0).all()


def test_a_seed_gives_the_same_features_again(corpus: Corpus, planted: list[Planted]) -> None:
    """Nothing depends on the order of a hash or on what was planted before."""
    again = plant_all(corpus, SEED)
    assert [feature.name for feature in again] == [feature.name for feature in planted]
    assert all((a.values == b.values).all() for a, b in zip(again, planted, strict=True))


def test_members_of_lexical_features_hold_a_planted_word(corpus: Corpus, planted: list[Planted]) -> None:
    """The words are the truth that keywords are judged by."""
    for feature in of_kind(planted, "lexical"):
        assert feature.words
        for row in feature.members:
            assert any(word in corpus.texts[row].casefold() for word in feature.words)


def test_semantic_features_share_no_words(corpus: Corpus, planted: list[Planted]) -> None:
    """No content word stands in more than an eighth of the members, or in more than two."""
    words = content_words(corpus)
    for feature in of_kind(planted, "semantic"):
        counts = Counter(word for row in feature.members for word in words[row])
        assert max(counts.values()) <= max(2, len(feature.members) / 8)


def test_members_are_stronger_than_noise(planted: list[Planted]) -> None:
    """What is not about the concept stays under half of the median member."""
    for kind in set(CLEAN) - {"semantic"}:
        for feature in of_kind(planted, kind):
            noise = np.delete(feature.values, feature.members)
            assert noise.max() < 0.5 * np.median(feature.values[feature.members])


def test_polysemantic_features_have_several_strong_parts(planted: list[Planted]) -> None:
    """At least a dozen texts, of which the weaker half is no noise."""
    for kind in POLYSEMANTIC:
        for feature in of_kind(planted, kind):
            strengths = feature.values[feature.values > 0]
            assert len(strengths) >= 12
            assert np.quantile(strengths, 0.25) > 0.4 * np.median(strengths)


def test_sparse_dead_constant_and_dense_are_what_they_are_called(corpus: Corpus, planted: list[Planted]) -> None:
    """By the number of positives and by the spread."""
    assert {feature.positives for feature in of_kind(planted, "sparse")} == {1, 2, 3, 4, 5}
    assert all(feature.positives == 0 for feature in of_kind(planted, "dead"))
    assert all(np.ptp(f.values) == 0 and f.positives == corpus.size for f in of_kind(planted, "constant"))
    assert all(feature.positives > 0.5 * corpus.size for feature in of_kind(planted, "dense"))


def test_the_strongest_texts_of_duplicates_are_copies(corpus: Corpus, planted: list[Planted]) -> None:
    """At least 14 of the first 20 belong to the families of copies."""
    families = np.concatenate(corpus.families)
    for feature in of_kind(planted, "duplicates"):
        top = np.argsort(-feature.values, kind="stable")[:20]
        assert np.isin(top, families).sum() >= 14


def test_copies_belong_to_no_clean_concept(corpus: Corpus, planted: list[Planted]) -> None:
    """Else a word of a copied text would be a concept of copies."""
    assert not any(corpus.copy[feature.members].any() for kind in CLEAN for feature in of_kind(planted, kind))


def test_length_features_follow_the_length(corpus: Corpus, planted: list[Planted]) -> None:
    """Up or down, in rank."""
    lengths = np.argsort(np.argsort([len(text) for text in corpus.texts]))
    correlations = [np.corrcoef(lengths, f.values)[0, 1] for f in of_kind(planted, "length")]
    assert min(np.abs(correlations)) > 0.3
    assert min(correlations) < 0 < max(correlations)


def test_an_edit_changes_few_words() -> None:
    """At least 19 of 20 words stay."""
    text = " ".join(f"word{place}" for place in range(100))
    for seed in range(20):
        changed = sum(a != b for a, b in zip(text.split(), edited(text, generator(seed)).split(), strict=True))
        assert changed <= 5


def test_generated_texts_are_varied(corpus: Corpus) -> None:
    """Empty ones, short and long ones, other scripts."""
    words = [len(text.split()) for text in corpus.texts]
    assert min(words) == 0
    assert max(words) > 300
    assert any("\u0e00" <= text[:1] <= "\u0eff" for text in corpus.texts)
    assert any("\u4e00" <= text[:1] <= "\u9fff" for text in corpus.texts)


def test_seeds_corpora_and_kinds_draw_differently() -> None:
    """A part's generator follows from all of its names."""
    draws = {generator(*names).random() for names in ((1, "real", "dense"), (2, "real", "dense"), (1, "real", "dead"))}
    assert len(draws) == 3
