"""From a raw record to a request, in every form, and no further for what is wrong."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.house import JOB, record_of

from mistudio_worker.errors import RefusedInput
from mistudio_worker.worker.incoming import AllowedPlaces, TrainingRequest, read_request, readable_job_id

TYPE = "io.mistudio.training.completed.v1"
TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
BINARY = [
    ("ce_specversion", b"1.0"),
    ("ce_type", TYPE.encode()),
    ("ce_source", b"/trainer"),
    ("ce_id", b"1"),
    ("content-type", b"application/json"),
]
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def read(value: bytes | dict[str, Any] | None, headers: list[tuple[str, bytes]] | None = None) -> TrainingRequest:
    """Read a record with the default bucket `default-bucket`."""
    return read_request(record_of(value, headers=headers or ()), artifacts_bucket="default-bucket")


def refused(value: bytes | dict[str, Any], headers: list[tuple[str, bytes]] | None = None) -> RefusedInput:
    """Read a record that must be refused."""
    with pytest.raises(RefusedInput) as error:
        read(value, headers)
    assert error.value.hint
    return error.value


def event(data: object, **changes: object) -> dict[str, Any]:
    """A structured event."""
    return {"specversion": "1.0", "type": TYPE, "source": "/trainer", "id": "1", "data": data, **changes}


def notification(key: str, name: str = "s3:ObjectCreated:Put", bucket: str = "mistudio") -> dict[str, Any]:
    """What MinIO sends."""
    record = {"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "size": 5}}}
    return {"EventName": name, "Key": f"{bucket}/{key}", "Records": [record]}


class TestForms:
    @pytest.mark.parametrize(
        ("value", "headers"),
        [
            ({"job_id": JOB}, []),
            ({"job_id": JOB}, [("content-type", b"application/json")]),
            ({"job_id": JOB}, BINARY),
            ({"job_id": JOB}, [(name.upper(), content) for name, content in BINARY]),
            (event({"job_id": JOB}), STRUCTURED),
            (event({"job_id": JOB}), [*STRUCTURED, ("ce_type", b"something.else")]),
            (event({"job_id": JOB}), []),
        ],
        ids=["bare", "bare-json", "binary", "binary-upper", "structured", "structured-with-ce", "structured-bare"],
    )
    def test_all_forms_say_the_same(self, value: dict[str, Any], headers: list[tuple[str, bytes]]) -> None:
        """Bare, binary and structured events are one request, with the usual places of the files."""
        request = read(value, headers)
        assert (request.training_job_id, request.bucket) == (JOB, "default-bucket")
        assert {name: ref.key for name, ref in request.artifacts.items()} == {
            "sae_model": f"models/{JOB}/sae_model.pt",
            "feature_activations": f"activations/{JOB}/feature_activations.pt",
            "metadata": f"activations/{JOB}/metadata.json",
        }
        assert (request.parameters.top_k, request.parameters.coherence_threshold) == (20, 0.4)

    def test_what_is_spelled_out_as_absent(self) -> None:
        """A writer that serialises what it does not say as null means the defaults."""
        said = read({"job_id": JOB, "bucket": None, "artifacts": None, "parameters": None})
        assert said == read({"job_id": JOB})

    def test_everything_that_can_be_said(self) -> None:
        """Bucket, keys with what is known of them, and parameters are taken over; unknown fields are ignored."""
        request = read(
            {
                "job_id": JOB,
                "bucket": "other.bucket-1",
                "artifacts": {"metadata": {"key": "a b/ü.json", "size": 3, "sha256": "a" * 64, "etag": "e"}},
                "parameters": {"top_k": 5, "coherence_threshold": 0, "future": True},
                "future": {"field": [1]},
            }
        )
        assert request.bucket == "other.bucket-1"
        ref = request.artifacts["metadata"]
        assert (ref.key, ref.size, ref.sha256, ref.etag) == ("a b/ü.json", 3, "a" * 64, "e")
        assert request.artifacts["sae_model"].key == f"models/{JOB}/sae_model.pt"
        assert (request.parameters.top_k, request.parameters.coherence_threshold) == (5, 0.0)

    @pytest.mark.parametrize("prefix", ["", "team/a b/", "ü+%/"])
    def test_a_bucket_notification(self, prefix: str) -> None:
        """MinIO's message names bucket and run; its key is URL-encoded, a prefix is kept for all files."""
        request = read(notification(f"{prefix}activations/{JOB}/metadata.json"))
        assert (request.training_job_id, request.bucket) == (JOB, "mistudio")
        assert request.artifacts["metadata"].key == f"{prefix}activations/{JOB}/metadata.json"
        assert request.artifacts["feature_activations"].key == f"{prefix}activations/{JOB}/feature_activations.pt"
        assert request.artifacts["sae_model"].key == f"{prefix}models/{JOB}/sae_model.pt"

    @pytest.mark.parametrize("name", ["s3:ObjectCreated:CompleteMultipartUpload", "ObjectCreated:Put"])
    def test_other_words_for_created(self, name: str) -> None:
        """Every kind of creation counts, also as AWS spells it."""
        assert read(notification(f"activations/{JOB}/metadata.json", name)).training_job_id == JOB

    @pytest.mark.parametrize(
        ("value", "headers", "expected"),
        [
            ({"job_id": JOB}, [("traceparent", TRACE.encode())], TRACE),
            ({"job_id": JOB}, [*BINARY, ("ce_traceparent", TRACE.encode())], TRACE),
            (event({"job_id": JOB}, traceparent=TRACE), STRUCTURED, TRACE),
            (event({"job_id": JOB}, traceparent=7), [*STRUCTURED, ("traceparent", TRACE.encode())], TRACE),
            ({"job_id": JOB}, [("traceparent", b"00-zz")], None),
            (event({"job_id": JOB}, traceparent="\ud800"), STRUCTURED, None),
            ({"job_id": JOB}, [], None),
        ],
    )
    def test_traceparent(self, value: dict[str, Any], headers: list[tuple[str, bytes]], expected: str | None) -> None:
        """The trace is found wherever it may stand, and only one that can go out again is kept."""
        assert read(value, headers).traceparent == expected


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "value", "code"),
        [
            ("job_id", "", "INVALID_JOB_ID"),
            ("job_id", None, "INVALID_JOB_ID"),
            ("job_id", 5, "INVALID_JOB_ID"),
            ("job_id", ["a"], "INVALID_JOB_ID"),
            ("job_id", "../x", "INVALID_JOB_ID"),
            ("job_id", "a..b", "INVALID_JOB_ID"),
            ("job_id", "a/b", "INVALID_JOB_ID"),
            ("job_id", "a\n", "INVALID_JOB_ID"),
            ("job_id", "a\0b", "INVALID_JOB_ID"),
            ("job_id", "-a", "INVALID_JOB_ID"),
            ("job_id", "ü", "INVALID_JOB_ID"),
            ("job_id", "\ud800", "INVALID_JOB_ID"),
            ("job_id", "a" * 129, "INVALID_JOB_ID"),
            ("bucket", "UPPER", "INVALID_FIELD"),
            ("bucket", "a/b", "INVALID_FIELD"),
            ("bucket", "", "INVALID_FIELD"),
            ("bucket", "a..b", "INVALID_FIELD"),
            ("bucket", "192.168.0.1", "INVALID_FIELD"),
            ("bucket", 5, "INVALID_FIELD"),
            ("artifacts", [], "INVALID_FIELD"),
            ("artifacts", {"metadata": "key"}, "INVALID_FIELD"),
            ("artifacts", {"metadata": {}}, "INVALID_FIELD"),
            ("artifacts", {"metadata": {"key": ""}}, "INVALID_FIELD"),
            ("artifacts", {"metadata": {"key": "k", "size": -1}}, "INVALID_FIELD"),
            ("artifacts", {"metadata": {"key": "k", "size": "many"}}, "INVALID_FIELD"),
            ("artifacts", {"metadata": {"key": "k", "sha256": "A" * 64}}, "INVALID_FIELD"),
            ("artifacts", {"metadata": {"key": "\ud800"}}, "INVALID_FIELD"),
            ("parameters", {"top_k": 0}, "INVALID_PARAMETER"),
            ("parameters", {"top_k": 101}, "INVALID_PARAMETER"),
            ("parameters", {"top_k": 1.5}, "INVALID_PARAMETER"),
            ("parameters", {"top_k": True}, "INVALID_PARAMETER"),
            ("parameters", {"top_k": "20"}, "INVALID_PARAMETER"),
            ("parameters", {"coherence_threshold": "0.5"}, "INVALID_PARAMETER"),
            ("parameters", {"coherence_threshold": 1.1}, "INVALID_PARAMETER"),
            ("parameters", {"coherence_threshold": "high"}, "INVALID_PARAMETER"),
            ("parameters", 7, "INVALID_PARAMETER"),
        ],
    )
    def test_a_bad_field(self, field: str, value: object, code: str) -> None:
        """A field of the wrong type or range is refused by its name."""
        error = refused({"job_id": JOB, field: value})
        assert error.code == code
        assert field in error.message.replace("job id", "job_id")
        assert len(error.message) < 1_000

    @pytest.mark.parametrize("value", [b'{"job_id": "a", "parameters": {"coherence_threshold": NaN}}', b"{}"])
    def test_no_number_and_no_job(self, value: bytes) -> None:
        """NaN is no threshold, and an event without a job is none."""
        assert refused(value).code in {"INVALID_PARAMETER", "INVALID_FIELD"}

    @pytest.mark.parametrize(
        "key",
        [
            "../x",
            "a/../b",
            "a/./b",
            "/a",
            "a/",
            "a//b",
            "a\\b",
            "a\0b",
            "a\nb",
            "..",
            "a" * 256,
            "é" * 128,
            "a/" * 511 + "aé",
        ],
    )
    def test_an_unsafe_key(self, key: str) -> None:
        """A key that could mean another place, or that no store takes, is refused."""
        assert refused({"job_id": JOB, "artifacts": {"sae_model": {"key": key}}}).code == "UNSAFE_KEY"

    @pytest.mark.parametrize("kind", ["io.mistudio.training.completed.v2", "x" * 100_000, "\ud800"])
    def test_an_unknown_type(self, kind: str) -> None:
        """An event of another type is not guessed at."""
        error = refused(event({"job_id": JOB}, type=kind), STRUCTURED)
        assert error.code == "EVENT_TYPE_UNKNOWN"
        assert len(error.message) < 500

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"no JSON",
            b"\xff\xfe\x00",
            b"\x00",
            b"[" * 200_000,
            b'{"a":' * 100_000,
            b"1" * 10_000,
            b"[]",
            b"null",
            b'"text"',
            b"7",
            b'{"job_id": "a"',
            b"\xef\xbb\xbf{}",
        ],
        ids=lambda value: repr(value[:12]),
    )
    @pytest.mark.parametrize("headers", [[], BINARY, STRUCTURED], ids=["bare", "binary", "structured"])
    def test_what_is_no_event(self, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Bytes of any kind are refused in one sentence, in every mode, and name no job."""
        error = refused(value, headers)
        assert error.code in {"EVENT_MALFORMED", "INVALID_FIELD"}
        assert len(error.message) < 1_000
        assert readable_job_id(record_of(value, headers=headers)) is None

    @pytest.mark.parametrize("missing", ["ce_type", "ce_source"])
    def test_a_header_is_missing(self, missing: str) -> None:
        """A binary event without a required attribute is malformed."""
        assert refused({"job_id": JOB}, [h for h in BINARY if h[0] != missing]).code == "EVENT_MALFORMED"

    @pytest.mark.parametrize("missing", ["ce_id", "ce_specversion"])
    def test_a_header_that_nobody_needs(self, missing: str) -> None:
        """A binary event without id or version is read all the same: nothing here depends on them."""
        assert read({"job_id": JOB}, [h for h in BINARY if h[0] != missing]).training_job_id == JOB

    @pytest.mark.parametrize("changes", [{"time": "yesterday"}, {"id": ""}, {"specversion": "9"}, {"data": [1]}])
    def test_a_bad_attribute(self, changes: dict[str, object]) -> None:
        """A structured event with a bad attribute is malformed."""
        assert refused({**event({"job_id": JOB}), **changes}, STRUCTURED).code == "EVENT_MALFORMED"

    def test_no_value_at_all(self) -> None:
        """A tombstone is refused."""
        with pytest.raises(RefusedInput) as error:
            read_request(record_of(b"").__class__("t", 0, 0, -1, None, None, []), artifacts_bucket="b")
        assert error.value.code == "EVENT_MALFORMED"

    def test_a_megabyte(self) -> None:
        """A large event with a readable job is read like any other; its bulk is ignored."""
        assert read({"job_id": JOB, "note": "x" * (1 << 20)}).training_job_id == JOB
        error = refused({"job_id": "x" * (1 << 20)})
        assert (error.code, len(error.message) < 500) == ("INVALID_JOB_ID", True)

    @pytest.mark.parametrize(
        "data",
        [
            notification(f"activations/{JOB}/feature_activations.pt"),
            notification(f"activations/{JOB}/x/metadata.json"),
            notification("activations//metadata.json"),
            notification("activations/a b/metadata.json"),
            notification(f"activations/{JOB}/metadata.json", "s3:ObjectRemoved:Delete"),
            notification(f"activations/{JOB}/metadata.json", bucket="Bad Bucket"),
            {"Records": []},
            {"Records": [1]},
            {"Records": [{"eventName": "s3:ObjectCreated:Put"}]},
            {"Records": notification(f"activations/{JOB}/metadata.json")["Records"] * 2},
        ],
    )
    def test_another_notification(self, data: dict[str, Any]) -> None:
        """A notification of anything but one finished run is refused with the remedy."""
        error = refused(data)
        assert error.code == "NOTIFICATION_UNEXPECTED"
        assert "bucket-notifications" in error.hint

    def test_a_notification_with_dots(self) -> None:
        """A notification cannot smuggle '..' in, and names no job then."""
        data = notification("activations/a..b/metadata.json")
        assert refused(data).code == "INVALID_JOB_ID"
        assert readable_job_id(record_of(data)) is None


class TestReadableJob:
    @pytest.mark.parametrize(
        ("value", "headers"),
        [
            ({"job_id": JOB, "bucket": "BAD"}, []),
            ({"job_id": JOB, "bucket": "BAD"}, BINARY),
            (event({"job_id": JOB}, type="other"), STRUCTURED),
            (notification(f"activations/{JOB}/metadata.json"), []),
        ],
    )
    def test_a_job_behind_a_bad_field(self, value: dict[str, Any], headers: list[tuple[str, bytes]]) -> None:
        """Who waits for the job is told, though its event is refused."""
        assert readable_job_id(record_of(value, headers=headers)) == JOB

    @pytest.mark.parametrize("value", [{}, {"job_id": "../x"}, {"job_id": 3}, {"Records": []}])
    def test_no_job(self, value: dict[str, Any]) -> None:
        """What is no valid job id is never spread."""
        assert readable_job_id(record_of(value)) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["job_id", "bucket", "artifacts", "parameters", "Records", "specversion", "type", "data"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine every step may take long
@given(st.binary(max_size=300) | st.dictionaries(FIELDS, json_values, max_size=5).map(lambda v: json.dumps(v).encode()))
def test_nothing_else_comes_out(value: bytes) -> None:
    """Whatever the bytes, they are read or refused; no other error comes out, in any mode."""
    for headers in ([], BINARY, STRUCTURED, [("ce_", b"\xff"), ("content-type", b"\xff")]):
        record = record_of(value, headers=headers)
        try:
            read_request(record, artifacts_bucket="bucket")
        except RefusedInput:
            readable_job_id(record)


OURS_AND_ANOTHER = AllowedPlaces(frozenset({"another"}), ("models/", "activations/", "team/"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({}, None),
        ({"bucket": "ours"}, None),
        ({"bucket": "another"}, None),
        ({"bucket": "of-others"}, "BUCKET_NOT_ALLOWED"),
        ({"artifacts": {"metadata": {"key": "team/a/metadata.json"}}}, None),
        ({"artifacts": {"metadata": {"key": "teams/metadata.json"}}}, "KEY_NOT_ALLOWED"),
        ({"artifacts": {"sae_model": {"key": "find/x/models/sae.pt"}}}, "KEY_NOT_ALLOWED"),
    ],
)
def test_places_that_are_not_allowed(data: dict[str, Any], code: str | None) -> None:
    """An event may name only buckets and beginnings of keys that are allowed; the worker's own bucket always is."""
    record = record_of({"job_id": JOB, **data})
    if code is None:
        read_request(record, artifacts_bucket="ours", allowed=OURS_AND_ANOTHER)
        return
    with pytest.raises(RefusedInput) as refused:
        read_request(record, artifacts_bucket="ours", allowed=OURS_AND_ANOTHER)
    assert refused.value.code == code


def test_a_notification_of_another_bucket() -> None:
    """A bucket notification is held to the same buckets."""
    record = record_of(notification(f"activations/{JOB}/metadata.json", bucket="of-others"))
    with pytest.raises(RefusedInput) as refused:
        read_request(record, artifacts_bucket="ours", allowed=OURS_AND_ANOTHER)
    assert refused.value.code == "BUCKET_NOT_ALLOWED"
