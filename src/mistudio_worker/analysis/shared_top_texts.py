"""Which features share their top texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.kernels.coactivation import features_of_texts
from mistudio_worker.analysis.kernels.pairs import sharing_pairs
from mistudio_worker.analysis.tiers import MIN_POSITIVES
from mistudio_worker.domain.find_result import SharedTopTexts

if TYPE_CHECKING:
    from mistudio_worker.analysis.top_examples import TopExamples

LISTED_PAIRS = 20
COMPARED = 1024
"""Features of one text that each is compared with."""


def find_shared_top_texts(top: TopExamples, texts: int) -> tuple[SharedTopTexts, ...]:
    """Return up to 20 pairs of features that share at least half of the top texts of the one with fewer.

    Most shared texts first, ties by lower ids; only features with at least 5 top texts, since one shared text
    of one says little. Pairs come from the features of each top text: at most F top_k 1,024 steps, never F^2.
    It is exact unless a text is on top of more than 1,024 features: there each is compared with the next 1,024
    by id.

    Args:
        top: the examples.
        texts: n.
    """
    pairs = np.full((LISTED_PAIRS, 2), -1, dtype=np.int32)
    shared = np.zeros(LISTED_PAIRS, dtype=np.int64)
    rows = features_of_texts(top.offsets, top.texts, texts)
    sharing_pairs((top.offsets, top.texts), rows, MIN_POSITIVES, COMPARED, (pairs, shared))
    sizes = np.diff(top.offsets)
    return tuple(
        SharedTopTexts((low, high), count, count / int(min(sizes[low], sizes[high])))
        for (low, high), count in zip(pairs.tolist(), shared.tolist(), strict=True)
        if count
    )
