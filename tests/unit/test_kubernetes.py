"""deploy/kubernetes fits the code: settings, pages, times, sizes, and what may be written to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mistudio_worker.settings import Settings

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "kubernetes"
UNITS = {"Gi": 1 << 30, "Mi": 1 << 20}
END_S = 90
"""What ends after the grace: a last commit, leaving the group, closing the publisher."""


def documents(name: str) -> dict[str, dict[str, Any]]:
    """The documents of a file by their kind."""
    return {found["kind"]: found for found in yaml.safe_load_all((FILES / name).read_text())}


@pytest.fixture(scope="module")
def worker() -> dict[str, dict[str, Any]]:
    """worker.yaml."""
    return documents("worker.yaml")


@pytest.fixture(scope="module")
def pod(worker: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The pod of the Deployment."""
    found: dict[str, Any] = worker["Deployment"]["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    """Its one container."""
    [found] = pod["containers"]
    return dict(found)


def read_settings(worker: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a worker reads of the ConfigMap; an unknown name is an error."""
    for name, value in worker["ConfigMap"]["data"].items():
        assert isinstance(value, str), f"{name} must be quoted"
        monkeypatch.setenv(name, value)
    return Settings()


def size(text: str) -> int:
    """Bytes of a quantity."""
    return int(text[:-2]) * UNITS[text[-2:]]


def test_every_variable_is_a_setting(worker: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings take all of them, none is misspelt, and no secret stands in the file."""
    settings = read_settings(worker, monkeypatch)
    known = {f"MISTUDIO_{g}__{n}".upper() for g, group in settings for n in type(group).model_fields}
    assert set(worker["ConfigMap"]["data"]) <= known
    assert "Secret" not in worker
    assert not {name for name in worker["ConfigMap"]["data"] if name.endswith(("_KEY", "_PASSWORD"))}


def test_the_grace_fits(
    worker: dict[str, dict[str, Any]], pod: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL comes after the worker has had its grace and time to leave."""
    grace_s = read_settings(worker, monkeypatch).job.grace_s
    assert pod["terminationGracePeriodSeconds"] >= grace_s + END_S


def test_what_the_worker_writes_to_is_mounted(
    worker: dict[str, dict[str, Any]],
    pod: dict[str, Any],
    container: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The root is read-only: work, cache and temporary files have volumes, the secrets lie where the settings look."""
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    settings = read_settings(worker, monkeypatch)
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
    cache = re.search(r"NUMBA_CACHE_DIR=(\S+)", (ROOT / "Dockerfile").read_text())
    assert cache is not None
    assert {str(settings.job.work_dir), cache[1], "/tmp"} <= set(mounts)  # noqa: S108 - of the container
    for file in (settings.store.access_key_file, settings.store.secret_key_file):
        assert str(file and file.parent) in mounts


def test_sizes_fit(
    worker: dict[str, dict[str, Any]],
    pod: dict[str, Any],
    container: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Artifacts leave room for exports on the volume, volumes fit into the storage, memory is requested as limited."""
    settings, resources = read_settings(worker, monkeypatch), container["resources"]
    volumes = {v["name"]: size(v["emptyDir"]["sizeLimit"]) for v in pod["volumes"] if "emptyDir" in v}
    assert settings.job.disk_bytes < volumes["work"]
    assert sum(volumes.values()) <= size(resources["requests"]["ephemeral-storage"])
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert "cpu" not in resources["limits"]


def test_probes_ask_pages_that_are_there(
    worker: dict[str, dict[str, Any]], container: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only /live may end a pod; all ask the port that the settings open to others."""
    http = read_settings(worker, monkeypatch).http
    [port] = container["ports"]
    assert (http.host, http.port) == ("0.0.0.0", port["containerPort"])  # noqa: S104 - within the pod's network
    pages = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: page["path"] for name, page in pages.items()} == {
        "startup": "/live",
        "liveness": "/live",
        "readiness": "/ready",
    }
    assert {page["port"] for page in pages.values()} == {port["name"]}
    source = "".join(path.read_text() for path in (ROOT / "src" / "mistudio_worker" / "http").glob("*.py"))
    assert all(f'"{page["path"]}"' in source for page in pages.values())


def test_nothing_is_allowed_that_is_not_needed(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """The user of the image, no privileges, no token, and no hook that would take the grace."""
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    security = pod["securityContext"]
    assert [str(security["runAsUser"]), str(security["runAsGroup"])] == list(user.groups())
    assert security["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert pod["automountServiceAccountToken"] is False
    assert "lifecycle" not in container


def test_labels_and_names_agree(worker: dict[str, dict[str, Any]]) -> None:
    """Deployment, pods and budget mean the same pods."""
    deployment = worker["Deployment"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert worker["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels


def test_the_scaler_looks_at_the_worker_s_group(worker: dict[str, dict[str, Any]]) -> None:
    """Broker, group and topic are those of the worker."""
    scaled = documents("keda.yaml")["ScaledObject"]["spec"]
    [trigger] = scaled["triggers"]
    kafka = Settings().kafka
    assert trigger["metadata"]["consumerGroup"] == kafka.group_id
    assert trigger["metadata"]["topic"] == kafka.training_complete_topic
    assert trigger["metadata"]["bootstrapServers"] == worker["ConfigMap"]["data"]["MISTUDIO_KAFKA__BOOTSTRAP_SERVERS"]
    assert scaled["scaleTargetRef"]["name"] == worker["Deployment"]["metadata"]["name"]
