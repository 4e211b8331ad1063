"""Strategies for events and metadata.json: almost right, and damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from support.hostile.events import BINARY, STRUCTURED
from support.runs import make_run

from fuzz.targets import join

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

JOB = "train_20260102_030405_0001"
NAMES = st.sampled_from(
    [
        "job_id",
        "bucket",
        "artifacts",
        "parameters",
        "Records",
        "specversion",
        "type",
        "data",
        "data_base64",
        "id",
        "time",
        "source",
        "metadata",
        "sae_model",
        "key",
        "size",
        "sha256",
        "etag",
        "top_k",
        "coherence_threshold",
        "s3",
        "object",
        *["eventName", "name", "traceparent", "datacontenttype", "dataschema", "ready_for_find_service", "timestamp"],
    ]
)
TEXTS = st.text(max_size=20) | st.sampled_from(
    [
        *[JOB, "..", "../a", "a/../b", "/a", "a//b", "a\\b", "\ud800", "\x00", "1.0", "x" * 300],
        "io.mistudio.training.completed.v1",
        f"activations/{JOB}/metadata.json",
        "activations%2Fa%2Fmetadata.json",
        "s3:ObjectCreated:Put",
        "2026-01-02T03:04:05Z",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "eyJqb2JfaWQiOiJhIn0=",
    ]
)
ODD_NAMES = st.sampled_from(["\ud800", "A-b", "", "\u00e9", "a\x00", "x" * 70])
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 1 << 63, 1 << 64, 10**400, 1e308])
VALUES: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXTS, inner, max_size=5),
    max_leaves=16,
)


@st.composite
def changed(draw: DrawFn, base: SearchStrategy[Any]) -> Any:
    """A document with some of its values replaced, dropped or added, at any depth."""
    document = json.loads(json.dumps(draw(base)))
    for _ in range(draw(st.integers(0, 3))):
        inside = document
        while isinstance(inside, dict) and inside:
            name = draw(st.sampled_from(sorted(inside)))
            if draw(st.integers(0, 2)) == 0:
                inside[draw(NAMES | TEXTS | ODD_NAMES)] = draw(VALUES)
                break
            if not isinstance(inside[name], dict) or draw(st.booleans()):
                inside[name] = draw(VALUES)
                break
            inside = inside[name]
    return document


@st.composite
def written(draw: DrawFn, documents: SearchStrategy[Any]) -> bytes:
    """JSON in some encoding, perhaps damaged."""
    text = json.dumps(
        draw(documents),
        ensure_ascii=draw(st.sampled_from([True, True, False])),
        indent=draw(st.sampled_from([None, 1])),
    )
    content = bytearray(
        text.encode(draw(st.sampled_from(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-32-be"])), "surrogatepass")
    )
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(content)))
        piece = draw(
            st.binary(max_size=4)
            | st.sampled_from([b'"', b"\\", b"{", b"]", b"[" * 2000, b"1e999", b"9" * 5000, b"\xff"])
        )
        content[at : at + draw(st.integers(0, 5))] = piece
    return bytes(content[: draw(st.integers(0, len(content)))]) if draw(st.integers(0, 19)) == 0 else bytes(content)


_EVENT = {
    "job_id": JOB,
    "bucket": "mistudio",
    "artifacts": {"metadata": {"key": "a/b", "size": 3}},
    "parameters": {"top_k": 3},
}
_STRUCTURED = {
    "specversion": "1.0",
    "type": "io.mistudio.training.completed.v1",
    "source": "/trainer",
    "id": "1",
    "time": "2026-01-02T03:04:05Z",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "data": _EVENT,
}
_NOTIFICATION = {
    "Records": [
        {
            "eventName": "s3:ObjectCreated:Put",
            "s3": {"bucket": {"name": "mistudio"}, "object": {"key": f"activations%2F{JOB}%2Fmetadata.json"}},
        }
    ]
}
_HEADERS = st.lists(
    st.tuples(
        st.text(max_size=10)
        | st.sampled_from(["ce_type", "ce_time", "ce_id", "ce_specversion", "content-type", "traceparent", "CE_x"]),
        st.binary(max_size=30) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    ),
    max_size=4,
)


@st.composite
def events(draw: DrawFn) -> bytes:
    """A record in any of the forms."""
    base, headers = draw(
        st.sampled_from(
            [(_EVENT, BINARY), (_EVENT, []), (_STRUCTURED, STRUCTURED), (_STRUCTURED, []), (_NOTIFICATION, [])]
        )
    )
    near = draw(st.integers(0, 9)) > 0
    value = draw(written(changed(st.just(base))) if near else written(VALUES) | st.binary(max_size=100))
    more: list[tuple[str, bytes]] = draw(st.just([]) | _HEADERS)
    return join([*headers, *more], value)


METADATA = make_run(n_texts=6, n_features=4, d=3).metadata


def metadata() -> SearchStrategy[bytes]:
    """A metadata.json."""
    return written(changed(st.just(METADATA)) | VALUES) | st.binary(max_size=100)
