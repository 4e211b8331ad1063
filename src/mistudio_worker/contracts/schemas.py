"""The schemas directory, made from the models: one JSON Schema a type and version, and asyncapi.yaml."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from mistudio_worker.contracts import events
from mistudio_worker.contracts.bucket_notification import BucketNotificationV1
from mistudio_worker.contracts.comparison import ComparisonV1
from mistudio_worker.contracts.index import IndexV1
from mistudio_worker.contracts.manifest import ManifestV1
from mistudio_worker.contracts.results import ResultsV1

if TYPE_CHECKING:
    from pydantic import BaseModel

MODELS: dict[str, type[BaseModel]] = {
    "training-complete.v1": events.TrainingCompletedV1,
    "find-complete.v1": events.FindCompletedV1,
    "find-failed.v1": events.FindFailedV1,
    "find-progress.v1": events.FindProgressV1,
    "parameters.v1": events.ParametersV1,
    "bucket-notification.v1": BucketNotificationV1,
    "manifest.v1": ManifestV1,
    "results.v1": ResultsV1,
    "index.v1": IndexV1,
    "comparison.v1": ComparisonV1,
}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"

# topic -> event type, schema, whether the worker receives or sends it, what it means
_CHANNELS = {
    "training-complete": (events.TRAINING_COMPLETED_V1, "receive", "A training run is finished."),
    "find-complete": (events.FIND_COMPLETED_V1, "send", "The features of a run are analysed."),
    "find-failed": (events.FIND_FAILED_V1, "send", "A run could not be analysed."),
    "find-progress": (events.FIND_PROGRESS_V1, "send", "How far a job is."),
}
_DEAD_LETTERS = "training-complete.dead-letter"
_DEAD_LETTER_HEADERS = (
    "error-code",
    "error-message",
    "error-hint",
    "original-topic",
    "original-partition",
    "original-offset",
    "original-timestamp",
    "attempt",
)


def schema_files() -> dict[str, bytes]:
    """Return every generated file, name -> content; the same models are always the same bytes."""
    files = {f"{name}.json": _json(_schema(name, model)) for name, model in MODELS.items()}
    files["asyncapi.yaml"] = yaml.safe_dump(_asyncapi(), sort_keys=False, width=110, allow_unicode=True).encode()
    return files


def _schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"$schema": _DIALECT, "$id": f"urn:mistudio:{name}", **model.model_json_schema()}


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _asyncapi() -> dict[str, Any]:
    meanings = {topic: meaning for topic, (_, _, meaning) in _CHANNELS.items()}
    meanings[_DEAD_LETTERS] = "Records of training-complete that could not be processed, whole, and why."
    actions = {topic: action for topic, (_, action, _) in _CHANNELS.items()} | {_DEAD_LETTERS: "send"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "mistudio_worker",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 over Kafka. Structured and binary mode are read, binary mode is written. "
            "The record's key is the training job id; the header traceparent goes through.",
        },
        "defaultContentType": "application/json",
        "channels": {
            topic: {
                "address": topic,
                "description": meaning,
                "messages": {"event": {"$ref": f"#/components/messages/{topic}"}},
            }
            for topic, meaning in meanings.items()
        },
        "operations": {
            f"{action}-{topic}": {"action": action, "channel": {"$ref": f"#/channels/{topic}"}}
            for topic, action in actions.items()
        },
        "components": {
            "messages": {**{topic: _message(topic) for topic in _CHANNELS}, _DEAD_LETTERS: _dead_letter_message()}
        },
    }


def _dead_letter_message() -> dict[str, Any]:
    return {
        "name": "dead letter",
        "summary": "The record's own key, value and headers, with these headers added.",
        "description": "A value too large for the topic lies in the results bucket; then the content type is "
        "application/vnd.mistudio.pointer+json and the value names bucket, key, size and sha256.",
        "headers": {
            "type": "object",
            "required": list(_DEAD_LETTER_HEADERS),
            "properties": {name: {"type": "string"} for name in _DEAD_LETTER_HEADERS},
        },
        "payload": {"description": "the bytes of the original record"},
    }


def _message(topic: str) -> dict[str, Any]:
    event_type, _, meaning = _CHANNELS[topic]
    headers = ("ce_specversion", "ce_type", "ce_source", "ce_id")
    return {
        "name": event_type,
        "summary": meaning,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": list(headers),
            "properties": {
                **{name: {"type": "string"} for name in headers},
                "ce_type": {"const": event_type},
                "ce_specversion": {"const": "1.0"},
                "ce_time": {"type": "string", "format": "date-time"},
                "ce_subject": {"type": "string", "description": "the training job id"},
                "traceparent": {"type": "string"},
            },
        },
        "payload": {"$ref": f"./{topic}.v1.json"},
    }
