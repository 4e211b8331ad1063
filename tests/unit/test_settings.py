"""Settings come from the environment by their documented names, and errors never show a value."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

import pytest
import structlog

from mistudio_worker.errors import WrongUsage
from mistudio_worker.logging_setup import configure_logging
from mistudio_worker.settings import LogSettings, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "s3cr3t-that-nobody-may-see"  # noqa: S105 - made up


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("MISTUDIO_"):
            monkeypatch.delenv(name)


def refused() -> WrongUsage:
    """Read settings that must be refused."""
    with pytest.raises(WrongUsage) as error:
        read_settings()
    assert error.value.code == "INVALID_SETTING"
    return error.value


def test_defaults() -> None:
    """Without any variable the documented defaults hold."""
    settings = read_settings()
    assert settings.store.artifacts_bucket == "mistudio"
    assert settings.store.results_bucket == "mistudio-results"
    assert settings.job.artifact_wait_s == 120
    assert settings.job.max_attempts == 3
    kafka = settings.kafka
    topics = [kafka.training_complete_topic, kafka.find_complete_topic, kafka.find_failed_topic]
    assert topics == ["training-complete", "find-complete", "find-failed"]
    assert (kafka.find_progress_topic, kafka.dead_letter_topic) == ("find-progress", "training-complete.dead-letter")


@pytest.mark.parametrize(
    ("variable", "value", "path"),
    [
        ("MISTUDIO_KAFKA__BOOTSTRAP_SERVERS", "a:1,b:2", "kafka.bootstrap_servers"),
        ("MISTUDIO_KAFKA__GROUP_ID", "g", "kafka.group_id"),
        ("MISTUDIO_KAFKA__SESSION_TIMEOUT_MS", 10_000, "kafka.session_timeout_ms"),
        ("MISTUDIO_STORE__ENDPOINT", "h:9", "store.endpoint"),
        ("MISTUDIO_STORE__SECURE", True, "store.secure"),
        ("MISTUDIO_STORE__ARTIFACTS_BUCKET", "x", "store.artifacts_bucket"),
        ("MISTUDIO_STORE__RESULTS_BUCKET", "y", "store.results_bucket"),
        ("MISTUDIO_JOB__ARTIFACT_WAIT_S", 2.5, "job.artifact_wait_s"),
        ("MISTUDIO_JOB__MAX_ATTEMPTS", 7, "job.max_attempts"),
        ("MISTUDIO_JOB__GRACE_S", 0.0, "job.grace_s"),
    ],
)
def test_documented_names(monkeypatch: pytest.MonkeyPatch, variable: str, value: object, path: str) -> None:
    """Every variable of the design sets what it names."""
    monkeypatch.setenv(variable, str(value))
    group, name = path.split(".")
    assert getattr(getattr(read_settings(), group), name) == value


@pytest.mark.parametrize(
    ("endpoint", "address", "tls"),
    [
        ("host:9000", "host:9000", False),
        ("http://host:9000", "host:9000", False),
        ("https://host:9000/", "host:9000", True),
        ("127.0.0.1:80", "127.0.0.1:80", False),
    ],
)
def test_endpoints(monkeypatch: pytest.MonkeyPatch, endpoint: str, address: str, *, tls: bool) -> None:
    """An endpoint is host:port or a URL."""
    monkeypatch.setenv("MISTUDIO_STORE__ENDPOINT", endpoint)
    assert (read_settings().store.address, read_settings().store.uses_tls) == (address, tls)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MISTUDIO_KAFKA__SESSION_TIMEOUT_MS", SECRET),
        ("MISTUDIO_JOB__GRACE_S", f"-1{SECRET}"),
        ("MISTUDIO_JOB__CONCURRENCY", "0"),
        ("MISTUDIO_JOB__CONCURRENCY", "65"),
        ("MISTUDIO_STORE__SECURE", SECRET),
        ("MISTUDIO_ANALYSIS__DEVICE", SECRET),
        ("MISTUDIO_STORE__SECRET_KEYS", SECRET),
        ("MISTUDIO_KAFKA__BOOTSTRAP_SERVER", SECRET),
        ("MISTUDIO_LOG__LEVEL", SECRET),
    ],
)
def test_a_bad_value(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """A bad or unknown variable is named, its value is not."""
    monkeypatch.setenv(variable, value)
    error = refused()
    assert variable in error.message
    assert SECRET not in f"{error} {error.message} {error.hint}"
    assert error.__suppress_context__


@pytest.mark.parametrize(
    "endpoint",
    [
        "user:" + SECRET + "@host:1",
        "http://host:1/path",
        "ftp://host",
        "",
        "//",
        "host:abc",
        "host:99999",
        "host:9?x=1",
    ],
)
def test_a_bad_endpoint(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """An endpoint with credentials, a path or another scheme is refused, without quoting it."""
    monkeypatch.setenv("MISTUDIO_STORE__ENDPOINT", endpoint)
    error = refused()
    assert "MISTUDIO_STORE" in error.message
    assert SECRET not in f"{error.message} {error.hint}"


@pytest.mark.parametrize("brokers", ["host:abc", "a:1,", "a:1,b:99999", "http://a:1", SECRET + "@a:1"])
def test_a_bad_broker(monkeypatch: pytest.MonkeyPatch, brokers: str) -> None:
    """Each broker is host:port; what is not is refused before anything connects, without quoting it."""
    monkeypatch.setenv("MISTUDIO_KAFKA__BOOTSTRAP_SERVERS", brokers)
    error = refused()
    assert "bootstrap_servers" in error.message
    assert SECRET not in f"{error.message} {error.hint}"


@pytest.mark.parametrize(("given", "missing"), [("ACCESS", "SECRET"), ("SECRET", "ACCESS")])
def test_half_a_pair_of_credentials(monkeypatch: pytest.MonkeyPatch, given: str, missing: str) -> None:
    """One key without the other is wrong usage that names both variables."""
    monkeypatch.setenv(f"MISTUDIO_STORE__{given}_KEY", SECRET)
    with pytest.raises(WrongUsage) as error:
        read_settings().store.credentials()
    assert f"MISTUDIO_STORE__{missing}_KEY is not" in error.value.message
    assert SECRET not in f"{error.value.message} {error.value.hint}"


@pytest.mark.parametrize("value", [SECRET, "[1]", "{"])
def test_a_whole_group_in_one_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A group that is no JSON object is wrong usage like any other, without quoting it."""
    monkeypatch.setenv("MISTUDIO_STORE", value)
    error = refused()
    assert "MISTUDIO_STORE" in error.message
    assert SECRET not in f"{error} {error.message} {error.hint}"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("MISTUDIO_KAFKA__REBALANCE_TIMEOUT_MS", "40000", "request_timeout_ms"),
        ("MISTUDIO_KAFKA__HEARTBEAT_INTERVAL_MS", "15001", "session_timeout_ms"),
    ],
)
def test_timeouts_that_do_not_fit(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str) -> None:
    """Time limits that would throw the worker out of its group are refused with the pair that clashes."""
    monkeypatch.setenv(variable, value)
    assert told in refused().message


class TestSecrets:
    def test_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keys come from variables, and are never shown."""
        monkeypatch.setenv("MISTUDIO_STORE__ACCESS_KEY", "access")
        monkeypatch.setenv("MISTUDIO_STORE__SECRET_KEY", SECRET)
        settings = read_settings()
        assert settings.store.credentials() == ("access", SECRET)
        assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"

    def test_from_files(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A file goes before the variable; the line end is no part of the key."""
        (tmp_path / "key").write_text(f"{SECRET}\n", encoding="utf-8")
        monkeypatch.setenv("MISTUDIO_STORE__ACCESS_KEY", "access")
        monkeypatch.setenv("MISTUDIO_STORE__SECRET_KEY", "other")
        monkeypatch.setenv("MISTUDIO_STORE__SECRET_KEY_FILE", str(tmp_path / "key"))
        assert read_settings().store.credentials() == ("access", SECRET)

    @pytest.mark.parametrize("content", [None, b"\xff\xfe" + SECRET.encode()])
    def test_a_file_that_cannot_be_read(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
    ) -> None:
        """A secret file that is absent or no text is wrong usage, without quoting it."""
        if content is not None:
            (tmp_path / "key").write_bytes(content)
        monkeypatch.setenv("MISTUDIO_STORE__SECRET_KEY_FILE", str(tmp_path / "key"))
        with pytest.raises(WrongUsage) as error:
            read_settings().store.credentials()
        assert error.value.code == "INVALID_SETTING"
        assert SECRET not in f"{error.value.message} {error.value.hint}"


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Returns what was written to stderr; the logging of the other tests is put back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("mistudio_worker")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield lambda: capsys.readouterr().err
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


class TestLogging:
    @pytest.mark.parametrize("style", ["json", "console"])
    def test_secrets_stay_secret(self, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str], style: str) -> None:
        """Logging the settings themselves, even in a traceback, shows no secret."""
        monkeypatch.setenv("MISTUDIO_STORE__SECRET_KEY", SECRET)
        monkeypatch.setenv("MISTUDIO_LOG__FORMAT", style)
        settings = read_settings()
        configure_logging(settings.log)
        log = structlog.get_logger("mistudio_worker.test")
        try:
            self._fail(settings)
        except ZeroDivisionError:
            log.exception("failed", settings=settings, store=settings.store)
        logging.getLogger("mistudio_worker.library").error("by the standard library: %s", settings)
        written = logged()
        assert "ZeroDivisionError" in written
        assert "by the standard library" in written
        assert SECRET not in written

    def test_one_json_object_a_line(self, logged: Callable[[], str]) -> None:
        """Every line is one object with level, logger and time, whoever wrote it and whatever it says."""
        configure_logging(LogSettings(format="json", level="info"))
        structlog.get_logger("mistudio_worker.a").info("two\nlines", offset=3)
        structlog.get_logger("mistudio_worker.a").debug("not this one")
        logging.getLogger("aiokafka").warning("of a %s", "library")
        logging.getLogger("aiokafka").info("nor this one")
        lines = [json.loads(line) for line in logged().splitlines()]
        assert [(line["event"], line["level"], line["logger"]) for line in lines] == [
            ("two\nlines", "info", "mistudio_worker.a"),
            ("of a library", "warning", "aiokafka"),
        ]
        assert lines[0]["offset"] == 3
        assert all(line["timestamp"].endswith("Z") for line in lines)

    @staticmethod
    def _fail(settings: Settings) -> float:
        return len(settings.store.endpoint) / 0
