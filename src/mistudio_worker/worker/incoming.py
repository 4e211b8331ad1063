"""From a raw record to what is asked of the worker."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mistudio_worker.contracts import bucket_notification, cloud_event
from mistudio_worker.contracts.events import TRAINING_COMPLETED_V1, ArtifactRefV1, TrainingCompletedV1
from mistudio_worker.domain.identity import check_training_job_id
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from mistudio_worker.worker.ports import Record

ARTIFACT_NAMES = ("feature_activations", "metadata", "sae_model")
# What stores keep on disk: a longer key is answered with an error that looks like an outage.
KEY_MAX_BYTES = 1024
KEY_PART_MAX_BYTES = 255
EVENT_ID_CHARACTERS = 200
_NO_BUCKET = re.compile(r".*(\.\.|\.-|-\.).*|[0-9]+(\.[0-9]+){3}")


@dataclass(frozen=True, slots=True)
class AllowedPlaces:
    """Where the artifacts of an event may lie.

    Attributes:
        buckets: besides the worker's own one for artifacts; None: any.
        prefixes: beginnings of object keys; none at all: any key.
    """

    buckets: frozenset[str] | None = None
    prefixes: tuple[str, ...] = ()


ANYWHERE = AllowedPlaces()


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A checked training-complete event.

    Attributes:
        training_job_id: safe in keys and paths.
        bucket: where the artifacts lie.
        usual_bucket: the worker's own bucket for artifacts.
        usual_place: whether all artifacts lie in that bucket, at the keys that the trainer gives them.
        artifacts: name -> key and what is known of the object; all of `ARTIFACT_NAMES`.
        parameters: as asked for.
        event_id: as its sender named it, cut; None where there is none.
        traceparent: of the event, passed through.
    """

    training_job_id: str
    bucket: str
    usual_bucket: str
    usual_place: bool
    artifacts: dict[str, ArtifactRefV1]
    parameters: Parameters
    event_id: str | None
    traceparent: str | None


def read_request(record: Record, *, artifacts_bucket: str, allowed: AllowedPlaces = ANYWHERE) -> TrainingRequest:
    """Read and check a training-complete event in any of its forms.

    Raises:
        RefusedInput: malformed, of an unknown type, or with a field that is not allowed.
    """
    event = cloud_event.decode(record.headers, record.value)
    data = _training_completed(event)
    job = check_training_job_id(data.job_id)
    bucket = _bucket(data.bucket) if data.bucket else artifacts_bucket
    artifacts, usual = _artifacts(data, job), _usual_keys(job)
    if bucket != artifacts_bucket:
        _check_bucket(bucket, allowed)
    _check_keys(artifacts, allowed)
    return TrainingRequest(
        training_job_id=job,
        bucket=bucket,
        usual_bucket=artifacts_bucket,
        usual_place=bucket == artifacts_bucket and {name: ref.key for name, ref in artifacts.items()} == usual,
        artifacts=artifacts,
        parameters=Parameters(**data.parameters.model_dump()),
        event_id=event.id[:EVENT_ID_CHARACTERS] if event.id else None,
        traceparent=event.traceparent,
    )


def readable_job_id(record: Record) -> str | None:
    """Return the training job id of a refused record where it can be read; None otherwise."""
    try:
        data = cloud_event.decode(record.headers, record.value).data
        if bucket_notification.is_bucket_notification(data):
            return check_training_job_id(bucket_notification.training_completed(data).job_id)
        return check_training_job_id(data.get("job_id") if isinstance(data, dict) else None)
    except RefusedInput:
        return None


def _training_completed(event: cloud_event.ReceivedEvent) -> TrainingCompletedV1:
    if event.type not in (None, TRAINING_COMPLETED_V1):
        raise RefusedInput(
            "EVENT_TYPE_UNKNOWN",
            f"event type {event.type!r:.120}, expected {TRAINING_COMPLETED_V1}",
            "send the type that this worker reads, or run a worker that knows the newer one",
        )
    if event.type is None and bucket_notification.is_bucket_notification(event.data):
        return bucket_notification.training_completed(event.data)
    if not isinstance(event.data, dict):
        raise RefusedInput(
            "EVENT_MALFORMED", "the event's data is no JSON object", "send an object with at least a job_id"
        )
    if "job_id" in event.data:
        check_training_job_id(event.data["job_id"])
    try:
        return TrainingCompletedV1.model_validate(event.data)
    except ValidationError as error:
        raise _refused_field(error) from None


def _refused_field(error: ValidationError) -> RefusedInput:
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    code = "INVALID_PARAMETER" if first["loc"][:1] == ("parameters",) else "INVALID_FIELD"
    return RefusedInput(code, f"{field}: {first['msg']}", "see the schema training-complete and correct the field")


def _artifacts(data: TrainingCompletedV1, job: str) -> dict[str, ArtifactRefV1]:
    usual = _usual_keys(job)
    given = {name: getattr(data.artifacts, name) for name in ARTIFACT_NAMES}
    return {name: _checked(ref) if (ref := given[name]) else ArtifactRefV1(key=usual[name]) for name in ARTIFACT_NAMES}


def _usual_keys(job: str) -> dict[str, str]:
    return {
        "sae_model": f"models/{job}/sae_model.pt",
        "feature_activations": f"activations/{job}/feature_activations.pt",
        "metadata": f"activations/{job}/metadata.json",
    }


def _bucket(name: str) -> str:
    if _NO_BUCKET.fullmatch(name):
        raise RefusedInput(
            "INVALID_FIELD", f"bucket: {name!r} is no name that S3 gives a bucket", "send the name of the bucket"
        )
    return name


def _check_bucket(bucket: str, allowed: AllowedPlaces) -> None:
    if allowed.buckets is not None and bucket not in allowed.buckets:
        raise RefusedInput(
            "BUCKET_NOT_ALLOWED",
            f"the event names bucket {bucket!r}, which this worker may not read",
            "allow it by MISTUDIO_STORE__ALLOWED_BUCKETS, or leave the bucket out of the event",
        )


def _check_keys(artifacts: dict[str, ArtifactRefV1], allowed: AllowedPlaces) -> None:
    for name, ref in artifacts.items():
        if allowed.prefixes and not ref.key.startswith(allowed.prefixes):
            raise RefusedInput(
                "KEY_NOT_ALLOWED",
                f"{name} lies at {ref.key!r:.200}, and this worker reads only below {', '.join(allowed.prefixes)}",
                "allow its beginning by MISTUDIO_STORE__ALLOWED_PREFIXES, or put the file elsewhere",
            )


def _checked(ref: ArtifactRefV1) -> ArtifactRefV1:
    parts = ref.key.split("/")
    if any(part in ("", ".", "..") for part in parts) or any(ord(c) < 0x20 or c == "\\" for c in ref.key):
        raise RefusedInput(
            "UNSAFE_KEY",
            f"object key {ref.key!r:.200} has an empty part, '.', '..', a backslash or a control character",
            "send the plain key of the object in its bucket",
        )
    if len(ref.key.encode()) > KEY_MAX_BYTES or any(len(part.encode()) > KEY_PART_MAX_BYTES for part in parts):
        raise RefusedInput(
            "UNSAFE_KEY",
            f"object key {ref.key!r:.200} has {len(ref.key.encode())} bytes; expected at most {KEY_MAX_BYTES}, and "
            f"{KEY_PART_MAX_BYTES} between two slashes",
            "give the object a shorter key",
        )
    return ref
