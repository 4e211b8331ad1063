"""`mistudio-worker analyze`: exit codes, what is said, what is written."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sysconfig
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.broken_runs import BROKEN_RUNS
from support.runs import write_run

from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.domain.identity import FIND_JOB_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command_line import Said

EXIT_CODES = {"accept": 0, "partial": 3, "refuse": 4}
COMMAND = Path(sysconfig.get_path("scripts")) / "mistudio-worker"
BUILT_IN = files("mistudio_worker.analysis") / "data" / "taxonomy.toml"


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder, by its path in it."""
    paths = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def results(out: Path) -> dict[str, Any]:
    """The one complete_results.json under a folder."""
    (path,) = out.rglob("*_complete_results.json")
    parsed: dict[str, Any] = json.loads(path.read_text())
    return parsed


@pytest.mark.parametrize("kind", BROKEN_RUNS)
def test_every_kind_of_run_ends_as_it_should(analyze: Callable[..., Said], tmp_path: Path, kind: str) -> None:
    """Exit code, code and hint tell what became of it; a refusal leaves nothing, not even an empty folder."""
    run, out = BROKEN_RUNS[kind], tmp_path / "out"
    run.write(tmp_path / "run")
    said = analyze(tmp_path / "run", "--out", out)
    assert said.code == EXIT_CODES[run.expect], said.err
    assert "Traceback" not in said.out + said.err
    word = "partial" if run.expect == "partial" else "error"
    assert [code for code in run.codes if f"{word} {code}: " not in said.err] == []
    assert ("\n  hint: " in said.err) == (run.expect == "refuse")
    assert out.exists() == (run.expect != "refuse")
    assert not (tmp_path / "run" / "CODE_RAN").exists()
    if run.expect != "refuse":
        assert results(out)["status"] == ("partial" if run.expect == "partial" else "completed")


def test_exports_lie_where_explain_looks(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """OUT/results/<find job>/<find job>_..., readable by others, and stdout names all of it."""
    write_run(tmp_path / "run")
    said = analyze(tmp_path / "run", "--out", tmp_path / "out")
    (directory,) = (tmp_path / "out" / "results").iterdir()
    job = directory.name
    assert FIND_JOB_ID.fullmatch(job)
    assert job.startswith("find_20260102_030405_")
    names = {path.name for path in directory.iterdir()}
    assert names >= {f"{job}_complete_results.json", f"{job}_feature_analysis.csv", f"{job}_bundle.zip"}
    assert all(name.startswith(f"{job}_") for name in names)
    assert directory.stat().st_mode & 0o777 == 0o755
    assert results(tmp_path / "out")["find_job_id"] == job
    assert [name for name in (job, str(directory), *names) if name not in said.out] == []


def test_twice_the_same_run_makes_the_same_bytes(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """A second analysis into another folder, and a third over the first one, change no byte."""
    write_run(tmp_path / "run")
    for out in ("one", "two", "one"):
        assert analyze(tmp_path / "run", "--out", tmp_path / out).code == 0
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert len(digests(tmp_path / "one")) >= 7


def test_the_number_of_threads_changes_no_byte(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """One thread and two make the same exports, of the example and of a run of several tiles."""
    write_run(tmp_path / "run", n_texts=3000, n_features=80)
    for threads in (1, 2, 5):
        assert analyze(tmp_path / "run", "--out", tmp_path / f"out{threads}", "--threads", threads).code == 0
    assert digests(tmp_path / "out1") == digests(tmp_path / "out2") == digests(tmp_path / "out5")


def test_a_fresh_process_makes_the_same_bytes(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """A process that was just started and one that has analysed before write the same exports."""
    write_run(tmp_path / "run")
    arguments = ["analyze", str(tmp_path / "run"), "--out"]
    done = subprocess.run([COMMAND, *arguments, tmp_path / "fresh"], capture_output=True, text=True, check=True)
    assert analyze(*arguments[1:], tmp_path / "warm").code == 0
    assert digests(tmp_path / "fresh") == digests(tmp_path / "warm")
    assert "analyze: decode" in done.stderr


def test_a_refusal_keeps_the_older_result(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """A run that is refused takes away nothing of what lay in the folder."""
    write_run(tmp_path / "run")
    out = tmp_path / "out"
    assert analyze(tmp_path / "run", "--out", out).code == 0
    before = digests(out)
    BROKEN_RUNS["rows_lt_texts"].write(tmp_path / "run")
    assert analyze(tmp_path / "run", "--out", out).code == 4
    assert digests(out) == before
    assert [path.name for path in out.rglob(".*")] == []


@pytest.mark.parametrize(
    "option", [("--top-k", 0), ("--top-k", 101), ("--coherence-threshold", 1.5), ("--threads", -1), ("--device", "tpu")]
)
def test_an_option_out_of_range_is_wrong_usage(
    analyze: Callable[..., Said], tmp_path: Path, option: tuple[str, object]
) -> None:
    """Exit code 2, the option or its setting is named, no traceback."""
    write_run(tmp_path / "run")
    said = analyze(tmp_path / "run", "--out", tmp_path / "out", *option)
    assert said.code == 2, said.err
    name = str(option[0]).removeprefix("--").replace("-", "[-_]")
    assert re.search(name, said.err, re.IGNORECASE)
    assert "Traceback" not in said.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_is_wrong_usage(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """An unknown folder is named, with what to do."""
    said = analyze(tmp_path / "nowhere", "--out", tmp_path / "out")
    assert (said.code, "error RUN_DIR_NOT_FOUND: " in said.err) == (2, True)
    assert str(tmp_path / "nowhere") in said.err
    assert "\n  hint: " in said.err


def test_a_folder_without_a_run_is_refused(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """An empty folder holds no training job; the hint shows the layout."""
    said = analyze(tmp_path, "--out", tmp_path / "out")
    assert (said.code, "error ARTIFACT_MISSING: " in said.err) == (4, True)
    assert "activations/<job>/feature_activations.pt" in said.err


def test_of_several_runs_one_must_be_named(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """Two runs in a folder are ambiguous until --job names one."""
    for number, job in enumerate(("train_a", "train_b")):
        write_run(tmp_path / "run", job_id=job, n_texts=40, seed=number)
    said = analyze(tmp_path / "run", "--out", tmp_path / "out")
    assert (said.code, "error JOB_AMBIGUOUS: " in said.err) == (2, True)
    assert analyze(tmp_path / "run", "--out", tmp_path / "out", "--job", "train_b").code == 0
    assert results(tmp_path / "out")["source_job_id"] == "train_b"
    assert analyze(tmp_path / "run", "--out", tmp_path / "out", "--job", "../train_b").code == 4


def test_an_output_that_cannot_be_written_is_wrong_usage(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """A file in the place of the folder is told as such."""
    write_run(tmp_path / "run", n_texts=40)
    (tmp_path / "out").write_text("a file")
    said = analyze(tmp_path / "run", "--out", tmp_path / "out")
    assert (said.code, "error OUTPUT_NOT_WRITABLE: " in said.err) == (2, True)


def test_top_k_bounds_the_examples(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """--top-k 2 keeps two examples a feature and names another job."""
    write_run(tmp_path / "run")
    assert analyze(tmp_path / "run", "--out", tmp_path / "two", "--top-k", 2).code == 0
    assert analyze(tmp_path / "run", "--out", tmp_path / "usual").code == 0
    two, usual = results(tmp_path / "two"), results(tmp_path / "usual")
    assert max(len(feature["top_activations"]) for feature in two["features"]) == 2
    assert two["find_job_id"] != usual["find_job_id"]


def test_another_taxonomy_is_another_job(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """A taxonomy file with other words changes the job id; an equal copy of the built-in one does not."""
    write_run(tmp_path / "run")
    content = BUILT_IN.read_text()
    copy, other = tmp_path / "copy.toml", tmp_path / "other.toml"
    copy.write_text(content)
    other.write_text(content + "\n# another file\n")
    ids: list[str] = []
    for options in ([], ["--taxonomy", copy], ["--taxonomy", other]):
        out = tmp_path / f"out{len(ids)}"
        said = analyze(tmp_path / "run", "--out", out, *options)
        assert said.code == 0, said.err
        ids.append(results(out)["find_job_id"])
    assert ids[0] == ids[1] != ids[2]
    assert default_taxonomy().sha256 == hashlib.sha256(copy.read_bytes()).hexdigest()


@pytest.mark.parametrize("content", ["not toml [", "[categories]\n", "", "\x00"])
def test_a_bad_taxonomy_is_refused(analyze: Callable[..., Said], tmp_path: Path, content: str) -> None:
    """A taxonomy that cannot be used is refused by its code before anything is analysed."""
    write_run(tmp_path / "run", n_texts=40)
    (tmp_path / "bad.toml").write_text(content)
    said = analyze(tmp_path / "run", "--out", tmp_path / "out", "--taxonomy", tmp_path / "bad.toml")
    assert (said.code, "error INVALID_TAXONOMY: " in said.err) == (4, True), said.err
    assert "\n  hint: " in said.err
    assert not (tmp_path / "out").exists()


def test_an_absent_taxonomy_is_wrong_usage(analyze: Callable[..., Said], tmp_path: Path) -> None:
    """A taxonomy file that is not there is named."""
    write_run(tmp_path / "run", n_texts=40)
    said = analyze(tmp_path / "run", "--out", tmp_path / "out", "--taxonomy", tmp_path / "absent.toml")
    assert (said.code, "error INVALID_SETTING: " in said.err) == (2, True)
    assert "absent.toml" in said.err
