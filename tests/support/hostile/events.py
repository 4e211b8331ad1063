"""Records of training-complete made to harm the worker that reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

JOB = "hostile-good"
"""A job that is there: what names it and is no refusal must end in its result."""
MEBIBYTE = 1_000_000
"""A little less: the topic takes no more."""

Headers = list[tuple[str, bytes]]
BINARY: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_type", b"io.mistudio.training.completed.v1"),
    ("ce_source", b"/trainer"),
    ("ce_id", b"1"),
    ("content-type", b"application/json"),
]
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]


@dataclass(frozen=True)
class HostileEvent:
    """A record and how it must end: with one of the error codes, or `completed`."""

    what: str
    codes: tuple[str, ...]
    value: bytes
    headers: Headers = field(default_factory=list)


MALFORMED, DONE = ("EVENT_MALFORMED",), ("completed",)
FIELD, KEY, JOB_ID = ("INVALID_FIELD",), ("UNSAFE_KEY",), ("INVALID_JOB_ID",)
PARAMETER, NOTIFICATION = ("INVALID_PARAMETER",), ("NOTIFICATION_UNEXPECTED",)


def _plain(**data: object) -> bytes:
    return json.dumps({"job_id": JOB, **data}).encode()


def _structured(**attributes: object) -> bytes:
    event = {"specversion": "1.0", "type": "io.mistudio.training.completed.v1", "source": "/trainer", "id": "1"}
    return json.dumps({**event, "data": {"job_id": JOB}, **attributes}).encode()


def _filled(piece: bytes) -> bytes:
    """A megabyte beside a job id."""
    return b'{"job_id": "%s", "note": [%s]}' % (JOB.encode(), b",".join([piece] * (MEBIBYTE // (len(piece) + 2))))


def _key(key: str) -> bytes:
    return _plain(artifacts={"metadata": {"key": key}})


def _notified(key: str, records: int = 1) -> bytes:
    record = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "some-bucket"}, "object": {"key": key}}}
    return json.dumps({"Records": [record] * records}).encode()


HOSTILE_EVENTS = {
    "megabyte": HostileEvent("a megabyte beside the job id", DONE, _plain(note="x" * (MEBIBYTE - 100))),
    "megabyte_job": HostileEvent("a job id of a megabyte", JOB_ID, json.dumps({"job_id": "x" * MEBIBYTE}).encode()),
    "noise": HostileEvent("a megabyte of no JSON", MALFORMED, b"\x00\xff" * (MEBIBYTE // 2)),
    "deep_lists": HostileEvent("lists nested 500,000 deep", MALFORMED, b"[" * MEBIBYTE),
    "deep_objects": HostileEvent("objects nested 2,000 deep", MALFORMED, b'{"job_id":' * 2000 + b"1" + b"}" * 2000),
    "many_lists": HostileEvent("300,000 empty lists", MALFORMED, _filled(b"[]")),
    "many_numbers": HostileEvent("300,000 numbers", MALFORMED, _filled(b"0")),
    "many_keys": HostileEvent("100,000 keys", MALFORMED, _plain(**{f"k{n}": 0 for n in range(70_000)})),
    "digits": HostileEvent("an integer of 10^5 digits", MALFORMED, b'{"job_id": ' + b"9" * 100_000 + b"}"),
    "infinity": HostileEvent(
        "Infinity for a parameter", PARAMETER, b'{"job_id": "a", "parameters": {"top_k": Infinity}}'
    ),
    "huge_parameter": HostileEvent("a parameter of 4,000 digits", PARAMETER, _plain(parameters={"top_k": 10**4000})),
    "duplicate_keys": HostileEvent("a job id twice", JOB_ID, b'{"job_id": "%s", "job_id": "../x"}' % JOB.encode()),
    "utf16": HostileEvent("UTF-16", DONE, _plain().decode().encode("utf-16")),
    "surrogate_job": HostileEvent("an unpaired surrogate in the job id", JOB_ID, b'{"job_id": "\\ud800"}'),
    "surrogate_key": HostileEvent("an unpaired surrogate in a key", FIELD, _key("\ud800")),
    "nul_key": HostileEvent("NUL in a key", KEY, _key("a\x00b")),
    "dot_dot_key": HostileEvent("a key with ..", KEY, _key("activations/../../secret")),
    "absolute_key": HostileEvent("an absolute key", KEY, _key("/etc/passwd")),
    "empty_part": HostileEvent("a key with an empty part", KEY, _key("activations//metadata.json")),
    "long_key": HostileEvent("a key of 2,000 bytes", (*KEY, *FIELD), _key("x" * 2000)),
    "many_slashes": HostileEvent("a key of 400,000 parts", (*KEY, *FIELD), _key("a/" * 400_000 + "a")),
    "dot_dot_job": HostileEvent("a job id with ..", JOB_ID, b'{"job_id": "a..b"}'),
    "path_job": HostileEvent("a path for a job id", JOB_ID, b'{"job_id": "../../etc/passwd"}'),
    "object_job": HostileEvent("an object for a job id", JOB_ID, b'{"job_id": {"$ne": null}}'),
    "odd_bucket": HostileEvent("a bucket that is a path", FIELD, _plain(bucket="../other")),
    "address_bucket": HostileEvent("a bucket that is an address", FIELD, _plain(bucket="169.254.169.254")),
    "negative_size": HostileEvent("a negative size", FIELD, _plain(artifacts={"metadata": {"key": "a", "size": -1}})),
    "foreign_type": HostileEvent("another type", ("EVENT_TYPE_UNKNOWN",), _structured(type="x" * 10_000), STRUCTURED),
    "surrogate_attribute": HostileEvent(
        "an attribute named by a surrogate", MALFORMED, _structured(**{"\ud800": "x"}), STRUCTURED
    ),
    "many_attributes": HostileEvent(
        "16,000 attributes with bad names", MALFORMED, _structured(**{f"A-{n}": 1 for n in range(16_000)}), STRUCTURED
    ),
    "long_time": HostileEvent(
        "a time of a megabyte", MALFORMED, _structured(time="2026-01-01T00:00:00." + "1" * 900_000), STRUCTURED
    ),
    "bad_base64": HostileEvent(
        "data that is no base64", MALFORMED, _structured(data=None, data_base64="*" * 1000), STRUCTURED
    ),
    "base64_noise": HostileEvent(
        "base64 of noise", MALFORMED, _structured(data=None, data_base64="/////w=="), STRUCTURED
    ),
    "both_modes": HostileEvent("a structured event in a binary one", FIELD, _structured(), BINARY),
    "many_headers": HostileEvent(
        "10,000 headers", MALFORMED, _plain(), [*BINARY, *((f"h{n}", b"x") for n in range(10_000))]
    ),
    "ce_headers": HostileEvent(
        "4,000 attributes in headers", DONE, _plain(), [*BINARY, *((f"ce_h{n}", b"x") for n in range(4_000))]
    ),
    "long_header": HostileEvent("a header of 500,000 bytes", DONE, _plain(), [*BINARY, ("ce_note", b"%41" * 160_000)]),
    "binary_header": HostileEvent(
        "a header that is no UTF-8", MALFORMED, _plain(), [*BINARY, ("ce_note", b"\xff\xfe")]
    ),
    "empty_headers": HostileEvent("headers without names", DONE, _plain(), [("", b""), ("", b"\x00")] * 100),
    "trace": HostileEvent(
        "a traceparent with a line break", DONE, _plain(), [*BINARY, ("traceparent", b"00-\r\nx: y")]
    ),
    "many_records": HostileEvent(
        "a notification of 300 files", NOTIFICATION, _notified("activations/a/metadata.json", 300)
    ),
    "empty_records": HostileEvent(
        "4,000 records that are nothing", NOTIFICATION, b'{"Records": [' + b"{}," * 4000 + b"{}]}"
    ),
    "notified_dots": HostileEvent(
        "a notification with %2e%2e", (*NOTIFICATION, *KEY, *JOB_ID), _notified("activations/%2e%2e/metadata.json")
    ),
    "notified_slashes": HostileEvent("a notification with 400,000 slashes", NOTIFICATION, _notified("a/" * 400_000)),
}
