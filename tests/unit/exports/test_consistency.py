"""The JSON is the measure: what another format says of a feature is what the JSON says."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import torch
from lxml import etree

if TYPE_CHECKING:
    from pathlib import Path

STATISTICS = ("std", "min", "skew", "kurtosis", "positives", "density", "log10_density", "effective_count")


def rows_of(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV by the csv module."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def unguarded(cell: str) -> str:
    """Undo what safe_cell put in front."""
    return cell[1:] if re.match("'+[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]", cell) else cell


def figure(cell: str) -> float | None:
    """A number, None where the cell is empty."""
    return float(cell) if cell else None


def at(record: dict[str, Any] | None, name: str) -> Any:
    """A field, None where the record is."""
    return None if record is None else record[name]


def test_csv_figures_equal_json(written: dict[str, Path], document: dict[str, Any]) -> None:
    """Every number of the CSV is the JSON's, to the last bit."""
    for row, feature in zip(rows_of(written["csv"]), document["features"], strict=True):
        statistics, top = feature["activation_statistics"], feature["top_activations"]
        geometry = feature["geometry"]
        expected = {
            "feature_id": feature["feature_id"],
            "coherence_score": feature["coherence_score"],
            "mean_activation": at(statistics, "mean"),
            "max_activation": at(statistics, "max"),
            "activation_frequency": at(statistics, "frequency"),
            "top_activation_count": len(top),
            "complexity_score": feature["complexity_score"],
            "activation_space_coherence": feature["coherence"]["activation_space"],
            "activation_space_baseline": feature["coherence"]["activation_baseline"],
            "text_space_coherence": feature["coherence"]["text_space"],
            "text_space_baseline": feature["coherence"]["text_baseline"],
            "vendi_score": feature["diversity"]["vendi_score"],
            "near_duplicate_share": feature["diversity"]["near_duplicate_share"],
            "outlier_count": len(feature["outlier_examples"]),
            "nearest_feature_id": geometry["nearest"][0]["feature_id"] if geometry else None,
            "nearest_feature_cosine": geometry["nearest"][0]["cosine"] if geometry else None,
            "encoder_decoder_cosine": at(geometry, "encoder_decoder_cosine"),
            "decoder_norm": at(geometry, "decoder_norm"),
            **evidence(feature),
            **{name: at(statistics, name) for name in STATISTICS},
            **{f"top_activation_{i + 1}": top[i]["activation_strength"] if i < len(top) else None for i in range(3)},
        }
        assert {name: figure(row[name]) for name in expected} == expected


def evidence(feature: dict[str, Any]) -> dict[str, float | None]:
    """The figures that came with schema version 1.1, under the names of CSV and XML."""
    coherence, held_out = feature["coherence"], feature["held_out"]
    intervals = (
        "score_low",
        "score_high",
        "activation_percentile",
        "text_percentile",
        "activation_unity",
        "text_unity",
    )
    return {
        "priority_score": feature["priority_score"],
        **{name: coherence[name] for name in intervals},
        "separability": held_out["separability"],
        "held_out_keyword_auroc": held_out["keyword_auroc"],
        "reconstruction_error": feature["reconstruction_error"],
    }


def test_csv_words_equal_json(written: dict[str, Path], document: dict[str, Any]) -> None:
    """Every keyword, label and text of the CSV is the JSON's, but for NUL, the cut and the apostrophe."""
    for row, feature in zip(rows_of(written["csv"]), document["features"], strict=True):
        for name in ("quality_level", "quality_tier", "pattern_category"):
            assert row[name] == feature[name]
        for name in ("pattern_keywords", "secondary_categories", "semantic_tags", "behavioral_indicators"):
            assert unguarded(row[name]) == ", ".join(feature[name])
        assert unguarded(row["held_out_keyword"]) == (feature["held_out"]["keyword"] or "")
        for i, top in enumerate(feature["top_activations"][:3], 1):
            assert unguarded(row[f"top_text_{i}"]) == top["text"].replace("\0", "\ufffd")[:32_000]


def test_csv_reads_the_same_with_pandas(written: dict[str, Path]) -> None:
    """Pandas and the csv module see the same rows."""
    frame = pd.read_csv(written["csv"], dtype=str, keep_default_na=False)
    assert frame.to_dict("records") == rows_of(written["csv"])


def test_csv_columns_of_1_1_come_last(written: dict[str, Path]) -> None:
    """A reader that counts columns finds those of 1.0 where they were."""
    with written["csv"].open(encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream))
    assert header[-12:] == [
        "reasons", "priority_score", "score_low", "score_high", "activation_percentile", "text_percentile",
        "separability", "held_out_keyword", "held_out_keyword_auroc", "reconstruction_error",
        "activation_unity", "text_unity",
    ]  # fmt: skip


def test_csv_numbers_survive_pandas(written: dict[str, Path], document: dict[str, Any]) -> None:
    """Pandas has the very numbers of the JSON."""
    frame = pd.read_csv(written["csv"])
    assert list(frame["coherence_score"]) == [f["coherence_score"] for f in document["features"]]


def test_xml_equals_json(written: dict[str, Path], document: dict[str, Any]) -> None:
    """Every figure, keyword and text of the XML is the JSON's; replaced characters can be had back."""
    elements = etree.parse(written["xml"]).findall("features/feature")
    for element, feature in zip(elements, document["features"], strict=True):
        assert int(element.get("id", "")) == feature["feature_id"]
        assert float(element.findtext("coherenceScore", "")) == feature["coherence_score"]
        assert element.findtext("qualityTier") == feature["quality_tier"]
        assert [restored(k) for k in element.iterfind("patternKeywords/keyword")] == feature["pattern_keywords"]
        assert [restored(k) for k in element.iterfind("semanticTags/tag")] == feature["semantic_tags"]
        assert xml_activations(element) == [
            (t["rank"], t["text_index"], t["text"], t["activation_strength"], t["context"])
            for t in feature["top_activations"][:5]
        ]
        assert xml_statistics(element) == expected_statistics(feature)
        assert {r.get("name"): restored(r) for r in element.iterfind("reasons/reason")} == feature["reasons"]
        assert {f.get("name"): float(f.text or "") for f in element.iterfind("flags/flag")} == feature["flags"]


def test_xml_evidence_equals_json(written: dict[str, Path], document: dict[str, Any]) -> None:
    """The elements of 1.1 hold the JSON's figures; one that is not defined is absent."""
    for element, feature in zip(
        etree.parse(written["xml"]).iterfind("features/feature"), document["features"], strict=True
    ):
        for name, value in evidence(feature).items():
            tag = re.sub("_([a-z])", lambda m: m[1].upper(), name)
            assert figure(element.findtext(tag, "")) == value, tag
        keyword = element.find("heldOutKeyword")
        assert (None if keyword is None else restored(keyword)) == feature["held_out"]["keyword"]
        coactive = [
            {
                "feature_id": int(other.get("id", "")),
                "jaccard": float(other.text or ""),
                "correlation": figure(other.get("correlation", "")),
            }
            for other in element.iterfind("coactiveFeatures/coactive")
        ]
        assert coactive == feature["coactive"]


def restored(element: etree._Element) -> str:
    """Undo what xml_text replaced."""
    characters = list(element.text or "")
    for entry in (element.get("replaced") or "").split():
        offset, code = entry.split(":")
        assert characters[int(offset)] == "\ufffd"
        characters[int(offset)] = chr(int(code, 16))
    return "".join(characters)


def xml_activations(element: etree._Element) -> list[tuple[int, int, str, float, str]]:
    """Top activations of a feature element."""
    return [
        (int(a.get("rank", "")), int(a.get("textIndex", "")), restored(a[0]), float(a[1].text or ""), restored(a[2]))
        for a in element.iterfind("topActivations/activation")
    ]


def xml_statistics(element: etree._Element) -> dict[str, float]:
    """Statistics of a feature element under the JSON's names."""
    figures = [child for parent in element.iterfind("activationStatistics") for child in parent]
    return {re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", f.tag): float(f.text or "") for f in figures}


def expected_statistics(feature: dict[str, Any]) -> dict[str, float]:
    """The statistics of the JSON that the XML has too."""
    left_out = ("variance", "quantiles", "histogram")
    figures = feature["activation_statistics"] or {}
    return {name: value for name, value in figures.items() if value is not None and name not in left_out}


def test_pytorch_equals_json(written: dict[str, Path], document: dict[str, Any]) -> None:
    """The file loads with weights_only, and each of its values is the JSON's."""
    loaded = torch.load(written["pytorch"], weights_only=True)
    tensors = loaded["tensors"]
    for feature in document["features"]:
        i = feature["feature_id"]
        analysis = loaded["feature_analysis"][i]
        shared = analysis.keys() & feature.keys() - {"top_activations"}
        assert {name: analysis[name] for name in shared} == {name: feature[name] for name in shared}
        for got, top in zip(analysis["top_activations"], feature["top_activations"][:10], strict=True):
            assert got == {**top, "activation_value": top["activation_strength"], "ranking": top["rank"]}
        assert tensors["coherence"][i].item() == feature["coherence_score"]
        for name, value in evidence(feature).items():
            column = tensors[name.removesuffix("_score")][i]
            assert column.isnan() if value is None else column.item() == value, name
        density = at(feature["activation_statistics"], "density")
        assert tensors["density"][i].isnan() if density is None else tensors["density"][i].item() == density
        assert {"held_out", "coactive", "reconstruction_error", "priority_score"} <= shared
    assert set(loaded["feature_analysis"]) == set(range(len(document["features"])))
    assert loaded["job_metadata"]["job_id"] == document["find_job_id"]


def test_parquet_equals_json(written: dict[str, Path], document: dict[str, Any]) -> None:
    """Every row of the table is the JSON's record of the feature, whole."""
    table = pq.read_table(written["parquet"])
    assert table.to_pylist(maps_as_pydicts="strict") == document["features"]
    assert len(pd.read_parquet(written["parquet"])) == len(document["features"])
