"""The published schemas: as the models are, with examples that both take, and variants that both refuse."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from support.house import record_of

from mistudio_worker.commands.schemas import check_schemas, write_schemas
from mistudio_worker.contracts import events
from mistudio_worker.contracts.manifest import ManifestV1, find_completed
from mistudio_worker.contracts.schemas import MODELS, schema_files
from mistudio_worker.errors import RefusedInput
from mistudio_worker.worker.announcements import Topics, dead_letter_message
from mistudio_worker.worker.incoming import read_request

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = Path(__file__).parents[2] / "schemas"
EXAMPLES = sorted(SCHEMAS.glob("examples/*/*.json"))
TYPES = {
    "training-complete": events.TRAINING_COMPLETED_V1,
    "find-complete": events.FIND_COMPLETED_V1,
    "find-failed": events.FIND_FAILED_V1,
    "find-progress": events.FIND_PROGRESS_V1,
}
DEAD_LETTERS = "training-complete.dead-letter"
DELETED = object()


def example(name: str) -> Any:
    """An example by folder and name."""
    return json.loads((SCHEMAS / "examples" / f"{name}.json").read_bytes())


def asyncapi() -> dict[str, Any]:
    """The published document."""
    loaded: dict[str, Any] = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_bytes())
    return loaded


def validator(schema: str) -> Draft202012Validator:
    """What another language would check with: the schema as it is published."""
    return Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_bytes()))


def model_takes(schema: str, data: object) -> bool:
    """Whether the model reads it, as strictly as JSON is typed."""
    try:
        MODELS[schema].model_validate_json(json.dumps(data))
    except ValidationError:
        return False
    return True


def test_the_files_are_the_models() -> None:
    """What lies in schemas/ is what the models say."""
    check_schemas(SCHEMAS)


def test_drift_is_found(tmp_path: Path) -> None:
    """A changed and an absent file are named."""
    write_schemas(tmp_path)
    check_schemas(tmp_path)
    (tmp_path / "manifest.v1.json").write_bytes(b"{}")
    (tmp_path / "asyncapi.yaml").unlink()
    with pytest.raises(RefusedInput, match="SCHEMA_DRIFT") as drifted:
        check_schemas(tmp_path)
    assert "manifest.v1.json" in drifted.value.message
    assert "asyncapi.yaml" in drifted.value.message


def test_nothing_else_is_published() -> None:
    """A schema whose model is gone does not stay behind."""
    assert {path.name for path in SCHEMAS.iterdir() if path.is_file()} == {*schema_files(), "results.xsd"}


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_is_one(name: str) -> None:
    """Every schema is a valid one of its dialect, under the name of its file."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:mistudio:{name}"
    for reference in references(schema):
        assert resolved(schema, reference) is not None


class TestExamples:
    def test_every_schema_has_some(self) -> None:
        """There is an example of each schema, and of nothing else; of the incoming event several."""
        assert {path.parent.name for path in EXAMPLES} == set(MODELS)
        assert sum(path.parent.name == "training-complete.v1" for path in EXAMPLES) >= 3

    @pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
    def test_it_is_valid(self, path: Path) -> None:
        """Schema and model take the example, and the model loses nothing that it knows."""
        data = json.loads(path.read_bytes())
        validator(path.parent.name).validate(data)
        model = MODELS[path.parent.name].model_validate_json(path.read_bytes())
        written = json.loads(model.model_dump_json(by_alias=True, exclude_unset=True))
        assert contained(written, data)

    @pytest.mark.parametrize("path", sorted(SCHEMAS.glob("examples/training-complete.v1/*.json")), ids=lambda p: p.stem)
    def test_the_worker_takes_it(self, path: Path) -> None:
        """An example of the incoming event is one that the worker really accepts."""
        request = read_request(record_of(path.read_bytes()), artifacts_bucket="mistudio")
        assert request.training_job_id == json.loads(path.read_bytes())["job_id"]

    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("minio-put", "activations/train_20260102_030405_0001/metadata.json"),
            ("minio-prefix-multipart", "team a/activations/train_20260102_030405_0001/metadata.json"),
        ],
    )
    def test_the_worker_takes_a_notification(self, name: str, key: str) -> None:
        """MinIO's message, with its encoded key, names the run."""
        request = read_request(record_of(example(f"bucket-notification.v1/{name}")), artifacts_bucket="other")
        assert request.training_job_id == "train_20260102_030405_0001"
        assert (request.bucket, request.artifacts["metadata"].key) == ("mistudio", key)

    @pytest.mark.parametrize("name", ["completed", "partial"])
    def test_the_event_follows_from_the_manifest(self, name: str) -> None:
        """The examples of manifest and find-complete agree in all that they share."""
        manifest = ManifestV1.model_validate(example(f"manifest.v1/{name}"))
        event = find_completed(manifest, bucket="mistudio-results", key="k", sha256="0" * 64).model_dump(mode="json")
        told = example(f"find-complete.v1/{name}")
        own = {"manifest_key", "manifest_sha256"}
        if name == "partial":
            own |= {"priority_features", "priority_total"}
        assert {k: v for k, v in event.items() if k not in own} == {k: v for k, v in told.items() if k not in own}

    def test_an_older_manifest_is_read(self) -> None:
        """A result from before priority scores is found again and announced."""
        data = example("manifest.v1/completed")
        for feature in data["priority_features"]:
            del feature["priority_score"]
        validator("manifest.v1").validate(data)
        event = find_completed(ManifestV1.model_validate(data), bucket="mistudio-results", key="k", sha256="0" * 64)
        assert [feature.priority_score for feature in event.priority_features] == [None, None]


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "field", "value"),
        [
            ("training-complete.v1/minimal", "job_id", DELETED),
            ("training-complete.v1/minimal", "job_id", "a/b"),
            ("training-complete.v1/minimal", "job_id", "-a"),
            ("training-complete.v1/minimal", "job_id", 7),
            ("training-complete.v1/minimal", "bucket", "Bucket"),
            ("training-complete.v1/parameters", "parameters.top_k", 0),
            ("training-complete.v1/parameters", "parameters.top_k", 101),
            ("training-complete.v1/parameters", "parameters.coherence_threshold", 1.01),
            ("training-complete.v1/checked", "artifacts.metadata.key", DELETED),
            ("training-complete.v1/checked", "artifacts.metadata.key", ""),
            ("training-complete.v1/checked", "artifacts.metadata.size", -1),
            ("training-complete.v1/checked", "artifacts.sae_model.sha256", "ABC"),
            ("parameters.v1/all", "top_k", 1.5),
            ("find-complete.v1/completed", "find_job_id", "find_2026_1_x"),
            ("find-complete.v1/completed", "status", "done"),
            ("find-complete.v1/completed", "manifest_sha256", "0" * 63),
            ("find-complete.v1/completed", "exports.0.size", -1),
            ("find-complete.v1/completed", "counts.dead", DELETED),
            ("find-complete.v1/completed", "priority_features.0.coherence_score", 1.5),
            ("find-complete.v1/completed", "priority_features.0.keywords", ["k"] * 11),
            ("find-complete.v1/completed", "priority_features.0.priority_score", -0.1),
            ("find-failed.v1/refused", "hint", DELETED),
            ("find-failed.v1/refused", "retriable", "maybe"),
            ("find-progress.v1/analyze", "fraction", 1.5),
            ("find-progress.v1/analyze", "attempt", -1),
            ("manifest.v1/completed", "schema_version", "2.0"),
            ("manifest.v1/completed", "identity_sha256", "0123"),
            ("manifest.v1/completed", "inputs.0.etag", DELETED),
            ("manifest.v1/completed", "exports", DELETED),
            ("bucket-notification.v1/minio-put", "Records", []),
            ("bucket-notification.v1/minio-put", "Records.0.s3.object.key", DELETED),
            ("index.v1/small", "files.0.sha256", DELETED),
            ("results.v1/small", "schema_version", "2.0"),
            ("index.v1/small", "schema_version", "1"),
            ("comparison.v1/small", "pairs.0.similarity", 1.01),
            ("comparison.v1/small", "pairs.0.changes", ["mood"]),
            ("comparison.v1/small", "vanished.0.nearest_feature", None),
            ("comparison.v1/small", "matched_by", "name"),
            ("comparison.v1/small", "min_similarity", 0),
            ("comparison.v1/small", "not_compared", DELETED),
            ("results.v1/small", "features.0.coherence_score", None),
            ("results.v1/small", "features.0.top_activations.0.rank", 0),
            ("results.v1/small", "job_metadata.processing_time", 1.5),
        ],
    )
    def test_a_variant(self, name: str, field: str, value: object) -> None:
        """A field that is absent, of another type or out of range is refused by schema and model alike."""
        schema = name.split("/", maxsplit=1)[0]
        data = example(name)
        assert validator(schema).is_valid(data)
        changed = with_change(data, field.split("."), value)
        assert not validator(schema).is_valid(changed)
        assert not model_takes(schema, changed)

    def test_too_many_priorities(self) -> None:
        """The event holds at most 100 of them."""
        data = example("find-complete.v1/completed")
        data["priority_features"] = data["priority_features"][:1] * 101
        assert not validator("find-complete.v1").is_valid(data)
        assert not model_takes("find-complete.v1", data)

    def test_unknown_fields_pass(self) -> None:
        """A newer writer's fields are no error for an older reader, at any depth."""
        for path in EXAMPLES:
            data = json.loads(path.read_bytes())
            changed = with_unknown_fields(data)
            if path.parent.name in {"results.v1", "index.v1", "manifest.v1", "find-complete.v1", "comparison.v1"}:
                continue  # these hold dictionaries with keys of their own, where a field is not unknown
            assert validator(path.parent.name).is_valid(changed), path
            assert model_takes(path.parent.name, changed), path


class TestAsyncApi:
    def test_every_reference_is_there(self) -> None:
        """References within the document and to the schemas beside it lead somewhere."""
        document = asyncapi()
        found = list(references(document))
        assert len(found) >= 12
        for reference in found:
            if reference.startswith("#"):
                assert resolved(document, reference) is not None
            else:
                assert (SCHEMAS / reference).is_file(), reference

    def test_every_event_is_in_it(self) -> None:
        """Each topic has a channel, an operation and a message of its type, whose payload is its schema."""
        document = asyncapi()
        assert document["asyncapi"] == "3.0.0"
        messages = document["components"]["messages"]
        assert messages.keys() == document["channels"].keys() == {*TYPES, DEAD_LETTERS}
        for topic, event_type in TYPES.items():
            message = messages[topic]
            assert message["name"] == event_type
            assert message["payload"] == {"$ref": f"./{topic}.v1.json"}
            assert message["headers"]["properties"]["ce_type"] == {"const": event_type}
            assert document["channels"][topic]["address"] == topic
        actions = {o["channel"]["$ref"].rsplit("/", 1)[-1]: o["action"] for o in document["operations"].values()}
        assert actions == {topic: "receive" if topic == "training-complete" else "send" for topic in messages}

    def test_dead_letters_are_as_told(self) -> None:
        """The headers that the document promises of a dead letter are those that one has."""
        promised = asyncapi()["components"]["messages"][DEAD_LETTERS]["headers"]
        topics = Topics("complete", "failed", "progress", DEAD_LETTERS)
        letter = dead_letter_message(topics, record_of(), RefusedInput("CODE", "message", "hint"), 1)
        written = {name: content.decode() for name, content in letter.headers}
        assert set(promised["required"]) == written.keys()
        Draft202012Validator(promised).validate(written)

    def test_the_same_models_are_the_same_bytes(self) -> None:
        """Making the files twice makes no difference."""
        assert schema_files() == schema_files()


def references(node: object) -> Iterator[str]:
    """All `$ref` in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolved(document: Any, reference: str) -> object:
    """What a reference within a document leads to."""
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    found: object = document
    return found


def contained(part: object, whole: object) -> bool:
    """Whether everything in `part` stands in `whole` too."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and contained(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(contained(a, b) for a, b in zip(part, whole, strict=True))
    return part == whole


def with_change(data: Any, path: list[str], value: object) -> Any:
    """A copy with one field replaced, or deleted."""
    changed = node = copy.deepcopy(data)
    *parents, last = path
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    if value is DELETED:
        del node[last]
    else:
        node[last] = value
    return changed


def with_unknown_fields(node: object) -> object:
    """A copy with a field more in every object."""
    if isinstance(node, dict):
        return {**{key: with_unknown_fields(value) for key, value in node.items()}, "from_the_future": [1]}
    return [with_unknown_fields(value) for value in node] if isinstance(node, list) else node
