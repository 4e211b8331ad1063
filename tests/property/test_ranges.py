from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.memory_runs import random_sae, run_of

from mistudio_worker.analysis.analyze import analyze
from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.contracts.results import ResultsV1
from mistudio_worker.domain.identity import JobIdentity
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.exports.json_export import write_json

if TYPE_CHECKING:
    from mistudio_worker.domain.training_run import TrainingRun

IDENTITY = JobIdentity("train_20260102_030405_0001", "find_20260102_030405_00000000", "0" * 64)
TEXTS = ("", " ", "river boat", "river boat", '{"type": "string"}', "你好世界", "at 15min past noon", "word " * 200)
EXPLAINED = (
    "activation_statistics.skew",
    "activation_statistics.kurtosis",
    "activation_statistics.log10_density",
    "activation_statistics.effective_count",
    "complexity_score",
    "diversity.vendi_score",
    "diversity.near_duplicate_share",
    "geometry.most_opposed",
    "geometry.nearest",
    "geometry.encoder_decoder_cosine",
    "held_out.separability",
    "coactive",
    "reconstruction_error",
)
"""Fields that are null or empty only with a reason."""


@st.composite
def runs(draw: st.DrawFn) -> TrainingRun:
    """Runs of at most 12 texts and 4 features, with everything that may be missing, broken, equal or extreme."""
    rows, features, seed = draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.integers(0, 1 << 16))
    random = np.random.default_rng(seed)
    cells = np.where(random.random((rows, features)) < 0.5, random.gamma(1.0, 1.0, size=(rows, features)), 0.0)
    for feature in range(features):
        kind = draw(st.sampled_from(["any", "any", "dead", "constant", "huge", "tiny", "invalid"]))
        fixed = {"dead": 0.0, "constant": 2.5, "invalid": np.nan}
        cells[:, feature] = fixed.get(kind, cells[:, feature] * {"huge": 1e37, "tiny": 1e-38}.get(kind, 1.0))
    originals = draw(st.sampled_from(["none", "any", "equal", "zero", "some broken", "all broken"]))
    vectors = random.normal(size=(rows, 3)) + 5.0
    vectors[:] = {"equal": 3.3, "zero": 0.0, "all broken": np.nan}.get(originals, vectors)
    if originals == "some broken":
        vectors[:: draw(st.integers(1, 3))] = np.inf
    texts = draw(st.lists(st.sampled_from(TEXTS), min_size=rows, max_size=rows))
    run = run_of(cells, texts, None if originals == "none" else vectors)
    sae = random_sae(features, 3, seed)
    if draw(st.booleans()):
        sae.decoder_weight[:, 0] = 0.0
    return replace(
        run,
        sae=draw(st.sampled_from([None, sae])),
        invalid_features=tuple(np.flatnonzero(np.isnan(cells).any(axis=0)).tolist()),
        invalid_texts=() if originals == "none" else tuple(np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist()),
    )


def value_at(feature: dict[str, Any], path: str) -> Any:
    """Return a field of a feature by its dotted name; null where a part of the way is."""
    value: Any = feature
    for step in path.split("."):
        value = None if value is None else value[step]
    return value


@settings(deadline=None, max_examples=60)
@given(run=runs(), top_k=st.sampled_from([1, 5, 20]))
@example(run=run_of(np.arange(8.0)[:, None], [""] * 6 + ["river boat"] * 2), top_k=1)
def test_every_figure_is_in_its_range_or_null_with_a_reason(run: TrainingRun, top_k: int) -> None:
    """Whatever the run: the contract accepts the results, every null has a reason, and every reason a null."""
    result = analyze(run, identity=IDENTITY, parameters=Parameters(top_k=top_k), taxonomy=default_taxonomy())
    stream = io.BytesIO()
    write_json(result, stream)
    document = ResultsV1.model_validate_json(stream.getvalue()).model_dump()
    for feature in document["features"]:
        reasons = feature["reasons"]
        for path in EXPLAINED:
            defined = value_at(feature, path) not in (None, [])
            named = path in reasons or path.split(".")[0] in reasons
            assert defined != named, (path, value_at(feature, path), reasons)
        for field in ("modified_z", "similarity"):
            if any(example[field] is None for example in feature["outlier_examples"]):
                assert f"outlier_examples.{field}" in reasons
        assert (feature["complexity"] is None) == (feature["complexity_score"] is None)
