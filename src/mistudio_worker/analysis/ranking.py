"""The strongest texts of every feature, without padding and with exact ties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.kernels.per_feature import strongest
from mistudio_worker.analysis.top_examples import TopExamples

if TYPE_CHECKING:
    from mistudio_worker.analysis.positives import Positives


def rank_texts(positives: Positives, top_k: int) -> TopExamples:
    """Return the `top_k` strongest positives of each feature, strongest first.

    Equal activations are ranked by the lower text index. A feature with fewer positives has fewer
    examples, a dead one none: a text that did not fire is never an example.
    """
    offsets = np.zeros(positives.offsets.size, dtype=np.int64)
    np.cumsum(np.minimum(positives.counts, top_k), out=offsets[1:])
    texts = np.empty(offsets[-1], dtype=np.int32)
    strengths = np.empty(offsets[-1], dtype=np.float32)
    strongest((positives.offsets, positives.texts, positives.values), (offsets, texts, strengths))
    return TopExamples(offsets, texts, strengths)
