"""What an explainer should read of each feature worth explaining, and what to test its explanation on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.content_order import shuffled
from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.bundle_choice import choose_active, choose_silent
from mistudio_worker.analysis.likeness_to_top import ActivationLikeness, TextLikeness
from mistudio_worker.analysis.unit_rows import COLUMN_TILE
from mistudio_worker.domain.explainer_bundle import BundleExample, Explainer, ExplainerBundle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.measures import Measures
    from mistudio_worker.domain.feature_report import FeatureReport

STRATUM = 15
"""Texts taken of the strongest, of the rest of the positives, and of the most alike silent ones. The middle one of
each three is kept for the test, so that what is tested on is distributed as what is shown: 10 shown and 5 tested on
of each. 30 shown texts of 256 tokens, as trainers cut them, fill 8,000 tokens of a prompt."""

SILENT_TESTS = 10
"""As many as active ones, so that guessing scores 0.5; with 20 in all the standard error of a share is at most 0.11.
Half of them are alike, half ordinary: ordinary ones alone cannot tell an explanation that is too broad."""

POOL_TEXTS = 8192
"""Candidates for hard negatives: all texts of most runs; of a larger one a sample, so that the cost does not grow."""

FEATURE_TILE = 256


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Silent texts that may be chosen.

    Attributes:
        space: what likeness is measured by.
        pool: [m] texts that may be hard negatives, ascending.
        order: [n] all texts, shuffled by their content.
        place: [n] of each text in `order`.
    """

    space: ActivationLikeness | TextLikeness
    pool: NDArray[np.int64]
    order: NDArray[np.int64]
    place: NDArray[np.int64]


def build_explainer(reports: Sequence[FeatureReport], measures: Measures, execution: Execution) -> Explainer:
    """Choose the texts of every feature worth explaining; see docs/explanation/measures.md.

    A pure function of texts and figures: neither the order of the rows (but for equal figures) nor other
    features have a say.

    Args:
        reports: features worth explaining, best first.
        measures: of all features.
        execution: threads, device and budget.
    """
    candidates = _candidates(measures, execution.device)
    tiles = spans(len(reports), FEATURE_TILE)
    tile_bytes = candidates.pool.size * 8 * (2 * FEATURE_TILE + COLUMN_TILE)

    def work(tile: tuple[int, int]) -> list[ExplainerBundle]:
        return list(_bundles(reports[tile[0] : tile[1]], measures, candidates))

    bundles = tuple(chain.from_iterable(map_tiles(work, tiles, execution, tile_bytes=tile_bytes)))
    shown = sorted({example.text_index for bundle in bundles for example in _examples(bundle)})
    return Explainer(bundles, {str(text): measures.texts[text] for text in shown})


def _candidates(measures: Measures, device: str) -> _Candidates:
    """Shuffle the texts by their content, so that a sample does not follow the order of the rows."""
    order = shuffled(measures.texts)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    rows = measures.rows
    if rows is None or not rows.usable.any():
        return _Candidates(TextLikeness.of(measures.words.terms), np.sort(order[:POOL_TEXTS]), order, place)
    pool = np.sort(order[rows.usable[order]][:POOL_TEXTS])
    return _Candidates(ActivationLikeness(rows, device), pool, order, place)


def _bundles(
    reports: Sequence[FeatureReport], measures: Measures, candidates: _Candidates
) -> Iterator[ExplainerBundle]:
    positives, group = measures.positives, measures.words.duplicates.group
    features = np.array([report.feature_id for report in reports], dtype=np.int64)
    active, figures, left_out = choose_active(
        features, (positives.offsets, positives.texts, positives.values), group, STRATUM
    )
    shown = active[:, :STRATUM][:, np.arange(STRATUM) % 3 != 1]
    pool = (candidates.pool, candidates.space.to_centroids(shown, candidates.pool))
    others = (candidates.order, candidates.place[active[:, 0]])
    alike, ordinary = choose_silent(
        features, (positives.offsets, positives.texts, group), pool, others, (STRATUM, SILENT_TESTS)
    )
    for row, report in enumerate(reports):
        fire = [
            BundleExample(t, *f) for t, f in zip(active[row].tolist(), figures[row].tolist(), strict=True) if t >= 0
        ]
        top, strong_tests = _split(fire[:STRATUM])
        quantiles, rest_tests = _split(fire[STRATUM:])
        hard_negatives, alike_tests = _split(_silent(alike[row]))
        silent_tests = sorted((*alike_tests, *_silent(ordinary[row])), key=lambda example: example.text_index)
        yield ExplainerBundle(
            feature_id=report.feature_id,
            priority_score=report.priority_score,
            coherence_score=report.coherence_score,
            pattern_category=report.pattern_category,
            top=top,
            quantiles=quantiles,
            hard_negatives=hard_negatives,
            test_active=strong_tests + rest_tests,
            test_silent=tuple(silent_tests),
            duplicates_left_out=int(left_out[row]),
            coherence=report.coherence,
            held_out=report.held_out,
            keyword_statistics=report.keyword_statistics,
            label_evidence=report.label_evidence,
        )


def _silent(texts: NDArray[np.int64]) -> list[BundleExample]:
    return [BundleExample(text, 0.0, 0.0) for text in texts.tolist() if text >= 0]


def _split(stratum: list[BundleExample]) -> tuple[tuple[BundleExample, ...], tuple[BundleExample, ...]]:
    """Return what is shown and what is tested on: the middle one of each three."""
    return tuple(example for i, example in enumerate(stratum) if i % 3 != 1), tuple(stratum[1::3])


def _examples(bundle: ExplainerBundle) -> Iterable[BundleExample]:
    return chain(bundle.top, bundle.quantiles, bundle.hard_negatives, bundle.test_active, bundle.test_silent)
