"""The published results are what the models, the schemas and Explain's readers say they are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from lxml import etree
from support.results import FIND_JOB_ID, TRAINING_JOB_ID, small_result

from mistudio_worker.contracts import comparison as comparison_models
from mistudio_worker.contracts import explainer as explainer_models
from mistudio_worker.contracts import feature as feature_models
from mistudio_worker.contracts import index as index_models
from mistudio_worker.contracts import results as result_models
from mistudio_worker.contracts.index import IndexV1
from mistudio_worker.contracts.results import ResultsV1
from mistudio_worker.domain import comparison, explainer_bundle, feature_report, find_result, parameters, training_run
from mistudio_worker.exports import index_export, records
from mistudio_worker.exports.write_exports import write_exports

if TYPE_CHECKING:
    from pydantic import BaseModel

XSD = Path(__file__).parents[2] / "schemas" / "results.xsd"

SAME_FIELDS: list[tuple[type, type[BaseModel]]] = [
    (feature_report.TopActivation, feature_models.TopActivationV1),
    (feature_report.ActivationStatistics, feature_models.ActivationStatisticsV1),
    (feature_report.Coherence, feature_models.CoherenceV1),
    (feature_report.KeywordStatistic, feature_models.KeywordStatisticV1),
    (feature_report.LabelEvidence, feature_models.LabelEvidenceV1),
    (feature_report.OutlierExample, feature_models.OutlierExampleV1),
    (feature_report.Diversity, feature_models.DiversityV1),
    (feature_report.Complexity, feature_models.ComplexityV1),
    (feature_report.Neighbor, feature_models.NeighborV1),
    (feature_report.Geometry, feature_models.GeometryV1),
    (feature_report.HeldOut, feature_models.HeldOutV1),
    (feature_report.CoactiveFeature, feature_models.CoactiveFeatureV1),
    (feature_report.FeatureReport, feature_models.FeatureV1),
    (explainer_bundle.BundleExample, explainer_models.BundleExampleV1),
    (explainer_bundle.ExplainerBundle, explainer_models.ExplainerBundleV1),
    (explainer_bundle.Explainer, explainer_models.ExplainerV1),
    (find_result.SaeQuality, result_models.SaeQualityV1),
    (find_result.SharedTopTexts, result_models.SharedTopTextsV1),
    (find_result.DirectionPair, result_models.DirectionPairV1),
    (find_result.Corpus, result_models.CorpusV1),
    (find_result.Versions, result_models.VersionsUsedV1),
    (parameters.Parameters, result_models.ParametersUsedV1),
    (training_run.Gap, result_models.ResultGapV1),
    (records.JobMetadata, result_models.JobMetadataV1),
    (records.FeatureSummary, result_models.FeatureSummaryV1),
    (records.BestFeature, result_models.BestFeatureV1),
    (records.SummaryInsights, result_models.SummaryInsightsV1),
    (comparison.ComparedRun, comparison_models.ComparedRunV1),
    (comparison.FeaturePair, comparison_models.FeaturePairV1),
    (comparison.LoneFeature, comparison_models.LoneFeatureV1),
    (comparison.NotCompared, comparison_models.NotComparedV1),
    (comparison.TierCounts, comparison_models.TierCountsV1),
    (comparison.TierMove, comparison_models.TierMoveV1),
    (comparison.ComparisonSummary, comparison_models.ComparisonSummaryV1),
    (index_export.IndexFile, index_models.IndexFileV1),
    (index_export.Index, index_models.IndexV1),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Format -> file of the small result."""
    files = write_exports(small_result(), tmp_path_factory.mktemp("out"), on_progress=lambda _done, _total: None)
    return {f.format: f.path for f in files}


@pytest.fixture(scope="module")
def document(written: dict[str, Path]) -> dict[str, Any]:
    """The complete results, strictly parsed."""
    loaded: dict[str, Any] = json.loads(written["json"].read_bytes(), parse_constant=refuse_constant)
    return loaded


def refuse_constant(name: str) -> None:
    """NaN and Infinity are no JSON."""
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize(("record", "model"), SAME_FIELDS, ids=lambda kind: kind.__name__)
def test_record_and_model_have_the_same_fields(record: type, model: type[BaseModel]) -> None:
    """A field added on one side only is found here; order counts, since it is the order in the file."""
    assert [f.name for f in dataclasses.fields(record)] == list(model.model_fields)


def test_root_has_the_fields_of_the_model(document: dict[str, Any]) -> None:
    """The root of the file is written by hand, so its keys are held against the model's."""
    assert list(document) == list(ResultsV1.model_fields)


@pytest.mark.parametrize(("name", "model"), [("json", ResultsV1), ("index", IndexV1)])
def test_export_fits_its_json_schema(name: str, model: type[BaseModel], written: dict[str, Path]) -> None:
    """The file passes the generated schema and the model, and nothing is lost on the way through it."""
    data = json.loads(written[name].read_bytes())
    schema = model.model_json_schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(data)
    assert model.model_validate(data).model_dump(mode="json") == data


def test_schema_refuses_a_score_out_of_range(document: dict[str, Any]) -> None:
    """The schema can fail."""
    broken = json.loads(json.dumps(document))
    broken["features"][0]["coherence_score"] = 1.5
    assert not Draft202012Validator(ResultsV1.model_json_schema()).is_valid(broken)


def test_xml_is_valid(written: dict[str, Path]) -> None:
    """The XML fits the schema made by hand."""
    schema = etree.XMLSchema(etree.parse(XSD))
    schema.assertValid(etree.parse(written["xml"]))


def test_xsd_refuses_another_order(written: dict[str, Path]) -> None:
    """The names and the order of miStudioFind 1.0 are part of the schema."""
    tree = etree.parse(written["xml"])
    first = tree.find("features/feature")
    assert first is not None
    first.append(first[0])
    assert not etree.XMLSchema(etree.parse(XSD)).validate(tree)


def test_service_reader_takes_it(document: dict[str, Any], written: dict[str, Path]) -> None:
    """Explain's service: the file name, a non-empty `features` list, and the fields that it takes of each."""
    assert written["json"].name == f"{FIND_JOB_ID}_complete_results.json"
    rows = document.get("results") or document["features"]
    kept = sorted((f for f in rows if f["coherence_score"] >= 0.5), key=lambda f: -f["coherence_score"])[:20]
    assert kept[0]["feature_id"] == 0
    for row in kept:
        assert all(isinstance(keyword, str) for keyword in row["pattern_keywords"])
        assert all(isinstance(top["text"], str) for top in row["top_activations"][:3])
        assert row["quality_level"] in {"high", "medium", "low"}


def test_request_reader_ranks_by_coherence(document: dict[str, Any]) -> None:
    """Explain's request: its arithmetic over 0..1 figures puts the most coherent filled feature first."""
    assert isinstance(document["find_job_id"], str)
    assert isinstance(document["summary_report"], str)
    analysis = document["feature_analysis"]
    assert all(0 <= a["activation_count"] <= 1 and 0 <= a["anomaly_score"] <= 1 for a in analysis.values())
    rank = {key: a["activation_count"] * 0.4 + a["anomaly_score"] * 0.6 for key, a in analysis.items()}
    full = [key for key, a in analysis.items() if a["activation_count"] == analysis["0"]["activation_count"]]
    assert max(full, key=lambda key: rank[key]) == "0"
    assert list(analysis) == [str(f["feature_id"]) for f in document["features"]]
    assert rank["1"] == 0.0


def test_file_reader_takes_it(document: dict[str, Any]) -> None:
    """Explain's file reader: the root keys, and of each feature it keeps the documented fields."""
    job = document["job_metadata"]
    assert job["job_id"] == FIND_JOB_ID
    assert job["source_training_job"] == TRAINING_JOB_ID
    assert job["total_features"] == len(document["features"])
    assert job["total_features_processed"] == job["total_features"] - 1
    assert isinstance(job["model_name"], str)
    assert job["processing_time"] == 0
    assert isinstance(document["summary_insights"], dict)
    kept = [f for f in document["features"] if f["coherence_score"] >= 0.4 and f["pattern_keywords"]]
    assert kept
    for row in kept:
        assert {"pattern_category", "quality_level", "complexity_score"} <= row.keys()
        assert {"mean", "std", "frequency"} <= row["activation_statistics"].keys()
        assert all({"text", "activation_strength", "context"} <= top.keys() for top in row["top_activations"])
