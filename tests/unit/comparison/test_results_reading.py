"""Complete results, of this version, older and newer ones, and files that are none."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from support.results import FIND_JOB_ID, TRAINING_JOB_ID, small_result

from mistudio_worker.comparison.results_reading import read_results
from mistudio_worker.domain.training_run import Gap
from mistudio_worker.errors import RefusedInput
from mistudio_worker.exports.json_export import write_json

NEEDED = {
    "feature_id",
    "coherence_score",
    "quality_tier",
    "pattern_category",
    "pattern_keywords",
    "top_activations",
}


def document() -> dict[str, Any]:
    """The small result, as the JSON export writes it."""
    stream = io.BytesIO()
    write_json(small_result(), stream)
    parsed: dict[str, Any] = json.loads(stream.getvalue())
    return parsed


def test_it_takes_what_the_export_writes() -> None:
    """Every figure that a comparison needs is that of the result."""
    result = small_result()
    found = read_results(json.dumps(document()).encode(), "a.json")
    assert (found.run.find_job_id, found.run.source_job_id) == (FIND_JOB_ID, TRAINING_JOB_ID)
    assert (found.run.texts, found.run.features, found.run.top_k) == (result.corpus.texts, len(result.features), 20)
    assert (found.run.analysis, found.run.taxonomy_sha256) == (
        result.versions.analysis,
        result.versions.taxonomy_sha256,
    )
    assert [gap.code for gap in found.gaps] == [gap.code for gap in result.gaps]
    for feature, report in zip(found.features, result.features, strict=True):
        assert (feature.feature_id, feature.coherence_score) == (report.feature_id, report.coherence_score)
        assert (feature.quality_tier, feature.pattern_category) == (report.quality_tier, report.pattern_category)
        assert feature.pattern_keywords == report.pattern_keywords
        assert feature.top_texts == tuple((top.text, top.activation_strength) for top in report.top_activations)


def test_older_and_newer_results_are_read() -> None:
    """Fields that a comparison does not need may be absent, unknown ones may be there."""
    data = document()
    for feature in data["features"]:
        for name in set(feature) - NEEDED:
            del feature[name]
        feature["from_the_future"] = 1
    for name in ("explainer", "feature_analysis", "gaps", "summary_insights", "summary_report"):
        del data[name]
    assert (
        read_results(json.dumps(data).encode(), "a.json").features
        == read_results(json.dumps(document()).encode(), "b").features
    )


def test_gaps_are_kept() -> None:
    """What was missing from a run is told beside the comparison."""
    data = document() | {"gaps": [{"code": "SAE_MISSING", "message": "no autoencoder", "features": [], "texts": []}]}
    assert read_results(json.dumps(data).encode(), "a.json").gaps == (Gap("SAE_MISSING", "no autoencoder"),)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Invalid JSON"),
        (b"\x80\x02}q\x00.", "Invalid JSON"),
        (b"[]", "object"),
        (b"{}", "find_job_id"),
    ],
)
def test_what_is_no_result_is_refused(content: bytes, words: str) -> None:
    """Empty, a pickle, a list, another object: the file and the first thing wrong are named."""
    with pytest.raises(RefusedInput, match=rf"RESULTS_INVALID: a\.json .*{words}"):
        read_results(content, "a.json")


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("coherence_score", 1.5, r"features\.0\.coherence_score"),
        ("coherence_score", None, r"features\.0\.coherence_score"),
        ("quality_tier", "superb", r"features\.0\.quality_tier"),
        ("top_activations", [{"text": "t", "activation_strength": 0}], r"features\.0\.top_activations\.0"),
    ],
)
def test_a_field_that_does_not_fit_is_named(name: str, value: object, place: str) -> None:
    """The message leads to the place."""
    data = document()
    data["features"][0][name] = value
    with pytest.raises(RefusedInput, match=place):
        read_results(json.dumps(data).encode(), "a.json")


def test_no_features_are_no_results() -> None:
    """There is nothing to compare in an empty list."""
    with pytest.raises(RefusedInput, match="RESULTS_INVALID"):
        read_results(json.dumps(document() | {"features": []}).encode(), "a.json")
