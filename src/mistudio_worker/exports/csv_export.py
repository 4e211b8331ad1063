"""One row a feature, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, BinaryIO

from mistudio_worker.exports.plain import finite

if TYPE_CHECKING:
    from mistudio_worker.domain.feature_report import FeatureReport
    from mistudio_worker.domain.find_result import FindResult

Cell = str | int | float | None

TOP_TEXTS = 3
CELL_CHARACTERS = 32_000
"""A spreadsheet takes 32,767 characters a cell; the JSON has every text whole."""

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def write_csv(result: FindResult, stream: BinaryIO) -> None:
    r"""Write `_feature_analysis.csv`: RFC 4180, UTF-8, a header, lines end with CRLF.

    The columns of miStudioFind 1.0 come first, under their names and in their order. Numbers have full
    precision; an empty cell is a figure that is not defined. Lists are joined by ", ". Text cells go
    through `safe_cell`; pandas reads the same rows with `keep_default_na=False` (a text may be "NA"), and the
    very same numbers (before pandas 3.1 with `float_precision="round_trip"`).

    Raises:
        NotExportable: a figure is NaN or infinite.
    """
    writer = csv.writer(_Encoder(stream), lineterminator="\r\n")
    for i, feature in enumerate(result.features):
        row = csv_row(feature)
        if i == 0:
            writer.writerow(row)
        writer.writerow(map(_cell, row.values()))


def csv_row(feature: FeatureReport) -> dict[str, Cell]:
    """Return column -> value, before cells are made safe."""
    return {
        **_first_columns(feature),
        **_labels(feature),
        **_statistics(feature),
        **_parts(feature),
        **_evidence(feature),
    }


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula and no reader stumbles over.

    A cell that starts with one of = + - @ TAB CR LF (or their full-width forms), or with apostrophes before
    one, gets an apostrophe in front: dropping one apostrophe gives the text again. NUL becomes U+FFFD.
    Texts are cut at 32,000 characters, see the column `top_texts_cut`.

    >>> safe_cell("=1+1"), safe_cell("1+1")
    ("'=1+1", '1+1')
    """
    text = text[:CELL_CHARACTERS].replace("\0", "\ufffd")
    return f"'{text}" if _FORMULA.match(text) else text


def _cell(value: Cell) -> Cell:
    if isinstance(value, str):
        return safe_cell(value)
    return finite(value) if type(value) is float else value


def _first_columns(feature: FeatureReport) -> dict[str, Cell]:
    statistics, top = feature.activation_statistics, feature.top_activations
    row: dict[str, Cell] = {
        "feature_id": feature.feature_id,
        "coherence_score": feature.coherence_score,
        "quality_level": feature.quality_level,
        "pattern_keywords": ", ".join(feature.pattern_keywords),
        "mean_activation": statistics.mean if statistics else None,
        "max_activation": statistics.max if statistics else None,
        "activation_frequency": statistics.frequency if statistics else None,
        "top_activation_count": len(top),
    }
    for i in range(TOP_TEXTS):
        row[f"top_text_{i + 1}"] = top[i].text if i < len(top) else None
    for i in range(TOP_TEXTS):
        row[f"top_activation_{i + 1}"] = top[i].activation_strength if i < len(top) else None
    return row


def _labels(feature: FeatureReport) -> dict[str, Cell]:
    return {
        "quality_tier": feature.quality_tier,
        "pattern_category": feature.pattern_category,
        "secondary_categories": ", ".join(feature.secondary_categories),
        "semantic_tags": ", ".join(feature.semantic_tags),
        "behavioral_indicators": ", ".join(feature.behavioral_indicators),
        "complexity_score": feature.complexity_score,
        "flags": ", ".join(feature.flags),
    }


def _statistics(feature: FeatureReport) -> dict[str, Cell]:
    names = ("std", "min", "skew", "kurtosis", "positives", "density", "log10_density", "effective_count")
    statistics = feature.activation_statistics
    return {name: getattr(statistics, name) if statistics else None for name in names}


def _parts(feature: FeatureReport) -> dict[str, Cell]:
    coherence, diversity, geometry = feature.coherence, feature.diversity, feature.geometry
    nearest = geometry.nearest[0] if geometry and geometry.nearest else None
    return {
        "activation_space_coherence": coherence.activation_space,
        "activation_space_baseline": coherence.activation_baseline,
        "text_space_coherence": coherence.text_space,
        "text_space_baseline": coherence.text_baseline,
        "vendi_score": diversity.vendi_score,
        "near_duplicate_share": diversity.near_duplicate_share,
        "outlier_count": len(feature.outlier_examples),
        "nearest_feature_id": nearest.feature_id if nearest else None,
        "nearest_feature_cosine": nearest.cosine if nearest else None,
        "encoder_decoder_cosine": geometry.encoder_decoder_cosine if geometry else None,
        "decoder_norm": geometry.decoder_norm if geometry else None,
        "top_texts_cut": sum(len(t.text) > CELL_CHARACTERS for t in feature.top_activations[:TOP_TEXTS]),
        "reasons": ", ".join(f"{name}: {reason}" for name, reason in feature.reasons.items()),
    }


def _evidence(feature: FeatureReport) -> dict[str, Cell]:
    coherence, held_out = feature.coherence, feature.held_out
    return {
        "priority_score": feature.priority_score,
        "score_low": coherence.score_low,
        "score_high": coherence.score_high,
        "activation_percentile": coherence.activation_percentile,
        "text_percentile": coherence.text_percentile,
        "separability": held_out.separability,
        "held_out_keyword": held_out.keyword,
        "held_out_keyword_auroc": held_out.keyword_auroc,
        "reconstruction_error": feature.reconstruction_error,
        "activation_unity": coherence.activation_unity,
        "text_unity": coherence.text_unity,
    }


class _Encoder:
    """The text side of a binary stream; unlike TextIOWrapper it never closes what it was lent."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write one row."""
        return self._stream.write(text.encode())
