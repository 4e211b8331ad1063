"""Why a field of a report is not defined: refuse rather than guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.held_out import MIN_HALF
from mistudio_worker.analysis.tiers import MIN_POSITIVES

if TYPE_CHECKING:
    from mistudio_worker.analysis.coherence import SpaceCoherence
    from mistudio_worker.analysis.measures import Measures
    from mistudio_worker.analysis.unity import Unity
    from mistudio_worker.domain.feature_report import Geometry

INVALID = "the feature's column holds NaN, infinite or negative cells and was not analysed"
DEAD = "no text activates the feature"
FEW = f"fewer than {MIN_POSITIVES} texts that do not repeat each other activate the feature"
CONSTANT = "the activation is the same for every text"
NO_ORIGINALS = "the run has no usable original activations"
NO_AUTOENCODER = "the run has no usable autoencoder weights"
NO_PAIRS = "fewer than 2 of its texts carry weight in this space"
NO_HALVES = "fewer than 4 of its texts carry weight and can be compared"
NO_NULL = "too few texts, or too few pairs of them decide, for the distribution under chance to be known"
FEW_TOP_TEXTS = "fewer than 2 top texts"
ALONE = "no other feature fires on any of its texts"
FEW_DISTINCT = "fewer than 4 distinct top texts have a direction in the original activations"
NO_SILENT = "the feature fires on every text of the pool that stands for silent ones"
NO_DIRECTION = "the text, or every other top text, has no direction in the original activations"
NO_DISTANCES = "no top text has usable original activations that differ from the mean"
NO_DIRECTIONS = "fewer than 2 top texts have a direction in the original activations"


def why_undefined(measures: Measures, feature: int, geometry: Geometry | None) -> dict[str, str]:
    """Return field name -> reason for every field of the report that could not be measured."""
    reasons = _geometry(geometry)
    if measures.invalid[feature]:
        return {"activation_statistics": INVALID, "complexity_score": INVALID} | _everything(INVALID) | reasons
    reasons |= _statistics(measures, feature)
    if (complexity := measures.words.complexity[feature].reason) is not None:
        reasons["complexity_score"] = complexity
    if measures.statistics.positives[feature] == 0:
        return reasons | _everything(DEAD)
    reasons |= _diversity(measures, feature) | _similarity(measures, feature)
    reasons |= measures.words.predictiveness.why_undefined(feature)
    if measures.dictionary.coactivation.ids[feature, 0] < 0:
        reasons["coactive"] = ALONE
    reasons |= _reconstruction(measures, feature) | _separability(measures, feature)
    if measures.coherence.distinct_texts[feature] < MIN_POSITIVES:
        return reasons | _coherence(FEW)
    return reasons | _spaces(measures, feature)


def _everything(reason: str) -> dict[str, str]:
    rest = (
        "diversity.vendi_score",
        "diversity.near_duplicate_share",
        "held_out.separability",
        "coactive",
        "reconstruction_error",
        "held_out.keyword",
        "held_out.keyword_auroc",
    )
    return _coherence(reason) | dict.fromkeys(rest, reason)


def _coherence(reason: str) -> dict[str, str]:
    return _score(reason) | _space("activation", reason) | _space("text", reason)


def _score(reason: str) -> dict[str, str]:
    return dict.fromkeys(("coherence_score", "coherence.score_low", "coherence.score_high"), reason)


def _space(name: str, reason: str) -> dict[str, str]:
    return dict.fromkeys((f"coherence.{name}_{figure}" for figure in ("space", "percentile", "unity")), reason)


def _statistics(measures: Measures, feature: int) -> dict[str, str]:
    reasons = {}
    if np.isnan(measures.statistics.skew[feature]):
        reasons["activation_statistics.skew"] = CONSTANT
        reasons["activation_statistics.kurtosis"] = CONSTANT
    if measures.statistics.positives[feature] == 0:
        reasons["activation_statistics.log10_density"] = DEAD
        reasons["activation_statistics.effective_count"] = DEAD
    elif measures.statistics.mad[feature] == 0:
        reasons["outlier_examples.modified_z"] = "more than half of the positives are equal, so their MAD is 0"
    return reasons


def _spaces(measures: Measures, feature: int) -> dict[str, str]:
    table = measures.coherence
    if measures.statistics.high[feature] <= measures.statistics.low[feature]:
        return _coherence(CONSTANT) | ({} if table.activation else _space("activation", NO_ORIGINALS))
    reasons = _undefined("text", table.text, table.text_unity, feature)
    if table.activation is None or table.activation_unity is None:
        reasons |= _space("activation", NO_ORIGINALS)
    else:
        reasons |= _undefined("activation", table.activation, table.activation_unity, feature)
    return reasons | (_score(NO_HALVES) if np.isnan(table.scores.score[feature]) else {})


def _undefined(name: str, space: SpaceCoherence, unity: Unity, feature: int) -> dict[str, str]:
    """Return a reason for each figure of a space that is not defined."""
    if np.isnan(space.baseline):
        return _space(name, "fewer than 2 texts of the run have a vector in this space")
    figures = {
        "space": (space.score, NO_PAIRS),
        "percentile": (space.percentile, NO_NULL),
        "unity": (unity.value, NO_HALVES),
    }
    return {f"coherence.{name}_{key}": why for key, (column, why) in figures.items() if np.isnan(column[feature])}


def _similarity(measures: Measures, feature: int) -> dict[str, str]:
    entries = slice(int(measures.top.offsets[feature]), int(measures.top.offsets[feature + 1]))
    listed, likeness = measures.outliers.listed[entries], measures.likeness
    if not listed.any():
        return {}
    if likeness is None:
        return {"outlier_examples.similarity": NO_ORIGINALS}
    return {"outlier_examples.similarity": NO_DIRECTION} if np.isnan(likeness.similarity[entries][listed]).any() else {}


def _diversity(measures: Measures, feature: int) -> dict[str, str]:
    reasons = {}
    few = measures.top.offsets[feature + 1] - measures.top.offsets[feature] < 2
    if measures.likeness is None:
        reasons["diversity.vendi_score"] = NO_ORIGINALS
    elif np.isnan(measures.likeness.vendi[feature]):
        reasons["diversity.vendi_score"] = FEW_TOP_TEXTS if few else NO_DIRECTIONS
    if np.isnan(measures.words.duplicate_shares[feature]):
        reasons["diversity.near_duplicate_share"] = FEW_TOP_TEXTS
    return reasons


def _separability(measures: Measures, feature: int) -> dict[str, str]:
    table = measures.separability
    if table is not None and not np.isnan(table.auroc[feature]):
        return {}
    if table is None:
        return {"held_out.separability": NO_ORIGINALS}
    return {"held_out.separability": FEW_DISTINCT if table.distinct[feature] < 2 * MIN_HALF else NO_SILENT}


def _reconstruction(measures: Measures, feature: int) -> dict[str, str]:
    errors = measures.dictionary.reconstruction_errors
    if errors is None:
        return {"reconstruction_error": NO_ORIGINALS if measures.rows is None else NO_AUTOENCODER}
    return {"reconstruction_error": NO_DISTANCES} if np.isnan(errors[feature]) else {}


def _geometry(geometry: Geometry | None) -> dict[str, str]:
    if geometry is None:
        return {"geometry": NO_AUTOENCODER}
    reasons = {}
    if not geometry.nearest:
        reasons["geometry.nearest"] = "the decoder direction is zero, or no other feature has one"
        reasons["geometry.most_opposed"] = reasons["geometry.nearest"]
    if geometry.encoder_decoder_cosine is None:
        reasons["geometry.encoder_decoder_cosine"] = "the encoder or the decoder direction is zero"
    return reasons
