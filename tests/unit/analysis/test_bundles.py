from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.memory_runs import blocks, planted_run, run_of

from mistudio_worker.analysis.analyze import analyze
from mistudio_worker.analysis.duplicates import group_duplicates
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.domain.identity import JobIdentity
from mistudio_worker.domain.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistudio_worker.domain.explainer_bundle import BundleExample, Explainer, ExplainerBundle
    from mistudio_worker.domain.training_run import TrainingRun

IDENTITY = JobIdentity("train_20260102_030405_0001", "find_20260102_030405_00000000", "0" * 64)
LISTS = ("top", "quantiles", "hard_negatives", "test_active", "test_silent")


def explained(run: TrainingRun, execution: Execution | None = None, threshold: float = 0.0) -> Explainer:
    """The bundles of every judged feature over the threshold."""
    parameters = Parameters(coherence_threshold=threshold)
    taxonomy = default_taxonomy()
    found = analyze(run, identity=IDENTITY, parameters=parameters, taxonomy=taxonomy, execution=execution)
    return found.explainer


def indices(examples: Sequence[BundleExample]) -> list[int]:
    """Rows of the texts."""
    return [example.text_index for example in examples]


def used(bundle: ExplainerBundle) -> list[int]:
    """Rows of all texts of a bundle."""
    return [text for name in LISTS for text in indices(getattr(bundle, name))]


def by_text(explainer: Explainer) -> dict[int, dict[str, list[str]]]:
    """Feature -> list -> texts; those without an order of their own sorted."""
    return {
        b.feature_id: {
            name: sorted(texts) if name == "test_silent" else texts
            for name in LISTS
            for texts in [[explainer.texts[str(i)] for i in indices(getattr(b, name))]]
        }
        for b in explainer.bundles
    }


def repeating_run() -> TrainingRun:
    """A planted run in which every sixth text nearly repeats the one 40 rows before it."""
    run = planted_run()
    texts = list(run.texts)
    for row in range(42, len(texts), 6):
        texts[row] = texts[row - 40].upper() + " again"
    return replace(run, texts=texts)


@pytest.mark.parametrize("originals", [True, False])
def test_the_lists_are_disjoint_and_hold_each_group_once(*, originals: bool) -> None:
    """No text stands twice, nothing nearly repeats another, and what is called silent is silent."""
    run = repeating_run()
    run = run if originals else replace(run, originals=None, sae=None)
    group = group_duplicates(run.texts, build_term_table(run.texts)).group
    assert np.unique(group).size < group.size
    cells = run.features.rows(0, 240).numpy()
    explainer = explained(run)
    assert len(explainer.bundles) == 24
    for bundle in explainer.bundles:
        chosen = used(bundle)
        assert len(set(group[chosen].tolist())) == len(chosen)
        column = cells[:, bundle.feature_id]
        for name in ("top", "quantiles", "test_active"):
            examples = getattr(bundle, name)
            assert [e.activation_strength for e in examples] == [column[e.text_index] for e in examples]
            assert all(e.activation_strength > 0 for e in examples)
        fires = {int(g) for g in group[column > 0]}
        for example in (*bundle.hard_negatives, *bundle.test_silent):
            assert (column[example.text_index], example.activation_strength, example.quantile) == (0.0, 0.0, 0.0)
            assert int(group[example.text_index]) not in fires
        assert bundle.duplicates_left_out == np.count_nonzero(column > 0) - len(fires)


def test_the_texts_stand_once_and_whole() -> None:
    """Every example leads to its text, nothing else is carried, in ascending order."""
    run = planted_run()
    explainer = explained(run, threshold=0.4)
    shown = {text for bundle in explainer.bundles for text in used(bundle)}
    assert list(explainer.texts) == [str(text) for text in sorted(shown)]
    assert all(text == run.texts[int(key)] for key, text in explainer.texts.items())


def test_the_bundles_are_those_of_the_priority_features() -> None:
    """In their order, with the evidence of the report."""
    run = planted_run()
    parameters = Parameters(coherence_threshold=0.5)
    found = analyze(run, identity=IDENTITY, parameters=parameters, taxonomy=default_taxonomy())
    bundles = found.explainer.bundles
    assert 0 < len(bundles) < 24
    assert [b.feature_id for b in bundles] == [f.feature_id for f in found.priority_features]
    assert [b.priority_score for b in bundles] == sorted((b.priority_score for b in bundles), reverse=True)
    for bundle, report in zip(bundles, found.priority_features, strict=True):
        for name in ("priority_score", "coherence", "held_out", "keyword_statistics", "label_evidence"):
            assert getattr(bundle, name) == getattr(report, name)


def one_feature(strengths: Sequence[float], texts: Sequence[str] | None = None, seed: int = 3) -> ExplainerBundle:
    """The bundle of a single feature whose texts lie together in the original activations."""
    random = np.random.default_rng(seed)
    fires = np.array(strengths) > 0
    originals = random.normal(size=(fires.size, 8)) * 0.2 + np.where(fires, 4.0, -1.0)[:, None]
    run = run_of(np.array(strengths)[:, None], texts or [f"word{i} and{i}" for i in range(fires.size)], originals)
    (bundle,) = explained(run).bundles
    return bundle


def test_ranks_of_a_feature_with_many_texts() -> None:
    """Of the 15 strongest and of 15 spread over the rest, the middle one of each three is tested on."""
    bundle = one_feature([*range(100, 0, -1), *[0] * 60])
    spread = [15 + (2 * i + 1) * 85 // 30 for i in range(15)]
    assert indices(bundle.top) == [i for i in range(15) if i % 3 != 1]
    assert indices(bundle.quantiles) == [rank for i, rank in enumerate(spread) if i % 3 != 1]
    assert indices(bundle.test_active) == [1, 4, 7, 10, 13, *spread[1::3]]
    assert [e.quantile for e in bundle.top[:2]] == [1.0, 0.98]
    assert len(bundle.test_silent) == 10


@pytest.mark.parametrize(
    ("positives", "expected"), [(5, (3, 0, 2)), (15, (10, 0, 5)), (17, (10, 1, 6)), (30, (10, 10, 10))]
)
def test_few_texts_give_short_lists(positives: int, expected: tuple[int, int, int]) -> None:
    """Nothing is padded: every positive stands in one list."""
    bundle = one_feature([*range(positives, 0, -1), *[0] * 40])
    assert (len(bundle.top), len(bundle.quantiles), len(bundle.test_active)) == expected


def test_equal_strengths_share_a_quantile_and_go_by_row() -> None:
    """A tie goes to the lower text; its quantile counts all that are equal."""
    bundle = one_feature([1, 2, 2, 2, 1, 1, *[0] * 20])
    assert indices(bundle.top) == [1, 3, 0, 5]
    assert [e.quantile for e in bundle.top] == [1.0, 1.0, 0.5, 0.5]
    assert indices(bundle.test_active) == [2, 4]


def test_copies_of_one_text_are_one_example() -> None:
    """Six copies of one text beside four others: five examples, the strongest copy for all of them."""
    texts = ["the very same words here"] * 6 + [f"word{i} and{i}" for i in range(20)]
    bundle = one_feature([3, 1, 4, 1, 5, 9, 8, 7, 6, 2, *[0] * 16], texts)
    assert [*indices(bundle.top), *indices(bundle.test_active)] == [5, 7, 8, 6, 9]
    assert (bundle.quantiles, bundle.duplicates_left_out) == ((), 5)


def test_a_dense_feature_with_few_silent_texts() -> None:
    """Silent texts are shared out between what is shown and what is tested on, none twice."""
    bundle = one_feature([*range(1, 60), 0, 0, 0])
    silent = [*indices(bundle.hard_negatives), *indices(bundle.test_silent)]
    assert sorted(silent) == [59, 60, 61]


def test_a_feature_that_always_fires_has_no_silent_texts() -> None:
    """Lists of silent texts may be empty."""
    bundle = one_feature(list(range(1, 41)))
    assert (bundle.hard_negatives, bundle.test_silent) == ((), ())
    assert len(bundle.test_active) == 10


def alike_run() -> TrainingRun:
    """Texts 0-9 fire, 10-29 are silent and less and less like them, 30-69 point away."""
    angles = np.concatenate([np.zeros(10), np.linspace(0.1, 1.2, 20), np.full(40, np.pi)])
    originals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return run_of(np.r_[np.arange(10, 0, -1), np.zeros(60)][:, None], [f"word{i} and{i}" for i in range(70)], originals)


def test_hard_negatives_are_the_most_alike() -> None:
    """By the cosine to the centroid of the top texts; the middle one of each three is tested on."""
    (bundle,) = explained(alike_run()).bundles
    assert indices(bundle.hard_negatives) == [10 + i for i in range(15) if i % 3 != 1]
    tested = indices(bundle.test_silent)
    assert tested == sorted(tested)
    assert {11, 14, 17, 20, 23} < set(tested)
    assert len(tested) == 10


def test_what_points_away_is_no_hard_negative() -> None:
    """A text is alike only with a cosine over 0; there are fewer rather than far ones."""
    run = alike_run()
    assert run.originals is not None
    originals = run.originals.rows(0, 70).numpy().copy()
    originals[13:30] = (-1.0, 0.0)
    (bundle,) = explained(replace(run, originals=blocks(originals))).bundles
    assert indices(bundle.hard_negatives) == [10, 12]
    assert 11 in indices(bundle.test_silent)
    assert len(bundle.test_silent) == 10


def test_without_originals_words_tell_what_is_alike() -> None:
    """The silent texts with the words of the top texts are the hard negatives."""
    shared = [f"crimson velvet lantern item{i} thing{i}" for i in range(20)]
    run = run_of(np.r_[np.arange(12, 0, -1), np.zeros(68)][:, None], [*shared, *(f"word{i} and{i}" for i in range(60))])
    (bundle,) = explained(run).bundles
    assert set(indices(bundle.hard_negatives)) < set(range(12, 20))
    assert len(bundle.hard_negatives) == 5


def test_unusable_originals_fall_back_to_words() -> None:
    """Rows without any direction say nothing about likeness."""
    run = planted_run()
    broken = replace(run, originals=blocks(np.full((240, 16), np.nan)), invalid_texts=tuple(range(240)))
    without = replace(run, originals=None)
    assert by_text(explained(broken)) == by_text(explained(without))
    assert any(bundle.hard_negatives for bundle in explained(broken).bundles)


@pytest.mark.parametrize("texts", [["", " ", "\u200b"] * 20, ["\u6771\u4eac\u306f\u96e8"] * 60, ["a"] * 60])
def test_texts_without_differences(texts: list[str]) -> None:
    """Empty and equal texts, in any script: at most one of each group, and no failure."""
    run = run_of(
        np.r_[np.arange(30, 0, -1), np.zeros(30)][:, None], texts, np.random.default_rng(0).normal(size=(60, 3))
    )
    for bundle in explained(run).bundles:
        assert len(used(bundle)) <= len({text.strip() for text in texts})


def test_threads_and_memory_change_nothing() -> None:
    """The same bundles for one and two threads and a small budget."""
    run = repeating_run()
    one, two, small = (
        explained(run, execution)
        for execution in (Execution(), Execution(threads=2), Execution(threads=2, memory_bytes=80 << 20))
    )
    assert one == two == small


def test_order_of_rows_and_features_changes_nothing() -> None:
    """The same texts are chosen for the same feature wherever its column and they stand."""
    run = planted_run(seed=11)
    random = np.random.default_rng(5)
    rows, columns = random.permutation(240), random.permutation(24)
    assert run.originals is not None
    moved = run_of(
        run.features.rows(0, 240).numpy()[rows][:, columns],
        [run.texts[row] for row in rows],
        run.originals.rows(0, 240).numpy()[rows],
    )
    before, after = by_text(explained(replace(run, sae=None))), by_text(explained(moved))
    assert {int(columns[feature]): texts for feature, texts in after.items()} == before
