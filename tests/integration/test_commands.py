"""The commands that need a broker and a store, as a user types them."""

from __future__ import annotations

import contextlib
import hashlib
import time
import uuid
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.broken_runs import BROKEN_RUNS
from support.command_line import CommandLine
from support.runs import write_run
from support.services import Services
from support.workers import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.stack import EmbeddedStack
    from support.background import BackgroundLoop

NOBODY = "127.0.0.1:9"
SANE_S = 30.0


def _place_without_worker(stack: EmbeddedStack, background: BackgroundLoop) -> Iterator[Place]:
    with (
        contextlib.closing(Services(stack.environment(), name=f"i{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background)) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def idle_place(stack: EmbeddedStack, background: BackgroundLoop) -> Iterator[Place]:
    """Topics and buckets without a worker."""
    yield from _place_without_worker(stack, background)


@pytest.fixture
def command(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line of a user of the shared worker."""
    return CommandLine(monkeypatch, capsys, place.environment)


@pytest.fixture
def idle_command(idle_place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line of a user where nobody works."""
    return CommandLine(monkeypatch, capsys, idle_place.environment)


def a_job() -> str:
    """A training job id that no other test uses."""
    return f"train_{uuid.uuid4().hex[:12]}"


# -- doctor


def test_the_doctor_finds_nothing_where_all_is_well(idle_command: CommandLine, idle_place: Place) -> None:
    """Every line is ok, each topic and bucket has one, and nothing is left in the store."""
    said = idle_command("doctor")
    assert said.code == 0, said.out
    lines = said.out.splitlines()
    assert [line for line in lines if not line.startswith("ok  ")] == []
    for name in (*vars(idle_place.topics).values(), idle_place.artifacts, idle_place.results, "conditional PUT"):
        assert any(name in line for line in lines), name
    assert idle_place.keys("attempts/") == []


@pytest.mark.parametrize(
    ("variable", "value", "named", "remedy"),
    [
        ("MISTUDIO_KAFKA__FIND_FAILED_TOPIC", "not-there", "topic not-there", "create it: kafka-topics.sh"),
        ("MISTUDIO_STORE__RESULTS_BUCKET", "not-there", "bucket not-there", "create it: mc mb"),
        ("MISTUDIO_STORE__ARTIFACTS_BUCKET", "not-there", "bucket not-there", "create it: mc mb"),
        ("MISTUDIO_STORE__SECRET_KEY", "wrong-secret", "store", "MISTUDIO_STORE__ACCESS_KEY"),
        ("MISTUDIO_STORE__ENDPOINT", NOBODY, "store", "MISTUDIO_STORE__ENDPOINT"),
        ("MISTUDIO_KAFKA__BOOTSTRAP_SERVERS", NOBODY, "broker", "MISTUDIO_KAFKA__BOOTSTRAP_SERVERS"),
        ("MISTUDIO_KAFKA__MAX_MESSAGE_BYTES", "9000000", "topic ", "max.message.bytes"),
        ("MISTUDIO_KAFKA_GROUP_ID", "mine", "MISTUDIO_KAFKA_GROUP_ID", "correct or remove"),
        ("MISTUDIO_JOB__WORK_DIR", "/not/there", "disk", "MISTUDIO_JOB__WORK_DIR"),
    ],
)
def test_the_doctor_names_what_is_missing(
    idle_command: CommandLine, variable: str, value: str, named: str, remedy: str
) -> None:
    """One thing is wrong: a FAIL line names it with a remedy, all else is still examined, the exit code is 5."""
    idle_command.set({variable: value})
    begun_s = time.monotonic()
    said = idle_command("doctor")
    assert time.monotonic() - begun_s < SANE_S
    lines = said.out.splitlines()
    failed = [(line, lines[i + 1]) for i, line in enumerate(lines) if line.startswith("FAIL")]
    assert said.code == 5
    assert failed
    assert [line for line, _ in failed if named not in line] == []
    assert [after for _, after in failed if not after.startswith("     remedy: ")] == []
    assert any(remedy in after for _, after in failed)
    assert sum(line.startswith("ok  ") for line in lines) >= 5
    assert "wrong-secret" not in said.out + said.err


def test_a_mistyped_setting_is_wrong_usage(idle_command: CommandLine) -> None:
    """A name that its group does not have is no reason to go on with the default."""
    idle_command.set({"MISTUDIO_KAFKA__BOOTSTRAP_SERVER": NOBODY})
    said = idle_command("doctor")
    assert (said.code, "MISTUDIO_KAFKA__BOOTSTRAP_SERVER:" in said.err) == (2, True)


# -- submit


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("kind", "code"), [("unchanged", 0), ("nan_features", 3), ("rows_lt_texts", 4)])
def test_submit_ends_with_the_outcome(command: CommandLine, tmp_path: Path, kind: str, code: int) -> None:
    """A folder is uploaded and followed to its end: exit code, outcome and reasons are the job's."""
    run = BROKEN_RUNS[kind]
    run.write(tmp_path)
    said = command("submit", tmp_path, "--wait", "--limit-s", 60)
    assert said.code == code, said.err
    for expected in run.codes:
        assert expected in said.err
    assert ("find_" in said.out) == (code != 4)
    assert ("\n  hint: " in said.err) == (code == 4)


@pytest.mark.usefixtures("worker")
def test_submit_shows_how_far_the_job_is(command: CommandLine, tmp_path: Path) -> None:
    """A job of some seconds is followed step by step on stderr, stdout has the outcome alone."""
    run = write_run(tmp_path, job_id=a_job(), n_texts=15_000, n_features=64)
    said = command("submit", tmp_path, "--wait", "--limit-s", 60)
    assert said.code == 0, said.err
    assert f"{run.training_job_id}: " in said.err
    assert run.training_job_id not in said.out.splitlines()[0]


def test_submit_without_waiting_announces(idle_command: CommandLine, idle_place: Place, tmp_path: Path) -> None:
    """The files lie in the bucket with their checksums in the event; nobody is waited for."""
    run = write_run(tmp_path, job_id=a_job(), n_texts=40)
    said = idle_command("submit", tmp_path, "--top-k", 5)
    assert (said.code, said.out) == (0, f"announced {run.training_job_id}\n")
    key = f"activations/{run.training_job_id}/feature_activations.pt"
    assert idle_place.get(key, bucket=idle_place.artifacts) == run.activations.read_bytes()
    assert idle_place.lag() > 0


def test_submit_ends_where_no_outcome_comes(idle_command: CommandLine) -> None:
    """Nobody works: after the limit the exit code is 5, and the hint says that the event is kept."""
    said = idle_command("submit", a_job(), "--wait", "--limit-s", 2)
    assert (said.code, "error NO_OUTCOME: " in said.err) == (5, True)
    assert "the event is kept" in said.err


def test_submit_refuses_what_is_no_job(idle_command: CommandLine, idle_place: Place, tmp_path: Path) -> None:
    """Neither a name that leads out of the bucket, nor a folder without a run, nor one that is absent is announced."""
    before = idle_place.lag()
    (tmp_path / "empty").mkdir()
    for target, code, name in (
        ("train..1", 4, "INVALID_JOB_ID"),
        (tmp_path / "empty", 4, "ARTIFACT_MISSING"),
        (tmp_path / "absent", 2, "RUN_DIR_NOT_FOUND"),
    ):
        said = idle_command("submit", target)
        assert (said.code, f"error {name}: " in said.err) == (code, True), said.err
    assert idle_place.lag() == before


# -- fetch


@pytest.fixture
def done(place: Place, worker: object, tmp_path: Path) -> tuple[str, str]:
    """A job that has a result: training and find job id."""
    del worker
    run = write_run(tmp_path / "run", job_id=a_job(), n_texts=60)
    place.announce(place.put_run(run.root))
    find_job: str = place.wait_for_result(run.training_job_id).data["find_job_id"]
    return run.training_job_id, find_job


def test_fetch_brings_what_the_manifest_promises(
    command: CommandLine, place: Place, done: tuple[str, str], tmp_path: Path
) -> None:
    """By training and by find job the same files, where Explain looks, byte by byte."""
    for number, job in enumerate(done):
        said = command("fetch", job, "--out", tmp_path / str(number))
        assert said.code == 0, said.err
        directory = tmp_path / str(number) / "results" / done[1]
        found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}
        assert found == {Path(e["key"]).name: e["sha256"] for e in place.manifest(done[1])["exports"]}
        assert str(directory) in said.out


def test_fetch_takes_the_newest_of_several_results(
    command: CommandLine, place: Place, done: tuple[str, str], tmp_path: Path
) -> None:
    """A training job that was analysed again with other parameters: the later result comes."""
    place.announce(done[0], parameters={"top_k": 2})
    newer = place.wait_for_records(place.topics.find_complete, done[0], count=2)[-1].data["find_job_id"]
    assert newer != done[1]
    assert command("fetch", done[0], "--out", tmp_path / "out").code == 0
    assert [path.name for path in (tmp_path / "out" / "results").iterdir()] == [newer]


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_fetch_refuses_a_damaged_result(
    command: CommandLine, place: Place, done: tuple[str, str], tmp_path: Path, damage: str
) -> None:
    """An object that is not what the manifest promises is named; no file is left."""
    export = place.manifest(done[1])["exports"][2]
    if damage == "gone":
        place.store.remove_object(place.results, export["key"])
    else:
        place.store.put_object(place.results, export["key"], BytesIO(b"x" * export["size"]), export["size"])
    said = command("fetch", done[1], "--out", tmp_path / "out")
    assert (said.code, "error EXPORT_DAMAGED: " in said.err) == (4, True)
    assert export["key"] in said.err
    assert not (tmp_path / "out").exists()


def test_a_result_that_lost_an_object_is_made_whole_by_its_event(
    command: CommandLine, place: Place, done: tuple[str, str], tmp_path: Path
) -> None:
    """What the hint of a damaged result says works: after the event came again everything can be fetched."""
    before = place.get(f"find/{done[1]}/manifest.json")
    place.store.remove_object(place.results, place.manifest(done[1])["exports"][0]["key"])
    place.announce(done[0])
    place.wait_for_records(place.topics.find_complete, done[0], count=2)
    assert command("fetch", done[1], "--out", tmp_path / "out").code == 0
    assert place.get(f"find/{done[1]}/manifest.json") == before


@pytest.mark.parametrize("job", ["train_unknown", "find_20260101_000000_0a0b0c0d"])
def test_fetch_of_an_unknown_job_says_so(idle_command: CommandLine, tmp_path: Path, job: str) -> None:
    """Exit code 6, the job is named, nothing is written."""
    said = idle_command("fetch", job, "--out", tmp_path / "out")
    assert (said.code, "error JOB_NOT_FOUND: " in said.err) == (6, True)
    assert job in said.err
    assert not (tmp_path / "out").exists()


# -- backfill


@pytest.fixture
def fresh_place(stack: EmbeddedStack, background: BackgroundLoop) -> Iterator[Place]:
    """Topics and buckets without a worker, and nothing in them."""
    yield from _place_without_worker(stack, background)


def test_backfill_announces_only_what_has_no_result(
    fresh_place: Place, place: Place, done: tuple[str, str], command: CommandLine, tmp_path: Path
) -> None:
    """Of two trainings one has a manifest: --dry-run names the other, backfill announces it."""
    command.set(fresh_place.environment)
    assert command("backfill").out == "0 trainings without results\n"
    key = f"find/{done[1]}/manifest.json"
    manifest = place.get(key)
    fresh_place.store.put_object(fresh_place.results, key, BytesIO(manifest), len(manifest))
    fresh_place.put_run(tmp_path / "run")
    other = fresh_place.put_run(tmp_path / "run", job="train_other")
    said = command("backfill", "--dry-run")
    assert (said.code, said.out) == (0, f"would announce {other}\n1 trainings without results\n")
    assert fresh_place.lag() == 0
    said = command("backfill")
    assert (said.code, said.out) == (0, f"announced {other}\n1 trainings without results\n")
    assert fresh_place.lag() == 1


# -- services away


@pytest.mark.parametrize(
    ("variable", "arguments"),
    [
        ("MISTUDIO_KAFKA__BOOTSTRAP_SERVERS", ["submit", "train_1"]),
        ("MISTUDIO_KAFKA__BOOTSTRAP_SERVERS", ["submit", "train_1", "--wait"]),
        ("MISTUDIO_STORE__ENDPOINT", ["fetch", "train_1", "--out", "OUT"]),
        ("MISTUDIO_STORE__ENDPOINT", ["backfill"]),
        ("MISTUDIO_STORE__ENDPOINT", ["submit", "RUN"]),
    ],
)
def test_a_service_that_is_away_is_told_soon(
    idle_command: CommandLine, tmp_path: Path, variable: str, arguments: list[str]
) -> None:
    """Exit code 5 within half a minute; the address and the setting that names it are said."""
    write_run(tmp_path / "run", n_texts=40)
    places = {"OUT": tmp_path / "out", "RUN": tmp_path / "run"}
    idle_command.set({variable: NOBODY})
    begun_s = time.monotonic()
    said = idle_command(*(places.get(argument, argument) for argument in arguments))
    assert time.monotonic() - begun_s < SANE_S
    assert said.code == 5, said.err
    assert NOBODY in said.err
    assert variable in said.err
    assert "Traceback" not in said.err
