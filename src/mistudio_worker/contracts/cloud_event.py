"""CloudEvents 1.0 over Kafka: both modes are read, binary is written."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, from_structured, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mistudio_worker.contracts.wire import WireModel

SOURCE = "/mistudio/worker"
STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
Headers = list[tuple[str, bytes]]
MAX_CONTAINERS = 4096
MAX_COMMAS = 1 << 14
MAX_HEADERS = 4096
"""Bounds on an event, a hundred times what any event has: they bound the time to parse it."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{1,64})?")


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as it came: its attributes are checked, its data is not yet.

    `type` is None where the record was plain JSON; `traceparent` where it is not of the form that W3C gives it.
    """

    type: str | None
    id: str | None
    data: Any
    traceparent: str | None


def decode(headers: Sequence[tuple[str, bytes]], value: bytes | None) -> ReceivedEvent:
    """Read a record in structured or binary mode, or as plain JSON.

    The content type is looked at first: a structured event may travel with `ce_` headers.

    Raises:
        RefusedInput: `EVENT_MALFORMED`, not JSON or not a CloudEvent 1.0.
    """
    if not value:
        raise _malformed("the record is empty, expected a JSON object")
    if len(headers) > MAX_HEADERS:
        raise _malformed(f"the record has {len(headers):,} headers, expected at most {MAX_HEADERS:,}")
    if value.count(b"[") + value.count(b"{") > MAX_CONTAINERS or value.count(b",") > MAX_COMMAS:
        raise _malformed(f"the record holds more than {MAX_CONTAINERS:,} lists and objects or {MAX_COMMAS:,} values")
    names = {name.lower(): content for name, content in headers}
    content_type = names.get("content-type", b"").decode("ascii", "replace").split(";")[0].strip().lower()
    try:
        if content_type == STRUCTURED_CONTENT_TYPE:
            return _received(from_structured(KafkaMessage({}, None, value), JSONFormat(), CloudEvent), names)
        if any(name.startswith("ce_") for name in names):
            return _received(_from_binary(names, value), names)
        return _plain(value, names)
    except RefusedInput:
        raise
    except Exception as error:  # the library raises errors of many kinds for malformed input
        raise _malformed(f"the record is no readable event: {type(error).__name__}: {str(error)[:300]}") from error


def encode(  # noqa: PLR0913 - the attributes of a CloudEvent, by name
    *, event_type: str, event_id: str, time: datetime, subject: str, data: WireModel, traceparent: str | None
) -> tuple[Headers, bytes]:
    """Write an event in binary mode.

    Returns:
        Headers and value of the record.
    """
    attributes: dict[str, Any] = {
        "type": event_type,
        "source": SOURCE,
        "id": event_id,
        "time": time,
        "subject": subject,
        "datacontenttype": "application/json",
    }
    # the data is written here: the library would escape every letter outside ASCII, up to three times the bytes
    message = to_binary(CloudEvent(attributes, None), JSONFormat())
    written: Headers = list(message.headers.items())
    if traceparent is not None:
        written.append(("traceparent", traceparent.encode()))
    return written, data.model_dump_json().encode()


def _from_binary(names: dict[str, bytes], value: bytes) -> Any:
    spec = {name: content for name, content in names.items() if name.startswith("ce_")}
    return from_binary(
        KafkaMessage({**spec, "content-type": b"application/json"}, None, value), JSONFormat(), CloudEvent
    )


def _received(event: Any, names: dict[str, bytes]) -> ReceivedEvent:
    return ReceivedEvent(
        type=event.get_type(),
        id=event.get_id(),
        data=event.get_data(),
        traceparent=_traceparent(event.get_extension("traceparent")) or _header_traceparent(names),
    )


def _plain(value: bytes, names: dict[str, bytes]) -> ReceivedEvent:
    data = json.loads(value)
    if isinstance(data, dict) and "specversion" in data:
        return _received(from_structured(KafkaMessage({}, None, value), JSONFormat(), CloudEvent), names)
    return ReceivedEvent(type=None, id=None, data=data, traceparent=_header_traceparent(names))


def _header_traceparent(names: dict[str, bytes]) -> str | None:
    return _traceparent(names.get("traceparent", b"").decode("ascii", "replace"))


def _traceparent(value: object) -> str | None:
    """Return it if it can go out again: an outcome must not fail over a field that is news only."""
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None


def _malformed(message: str) -> RefusedInput:
    return RefusedInput(
        "EVENT_MALFORMED",
        message,
        "send a CloudEvents 1.0 event of the schema training-complete, or a JSON object with a job_id",
    )
