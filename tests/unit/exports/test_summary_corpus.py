from __future__ import annotations

from dataclasses import replace

import pytest
from support.results import dead, feature, result, small_result, unscored

from mistudio_worker.domain.find_result import DirectionPair, SaeQuality, SharedTopTexts
from mistudio_worker.exports.printable import columns_of
from mistudio_worker.exports.summary_corpus import whole_run
from mistudio_worker.exports.summary_export import summary_report


def lines_of(**changes: object) -> list[str]:
    """Lines of a run with three categories, with changes to its corpus."""
    features = (
        feature(0, quality_tier="excellent"),
        feature(1),
        feature(2, pattern_category="temporal", quality_tier="poor"),
        dead(3),
        unscored(4, "invalid"),
    )
    made = result(*features)
    return list(whole_run(replace(made, corpus=replace(made.corpus, **changes))))  # type: ignore[arg-type]


def test_the_table_counts_categories_by_tier() -> None:
    """One row a category, one column a tier that is in use, everything counted once."""
    rows = [line.split() for line in lines_of() if line][:4]
    assert rows == [
        ["features", "excellent", "good", "poor", "unscored"],
        ["technical", "2", "1", "1", ".", "."],
        ["temporal", "1", ".", ".", "1", "."],
        ["unknown", "2", ".", ".", ".", "2"],
    ]


def test_many_categories_are_cut() -> None:
    """A taxonomy of the user's may hold any number, with names of any width."""
    features = [feature(i, pattern_category=f"\u597d\u597d{i:03}" * 9) for i in range(30)]
    lines = summary_report(result(*features)).splitlines()
    assert "and 18 more categories" in lines
    assert max(map(columns_of, lines)) <= 100


def test_findings_are_said_in_words() -> None:
    """Coverage, quality, pairs and disagreements, each with its figures."""
    text = " ".join(" ".join(lines_of(metadata_disagreements=("dead_features_count is 4.",))).split())
    assert "0.2% of the texts are on top of some feature, on 4.0% one worth explaining fires" in text
    assert "Near-copies 3 of the texts" in text
    assert "explains 80.0% of the variance; 10.0% of the features dead, 0.0% dense (on half of the texts)" in text
    assert "Same direction 1 pair with nearly the same decoder direction (cosine): 0 and 2 (0.99)" in text
    assert "Opposite 1 pair with nearly opposite decoder directions (cosine): 0 and 4 (-0.95)" in text
    assert "Shared texts 1 pair with at least half of their top texts in common: 0 and 2 (2)" in text
    assert "metadata.json disagrees: dead_features_count is 4." in text


@pytest.mark.parametrize(("count", "said"), [(2, "2 pairs with"), (19, "19 pairs with"), (20, "20 or more pairs with")])
def test_only_the_first_pairs_are_named(count: int, said: str) -> None:
    """Three pairs at most; the results hold up to 20, so that there may be more."""
    pairs = tuple(SharedTopTexts((i, i + 1), 20, 1.0) for i in range(count))
    text = " ".join(" ".join(lines_of(shared_top_texts=pairs)).split())
    assert said in text
    assert ("2 and 3 (20), ..." in text) == (count > 3)
    assert "3 and 4" not in text


def test_what_is_not_there_is_not_said() -> None:
    """Without autoencoder, pairs and repeats there is no line about them."""
    nothing: dict[str, object] = {
        "near_duplicate_texts": 0, "sae_quality": None, "shared_top_texts": (), "duplicate_features": (),
        "antipodal_features": (),
    }  # fmt: skip
    assert [line.split()[0] for line in lines_of(**nothing)[-2:]] == ["Density", "Coverage"]
    text = "\n".join(lines_of(sae_quality=SaeQuality(None, 1.0, 0.5, 0.25)))
    assert "Autoencoder     50.0% of the features dead, 25.0% dense (on half of the texts)" in text


def test_the_part_stands_in_the_report() -> None:
    """Under its heading, and no line of the report is wider than 100 columns."""
    many = tuple(DirectionPair((10_000 + i, 20_000 + i), 0.96) for i in range(20))
    made = small_result()
    made = replace(made, corpus=replace(made.corpus, duplicate_features=many, metadata_disagreements=("word " * 60,)))
    lines = summary_report(made).splitlines()
    assert lines[lines.index("The run as a whole") + 1].startswith("---")
    assert max(map(columns_of, lines)) <= 100
