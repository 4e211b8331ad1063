"""`mistudio-worker compare`: two runs, two results, or one of each; what is said, what is written, how it ends."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from support.runs import make_run, refresh_metadata, save_run, synthetic_texts, write_run

from mistudio_worker.commands import compare as command_module
from mistudio_worker.contracts.comparison import ComparisonV1

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.command_line import Said

FEATURES, KEPT = 24, 20
ORDER = torch.randperm(FEATURES, generator=torch.Generator().manual_seed(4))[:KEPT]
STATE = {"encoder.weight": 0, "encoder.bias": 0, "decoder.weight": 1}


def write_first(root: Path, **changes: Any) -> Path:
    """A run of 24 features over 200 texts."""
    write_run(root, **{"n_features": FEATURES, "d": 64, **changes})
    return root


def write_second(root: Path) -> Path:
    """The same run under another name, with 20 of its features in another order."""
    contents = make_run(job_id="train_20260103_030405_0002", n_features=FEATURES, d=64)
    state = contents.sae["model_state_dict"]
    for name, dimension in STATE.items():
        state[name] = state[name].index_select(dimension, ORDER)
    contents.activations["feature_count"] = contents.sae["hidden_dim"] = KEPT
    contents.encode()
    refresh_metadata(contents)
    save_run(contents, root)
    return root


def written(out: Path) -> dict[str, Any]:
    """comparison.json of a folder, checked by its model."""
    content = (out / "comparison.json").read_bytes()
    ComparisonV1.model_validate_json(content)
    parsed: dict[str, Any] = json.loads(content)
    return parsed


def pairs(comparison: dict[str, Any]) -> dict[int, int]:
    """Feature of B -> feature of A."""
    return {pair["feature_b"]: pair["feature_a"] for pair in comparison["pairs"]}


@pytest.fixture
def results(analyze: Callable[..., Said], tmp_path: Path) -> dict[str, Path]:
    """The results of both runs."""
    for name, write in (("a", write_first), ("b", write_second)):
        assert analyze(write(tmp_path / name), "--out", tmp_path / f"results_{name}").code == 0
    return {name: next((tmp_path / f"results_{name}" / "results").iterdir()) for name in "ab"}


@pytest.mark.parametrize("by", ["auto", "decoder", "activation"])
def test_two_runs(compare: Callable[..., Said], tmp_path: Path, by: str) -> None:
    """Every kept feature is matched with itself by either method, the dropped ones vanished; stdout says so."""
    a, b, out = write_first(tmp_path / "a"), write_second(tmp_path / "b"), tmp_path / "deep" / "out"
    said = compare(a, b, "--by", by, "--out", out)
    assert said.code == 0, said.err
    found = written(out)
    assert found["matched_by"] == ("activation" if by == "activation" else "decoder")
    assert pairs(found) == dict(enumerate(ORDER.tolist()))
    assert {pair["similarity"] for pair in found["pairs"]} == {1.0}
    assert [(pair["score_change"], pair["changes"]) for pair in found["pairs"]] == [(0.0, [])] * KEPT
    assert {f["feature_id"] for f in found["vanished"]} == set(range(FEATURES)) - set(ORDER.tolist())
    assert found["appeared"] == []
    assert (found["a"]["features"], found["b"]["features"]) == (FEATURES, KEPT)
    assert "20 pairs: 83% of A, 100% of B, median similarity 1.000" in said.out
    assert "0 changed (score by 0.1 or more, tier or category), 4 vanished, 0 appeared" in said.out
    assert "Vanished: 4, best first" in said.out
    assert sorted(path.name for path in out.iterdir()) == ["comparison.json", "comparison.png"]
    assert f"wrote {out / 'comparison.png'}" in said.out
    steps = [line.removeprefix("compare: ") for line in said.err.splitlines()]
    assert [step for step in ("read", "A: decode", "B: decode", "match", "write") if step not in steps] == []


def test_two_results(compare: Callable[..., Said], results: dict[str, Path], tmp_path: Path) -> None:
    """Folders of results, their parents and the files themselves all work, and match by the top texts."""
    file = next(results["b"].glob("*_complete_results.json"))
    digests = set()
    for a, b in ((results["a"], results["b"]), (results["a"].parents[1], file), (results["a"].parent, results["b"])):
        said = compare(a, b, "--out", tmp_path / "out", "--plot", "none")
        assert said.code == 0, said.err
        digests.add(hashlib.sha256((tmp_path / "out" / "comparison.json").read_bytes()).hexdigest())
    assert len(digests) == 1
    found = written(tmp_path / "out")
    assert (found["matched_by"], found["min_similarity"]) == ("top_texts", 0.33)
    assert pairs(found) == dict(enumerate(ORDER.tolist()))
    assert not (tmp_path / "out" / "comparison.png").exists()


def test_a_run_beside_results(compare: Callable[..., Said], analyze: Callable[..., Said], tmp_path: Path) -> None:
    """The run is analysed with the top_k of the results, and matched by the top texts."""
    assert analyze(write_first(tmp_path / "a"), "--out", tmp_path / "results", "--top-k", 9).code == 0
    said = compare(tmp_path / "results", write_second(tmp_path / "b"), "--out", tmp_path / "out")
    assert said.code == 0, said.err
    found = written(tmp_path / "out")
    assert (found["matched_by"], found["a"]["top_k"], found["b"]["top_k"]) == ("top_texts", 9, 9)
    assert pairs(found) == dict(enumerate(ORDER.tolist()))
    said = compare(tmp_path / "results", tmp_path / "b", "--top-k", 12)
    assert "mind: top_k differs (9 and 12)" in said.out


def test_a_run_against_itself(compare: Callable[..., Said], tmp_path: Path) -> None:
    """All is matched, nothing changed, and the same bytes come out with other threads."""
    run = write_first(tmp_path / "run")
    contents = []
    for threads in (1, 2):
        assert compare(run, run, "--out", tmp_path / "out", "--threads", threads).code == 0
        contents.append([path.read_bytes() for path in sorted((tmp_path / "out").iterdir())])
    assert contents[0] == contents[1]
    found = written(tmp_path / "out")
    assert found["summary"]["matched"] == FEATURES
    assert (found["summary"]["changed"], found["vanished"], found["appeared"]) == (0, [], [])


def test_a_terminal_gets_tables(
    compare: Callable[..., Said], results: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the same rows stand in tables with bold heads; elsewhere no escape gets into the lines."""
    plain = compare(results["a"], results["b"])
    assert "\x1b" not in plain.out
    assert not [line for line in plain.out.splitlines() if line != line.rstrip()]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    shown = compare(results["a"], results["b"])
    assert "\x1b[1m" in shown.out
    assert "nearest in B" in shown.out


def test_how_many_are_shown_is_an_option(compare: Callable[..., Said], results: dict[str, Path]) -> None:
    """--show bounds each table and the title says of how many."""
    assert "Vanished: 1 of 4, best first" in compare(results["a"], results["b"], "--show", 1).out
    assert "Vanished: 4, best first" in compare(results["a"], results["b"], "--show", 4).out


def test_thresholds_are_options(compare: Callable[..., Said], results: dict[str, Path], tmp_path: Path) -> None:
    """They stand in the file as they were chosen."""
    assert (
        compare(
            results["a"], results["b"], "--min-similarity", 0.9, "--min-change", 0.25, "--out", tmp_path / "out"
        ).code
        == 0
    )
    found = written(tmp_path / "out")
    assert (found["min_similarity"], found["min_change"]) == (0.9, 0.25)


@pytest.mark.parametrize(
    "option",
    [
        ("--min-similarity", 0),
        ("--min-similarity", 1.1),
        ("--min-change", 0),
        ("--by", "name"),
        ("--plot", "gif"),
        ("--top-k", 0),
    ],
)
def test_an_option_out_of_range_is_wrong_usage(
    compare: Callable[..., Said], tmp_path: Path, option: tuple[str, object]
) -> None:
    """Exit code 2, and the option is named."""
    said = compare(tmp_path, tmp_path, *option)
    assert (said.code, str(option[0]) in said.err) == (2, True)


def test_a_partial_run_ends_with_3(compare: Callable[..., Said], tmp_path: Path) -> None:
    """What one run lacks is named with its letter, and without an autoencoder the activations match."""
    a, b = write_first(tmp_path / "a"), write_second(tmp_path / "b")
    shutil.rmtree(b / "models")
    said = compare(a, b, "--out", tmp_path / "out")
    assert said.code == 3
    assert "partial SAE_MISSING: B: " in said.err
    found = written(tmp_path / "out")
    assert (found["matched_by"], found["a"]["status"], found["b"]["status"]) == ("activation", "completed", "partial")


def test_a_svg_is_drawn(compare: Callable[..., Said], results: dict[str, Path], tmp_path: Path) -> None:
    """--plot svg writes that one."""
    assert compare(results["a"], results["b"], "--out", tmp_path / "out", "--plot", "svg").code == 0
    assert (tmp_path / "out" / "comparison.svg").read_bytes().startswith(b"<?xml")


def test_other_files_of_the_folder_stay(compare: Callable[..., Said], results: dict[str, Path], tmp_path: Path) -> None:
    """--out may be a folder that holds other things."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert compare(results["a"], results["b"], "--out", tmp_path / "out").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "comparison.json",
        "comparison.png",
        "notes.txt",
    ]


class TestRefused:
    def check(self, said: Said, code: int, error: str, *words: str) -> None:
        """Exit code, error code, hint and words, without a traceback."""
        assert (said.code, f"error {error}: " in said.err) == (code, True), said.err
        assert "\n  hint: " in said.err
        assert "Traceback" not in said.err
        assert [word for word in words if word not in said.err] == []

    def test_nothing_there(self, compare: Callable[..., Said], tmp_path: Path) -> None:
        """A path that is not there, and a folder that holds neither."""
        run = write_first(tmp_path / "run")
        (tmp_path / "empty").mkdir()
        for path, words in ((tmp_path / "gone", "is not there"), (tmp_path / "empty", "holds neither")):
            self.check(compare(run, path, "--out", tmp_path / "out"), 2, "RESULTS_NOT_FOUND", str(path), words)
        assert not (tmp_path / "out").exists()

    def test_several(self, compare: Callable[..., Said], results: dict[str, Path], tmp_path: Path) -> None:
        """Results of two jobs in a folder are named; two runs in a folder can be told apart by an option."""
        shutil.copytree(results["b"], results["a"].parent / results["b"].name)
        self.check(compare(results["a"].parent, results["b"]), 2, "RESULTS_AMBIGUOUS", results["a"].name)
        write_second(tmp_path / "a")
        self.check(compare(tmp_path / "a", tmp_path / "b"), 2, "JOB_AMBIGUOUS", "--job-a")
        self.check(compare(tmp_path / "b", tmp_path / "a"), 2, "JOB_AMBIGUOUS", "--job-b")
        assert compare(tmp_path / "a", tmp_path / "b", "--job-a", "train_20260103_030405_0002").code == 0

    def test_no_results(self, compare: Callable[..., Said], tmp_path: Path) -> None:
        """A file that is something else is refused before anything is written."""
        (tmp_path / "x_complete_results.json").write_text('{"features": []}')
        said = compare(tmp_path / "x_complete_results.json", tmp_path, "--out", tmp_path / "out")
        self.check(said, 4, "RESULTS_INVALID", "x_complete_results.json")
        assert not (tmp_path / "out").exists()

    def test_other_texts_and_another_width(self, compare: Callable[..., Said], tmp_path: Path) -> None:
        """Runs that have nothing in common are refused with both reasons, before minutes of analysis."""
        a = write_first(tmp_path / "a")
        b = write_first(tmp_path / "b", d=48, texts=[f"B {text}" for text in synthetic_texts(200)])
        said = compare(a, b)
        self.check(said, 4, "RUNS_NOT_COMPARABLE", "0 texts in common", "64 dimensions, those of B 48")
        assert "A: decode" not in said.err

    def test_other_results(self, compare: Callable[..., Said], analyze: Callable[..., Said], tmp_path: Path) -> None:
        """Results over other texts too, and results have no decoder to match by."""
        for name, texts in (("a", synthetic_texts(90)), ("b", [f"B {text}" for text in synthetic_texts(90)])):
            assert analyze(write_first(tmp_path / name, texts=texts), "--out", tmp_path / f"r{name}").code == 0
        self.check(compare(tmp_path / "ra", tmp_path / "rb"), 4, "RUNS_NOT_COMPARABLE", "of A")
        self.check(compare(tmp_path / "ra", tmp_path / "b", "--by", "decoder"), 4, "RUNS_NOT_COMPARABLE", "by decoder")

    def test_no_plot_library(
        self, compare: Callable[..., Said], results: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Without matplotlib the remedy is named at once, and all else works."""
        monkeypatch.setattr(command_module, "find_spec", lambda _name: None)
        said = compare(results["a"], results["b"], "--out", tmp_path / "out")
        self.check(said, 2, "PLOT_LIBRARY_MISSING", "mistudio-worker[plot]", "--plot none")
        assert compare(results["a"], results["b"]).code == 0
        assert compare(results["a"], results["b"], "--out", tmp_path / "out", "--plot", "none").code == 0

    def test_an_output_that_cannot_be_written(self, compare: Callable[..., Said], tmp_path: Path) -> None:
        """A file in the place of the folder is told before anything is analysed."""
        (tmp_path / "out").write_text("a file")
        said = compare(write_first(tmp_path / "a"), tmp_path / "a", "--out", tmp_path / "out")
        self.check(said, 2, "OUTPUT_NOT_WRITABLE")
        assert "read" not in said.err.split("error")[0]
