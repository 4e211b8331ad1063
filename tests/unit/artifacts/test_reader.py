"""read_training_run over every kind of run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from support.broken_runs import BROKEN_RUNS
from support.runs import TOKEN, RunContents, make_run, save_run, write_run

from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.artifacts.reader import read_training_run
from mistudio_worker.artifacts.run_dir import find_run
from mistudio_worker.errors import MistudioError, NotYetThere, RefusedInput

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED = sorted(name for name, kind in BROKEN_RUNS.items() if kind.expect == "refuse")
READ = sorted(name for name, kind in BROKEN_RUNS.items() if kind.expect != "refuse")


@pytest.mark.parametrize("name", READ)
def test_reads_what_can_be_read(name: str, tmp_path: Path) -> None:
    """An unusual run is read, and whatever is missing from it is named by its code."""
    kind = BROKEN_RUNS[name]
    kind.write(tmp_path)
    run = read_training_run(find_run(tmp_path))
    assert tuple(gap.code for gap in run.gaps) == kind.codes
    assert run.features.shape == (len(run.texts), 24)


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_is_broken(name: str, tmp_path: Path) -> None:
    """A broken run is refused under a stable code with a remedy, and nothing in it runs or leaks."""
    kind = BROKEN_RUNS[name]
    where = kind.write(tmp_path)
    with pytest.raises(MistudioError) as caught:
        read_training_run(find_run(tmp_path))
    error = caught.value
    assert (error.code,) == kind.codes
    assert isinstance(error, NotYetThere if error.code == "ARTIFACT_NOT_READY" else RefusedInput)
    assert error.hint
    assert TOKEN not in f"{error} {error.hint}"
    assert "harbour" not in str(error)
    assert not (where.root / "CODE_RAN").exists()


def test_whole_run_comes_back(tmp_path: Path) -> None:
    """Texts, tensors, weights and metadata are those that were written."""
    contents = make_run(features_dtype=torch.float16, sae_dtype=torch.bfloat16)
    save_run(contents, tmp_path)
    run = read_training_run(find_run(tmp_path))
    assert run.training_job_id == contents.job_id
    assert run.texts == contents.activations["texts"]
    assert run.features.rows(3, 9).dtype == torch.float16
    assert torch.equal(run.features.rows(3, 9), contents.activations["feature_activations"][3:9])
    assert run.originals is not None
    assert torch.equal(run.originals.rows(0, 200), contents.activations["original_activations"])
    assert run.sae is not None
    assert torch.equal(run.sae.encoder_weight, contents.weight("encoder.weight").float())
    assert run.sae.decoder_weight.dtype == torch.float32
    assert run.metadata.layer == 3
    assert not run.gaps


def test_tied_decoder_is_copied_right(tmp_path: Path) -> None:
    """A decoder that is a transposed view of the encoder's storage becomes its own contiguous matrix."""
    BROKEN_RUNS["tied_weights"].write(tmp_path)
    run = read_training_run(find_run(tmp_path))
    assert run.sae is not None
    assert run.sae.decoder_weight.is_contiguous()
    assert torch.equal(run.sae.decoder_weight, run.sae.encoder_weight.T)


def test_bad_cells_are_located(tmp_path: Path) -> None:
    """Columns and rows with impossible values are named, ascending."""
    BROKEN_RUNS["both_bad"].write(tmp_path / "features")
    run = read_training_run(find_run(tmp_path / "features"))
    assert run.invalid_features == (3, 5)
    assert [gap.features for gap in run.gaps] == [(5,), (3,)]
    BROKEN_RUNS["nan_original"].write(tmp_path / "originals")
    run = read_training_run(find_run(tmp_path / "originals"))
    assert run.invalid_texts == (17,)
    assert run.gaps[0].texts == (17,)


def test_lone_surrogates_are_replaced_and_counted(tmp_path: Path) -> None:
    """Every lone surrogate becomes U+FFFD; whole pairs and all else stay as they are."""
    BROKEN_RUNS["unicode_control_chars"].write(tmp_path)
    run = read_training_run(find_run(tmp_path))
    assert run.replaced_surrogates == 2
    assert run.texts[1] == "lone \ufffd and \ufffd halves"
    assert run.texts[0] == "NUL \x00 and bell \x07"
    assert "\U0001f469" in run.texts[4]


def test_misalignment_names_both_figures(tmp_path: Path) -> None:
    """A refusal over rows and texts tells how many of each there are."""
    BROKEN_RUNS["rows_lt_texts"].write(tmp_path)
    with pytest.raises(RefusedInput, match="rows of feature_activations: 190, texts: 200"):
        read_training_run(find_run(tmp_path))


def test_transposed_weights_name_their_shapes(tmp_path: Path) -> None:
    """A refusal over transposed weights tells the shapes."""
    BROKEN_RUNS["transposed_sae"].write(tmp_path)
    with pytest.raises(RefusedInput, match=r"encoder.weight \[16, 24\]"):
        read_training_run(find_run(tmp_path))


def test_not_finite_weights_are_refused(tmp_path: Path) -> None:
    """NaN in the autoencoder itself leaves nothing to measure by."""
    contents = make_run()
    contents.weight("decoder.bias")[3] = float("nan")
    save_run(contents, tmp_path)
    with pytest.raises(RefusedInput, match=r"decoder\.bias holds 1 values that are not finite"):
        read_training_run(find_run(tmp_path))


def test_empty_matrices_are_refused(tmp_path: Path) -> None:
    """Neither a run without features nor vectors nor weights of no width can be analysed."""
    for name, made in (
        ("features", make_run(n_features=0, n_texts=5)),
        ("originals", make_run()),
        ("weights", make_run()),
    ):
        if name == "originals":
            made.activations["original_activations"] = torch.empty(200, 0)
            made.activations["activation_dim"] = 0
        if name == "weights":
            made.sae["model_state_dict"]["encoder.weight"] = torch.empty(24, 0)
        save_run(made, tmp_path / name)
        with pytest.raises(RefusedInput, match="ARTIFACT_INVALID"):
            read_training_run(find_run(tmp_path / name))


def test_entries_of_other_types_are_refused(tmp_path: Path) -> None:
    """Counts that are no integers, a state that is no dict and missing entries are each named."""
    changes: dict[str, Callable[[RunContents], object]] = {
        "feature_count is a str": lambda run: run.activations.update(feature_count="24"),
        "hidden_dim in sae_model.pt is a float": lambda run: run.sae.update(hidden_dim=24.0),
        "hidden_dim of sae_model.pt: 25": lambda run: run.sae.update(hidden_dim=25),
        "model_state_dict is a list": lambda run: run.sae.update(model_state_dict=[]),
        "no entry encoder.bias": lambda run: run.sae["model_state_dict"].pop("encoder.bias"),
        "no entry feature_activations": lambda run: run.activations.pop("feature_activations"),
        "activation_shape of metadata": lambda run: run.metadata["data_info"].update(activation_shape=[200, 17]),
        "total_features of metadata": lambda run: run.metadata["feature_statistics"].update(total_features=3),
    }
    for number, (message, change) in enumerate(changes.items()):
        contents = make_run()
        change(contents)
        save_run(contents, tmp_path / str(number))
        with pytest.raises(RefusedInput, match=message):
            read_training_run(find_run(tmp_path / str(number)))


@pytest.mark.parametrize(
    ("limits", "setting"),
    [
        (Limits(max_texts=199), "max_texts"),
        (Limits(max_text_bytes=1000), "max_text_bytes"),
        (Limits(max_features=23), "max_features"),
        (Limits(max_activation_dim=15), "max_activation_dim"),
        (Limits(max_pickle_bytes=1000), "max_pickle_bytes"),
        (Limits(max_checkpoint_bytes=1000), "max_checkpoint_bytes"),
        (Limits(max_sae_bytes=1000), "max_sae_bytes"),
        (Limits(max_zip_entries=3), "max_zip_entries"),
        (Limits(max_pickle_opcodes=100), "max_pickle_opcodes"),
        (Limits(max_one_text_bytes=20), "max_one_text_bytes"),
    ],
)
def test_limits_refuse_with_their_name(limits: Limits, setting: str, tmp_path: Path) -> None:
    """What lies over a budget is refused, and the hint names the budget."""
    write_run(tmp_path)
    with pytest.raises(RefusedInput) as caught:
        read_training_run(find_run(tmp_path), limits)
    assert caught.value.code == "ARTIFACT_TOO_LARGE"
    assert f"MISTUDIO_ANALYSIS__{setting.upper()}" in caught.value.hint


def test_real_run_is_read_whole() -> None:
    """The example, a real run of the trainer, is read without a gap."""
    run = read_training_run(find_run(Path(__file__).parents[3] / "examples" / "run"))
    assert not run.gaps
