"""MinIO's own bucket notification, by which an unchanged trainer triggers the worker."""

from __future__ import annotations

import re
from typing import TypeGuard
from urllib.parse import unquote_plus

from pydantic import Field, ValidationError

from mistudio_worker.contracts.events import ArtifactRefsV1, ArtifactRefV1, TrainingCompletedV1
from mistudio_worker.contracts.wire import WireModel
from mistudio_worker.errors import RefusedInput

_METADATA_KEY = re.compile(r"(?P<prefix>(?:[^/]+/)*)activations/(?P<job>[^/]+)/metadata\.json")

_MAX_KEY = 3 * 1024  # what S3 takes, each byte escaped


class _Named(WireModel):
    name: str


class _Object(WireModel):
    key: str = Field(description="URL-encoded")


class _S3(WireModel):
    bucket: _Named
    object: _Object


class _NotificationRecord(WireModel):
    event_name: str = Field(alias="eventName")
    s3: _S3


class BucketNotificationV1(WireModel):
    """The S3 event message as MinIO's Kafka target sends it."""

    records: list[_NotificationRecord] = Field(alias="Records", min_length=1)


def is_bucket_notification(data: object) -> TypeGuard[dict[str, list[object]]]:
    """Whether parsed JSON looks like a bucket notification."""
    return isinstance(data, dict) and isinstance(data.get("Records"), list)


def training_completed(data: object) -> TrainingCompletedV1:
    """Read the training run that a notification announces.

    The files are looked for beside the metadata, so a prefix before `activations/` is kept.

    Raises:
        RefusedInput: `NOTIFICATION_UNEXPECTED`, not the creation of one `activations/<job>/metadata.json`.
    """
    count = len(data["Records"]) if is_bucket_notification(data) else 0
    if count != 1:  # before they are looked at: each can fail in many ways
        raise _unexpected(f"{count:,} records")
    try:
        record = BucketNotificationV1.model_validate(data).records[0]
    except ValidationError as error:
        raise _unexpected(f"a bucket notification without its fields: {error.errors()[0]['loc']}") from error
    if not record.event_name.removeprefix("s3:").startswith("ObjectCreated:"):
        raise _unexpected(f"the event {record.event_name!r:.80}")
    key = unquote_plus(record.s3.object.key[:_MAX_KEY])
    match = _METADATA_KEY.fullmatch(key)
    if match is None or len(record.s3.object.key) > _MAX_KEY:
        raise _unexpected(f"key {key!r:.200}")
    prefix, job = match["prefix"], match["job"]
    try:
        return TrainingCompletedV1(
            job_id=job,
            bucket=record.s3.bucket.name,
            artifacts=ArtifactRefsV1(
                sae_model=ArtifactRefV1(key=f"{prefix}models/{job}/sae_model.pt"),
                feature_activations=ArtifactRefV1(key=f"{prefix}activations/{job}/feature_activations.pt"),
                metadata=ArtifactRefV1(key=key),
            ),
        )
    except ValidationError as error:
        raise _unexpected(f"job {job!r:.150} or bucket {record.s3.bucket.name!r:.80} is not a valid name") from error


def _unexpected(found: str) -> RefusedInput:
    return RefusedInput(
        "NOTIFICATION_UNEXPECTED",
        f"the bucket notification has {found}; expected the creation of one activations/<job>/metadata.json",
        "narrow it to s3:ObjectCreated:* with suffix metadata.json, see docs/howto/bucket-notifications.md",
    )
