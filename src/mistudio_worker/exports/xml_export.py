"""The results as XML, streamed element by element; `schemas/results.xsd` describes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from lxml import etree

from mistudio_worker.exports.plain import number_text
from mistudio_worker.exports.records import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistudio_worker.domain.feature_report import ActivationStatistics, FeatureReport, Geometry
    from mistudio_worker.domain.find_result import FindResult

TOP_ACTIVATIONS = 5
_FORBIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write_xml(result: FindResult, stream: BinaryIO) -> None:
    """Write `_analysis.xml`: elements of miStudioFind 1.0 under their names and in their order, new ones after.

    Text that XML 1.0 cannot hold is written as `xml_text` says. An element of a figure that is not defined
    is left out. Memory holds one feature at a time.

    Raises:
        NotExportable: a figure is NaN or infinite.
    """
    with etree.xmlfile(stream, encoding="UTF-8") as out:
        out.write_declaration()
        with out.element("miStudioFindResults", {"schemaVersion": SCHEMA_VERSION}):
            out.write("\n", _metadata(result), "\n")
            with out.element("features"):
                for feature in result.features:
                    out.write("\n", _feature(feature))
                out.write("\n")
            out.write("\n")


def xml_text(text: str) -> tuple[str, str | None]:
    r"""Return a text that XML 1.0 can hold, and what was replaced in it.

    Each forbidden character (C0 controls but TAB, LF and CR; U+FFFE; U+FFFF) becomes U+FFFD; the second
    value names them as `offset:hex`, so the text can be had back. None where nothing was replaced.

    >>> xml_text("a\0b\x1b")
    ('a\ufffdb\ufffd', '1:0 3:1B')
    """
    if _FORBIDDEN.search(text) is None:
        return text, None
    found = [f"{m.start()}:{ord(m[0]):X}" for m in _FORBIDDEN.finditer(text)]
    return _FORBIDDEN.sub("\ufffd", text), " ".join(found)


def _add(parent: etree._Element, tag: str, text: str, **attributes: str) -> None:
    child = etree.SubElement(parent, tag, attributes)
    child.text, replaced = xml_text(text)
    if replaced is not None:
        child.set("replaced", replaced)


def _add_list(parent: etree._Element, tag: str, item: str, texts: Iterable[str]) -> None:
    child = etree.SubElement(parent, tag)
    for text in texts:
        _add(child, item, text)


def _add_figures(parent: etree._Element, **figures: float | None) -> None:
    for tag, value in figures.items():
        if value is not None:
            _add(parent, tag, number_text(value))


def _metadata(result: FindResult) -> etree._Element:
    element = etree.Element("metadata")
    _add(element, "jobId", result.identity.find_job_id)
    _add(element, "sourceJobId", result.identity.training_job_id)
    _add(element, "timestamp", result.metadata.timestamp or "")
    _add_figures(element, totalFeatures=len(result.features))
    _add(element, "status", result.status)
    _add(element, "modelName", result.metadata.model_name or "unknown")
    _add_figures(
        element,
        layer=result.metadata.layer,
        texts=result.corpus.texts,
        topK=result.parameters.top_k,
        coherenceThreshold=float(result.parameters.coherence_threshold),
    )
    _add(element, "analysisVersion", result.versions.analysis)
    _add(element, "taxonomyVersion", result.versions.taxonomy)
    _add(element, "identitySha256", result.identity.sha256)
    gaps = etree.SubElement(element, "gaps")
    for gap in result.gaps:
        _add(gaps, "gap", gap.message, code=gap.code)
    return element


def _feature(feature: FeatureReport) -> etree._Element:
    element = etree.Element("feature", {"id": str(feature.feature_id)})
    _add_figures(element, coherenceScore=feature.coherence_score)
    _add(element, "qualityLevel", feature.quality_level)
    _keywords(element, feature)
    _top_activations(element, feature)
    _add(element, "qualityTier", feature.quality_tier)
    _add(element, "patternCategory", feature.pattern_category)
    _add_list(element, "secondaryCategories", "category", feature.secondary_categories)
    _add_list(element, "semanticTags", "tag", feature.semantic_tags)
    _add_list(element, "behavioralIndicators", "indicator", feature.behavioral_indicators)
    _add_figures(element, complexityScore=feature.complexity_score)
    if feature.activation_statistics is not None:
        _statistics(etree.SubElement(element, "activationStatistics"), feature.activation_statistics)
    _measures(element, feature)
    if feature.geometry is not None:
        _geometry(etree.SubElement(element, "geometry"), feature.geometry)
    _findings(element, feature)
    _evidence(element, feature)
    return element


def _keywords(element: etree._Element, feature: FeatureReport) -> None:
    keywords = etree.SubElement(element, "patternKeywords")
    known = {s.keyword: s for s in feature.keyword_statistics}
    for keyword in feature.pattern_keywords:
        figures = known.get(keyword)
        if figures is None:
            _add(keywords, "keyword", keyword)
        else:
            _add(
                keywords,
                "keyword",
                keyword,
                logOdds=number_text(figures.log_odds),
                z=number_text(figures.z),
                pValue=number_text(figures.p_value),
                topTexts=str(figures.top_texts),
                otherTexts=str(figures.other_texts),
            )


def _top_activations(element: etree._Element, feature: FeatureReport) -> None:
    parent = etree.SubElement(element, "topActivations")
    for top in feature.top_activations[:TOP_ACTIVATIONS]:
        activation = etree.SubElement(parent, "activation", {"rank": str(top.rank), "textIndex": str(top.text_index)})
        _add(activation, "text", top.text)
        _add_figures(activation, value=top.activation_strength)
        _add(activation, "context", top.context)


def _statistics(element: etree._Element, figures: ActivationStatistics) -> None:
    _add_figures(
        element,
        mean=figures.mean,
        std=figures.std,
        min=figures.min,
        max=figures.max,
        skew=figures.skew,
        kurtosis=figures.kurtosis,
        positives=figures.positives,
        density=figures.density,
        log10Density=figures.log10_density,
        frequency=figures.frequency,
        effectiveCount=figures.effective_count,
    )


def _measures(element: etree._Element, feature: FeatureReport) -> None:
    coherence, diversity = feature.coherence, feature.diversity
    _add_figures(
        etree.SubElement(element, "coherence"),
        activationSpace=coherence.activation_space,
        activationBaseline=coherence.activation_baseline,
        textSpace=coherence.text_space,
        textBaseline=coherence.text_baseline,
    )
    _add_figures(
        etree.SubElement(element, "diversity"),
        vendiScore=diversity.vendi_score,
        nearDuplicateShare=diversity.near_duplicate_share,
    )


def _geometry(element: etree._Element, geometry: Geometry) -> None:
    for neighbor in geometry.nearest:
        _add(element, "nearest", number_text(neighbor.cosine), id=str(neighbor.feature_id))
    if (opposed := geometry.most_opposed) is not None:
        _add(element, "mostOpposed", number_text(opposed.cosine), id=str(opposed.feature_id))
    _add_figures(
        element,
        encoderDecoderCosine=geometry.encoder_decoder_cosine,
        decoderNorm=geometry.decoder_norm,
        encoderNorm=geometry.encoder_norm,
        encoderBias=geometry.encoder_bias,
    )


def _findings(element: etree._Element, feature: FeatureReport) -> None:
    flags = etree.SubElement(element, "flags")
    for name, figure in feature.flags.items():
        _add(flags, "flag", number_text(figure), name=name)
    outliers = etree.SubElement(element, "outlierExamples")
    for outlier in feature.outlier_examples:
        _add(
            outliers,
            "outlier",
            number_text(outlier.activation_strength),
            textIndex=str(outlier.text_index),
            reasons=" ".join(outlier.reasons),
        )
    reasons = etree.SubElement(element, "reasons")
    for name, reason in feature.reasons.items():
        _add(reasons, "reason", reason, name=name)


def _evidence(element: etree._Element, feature: FeatureReport) -> None:
    coherence, held_out = feature.coherence, feature.held_out
    _add_figures(
        element,
        priorityScore=feature.priority_score,
        scoreLow=coherence.score_low,
        scoreHigh=coherence.score_high,
        activationPercentile=coherence.activation_percentile,
        textPercentile=coherence.text_percentile,
        separability=held_out.separability,
    )
    if held_out.keyword is not None:
        _add(element, "heldOutKeyword", held_out.keyword)
    _add_figures(
        element,
        heldOutKeywordAuroc=held_out.keyword_auroc,
        reconstructionError=feature.reconstruction_error,
        activationUnity=coherence.activation_unity,
        textUnity=coherence.text_unity,
    )
    coactive = etree.SubElement(element, "coactiveFeatures")
    for other in feature.coactive:
        correlation = {} if other.correlation is None else {"correlation": number_text(other.correlation)}
        _add(coactive, "coactive", number_text(other.jaccard), id=str(other.feature_id), **correlation)
