"""Finding the files of a run in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.runs import write_run

from mistudio_worker.artifacts.run_dir import find_run
from mistudio_worker.errors import RefusedInput, WrongUsage

if TYPE_CHECKING:
    from pathlib import Path


def test_the_only_job_is_found(tmp_path: Path) -> None:
    """Where there is one job, it needs no name."""
    where = write_run(tmp_path)
    files = find_run(tmp_path, None)
    assert (files.training_job_id, files.activations) == (where.training_job_id, where.activations)
    assert (files.sae_model, files.metadata) == (where.sae_model, where.metadata)


def test_a_named_job_is_found_among_others(tmp_path: Path) -> None:
    """A name chooses among several jobs."""
    write_run(tmp_path, job_id="train_a", n_texts=5)
    write_run(tmp_path, job_id="train_b", n_texts=5)
    assert find_run(tmp_path, "train_b").training_job_id == "train_b"


def test_several_jobs_are_listed(tmp_path: Path) -> None:
    """Without a name the first ten jobs are listed."""
    for number in range(12):
        (tmp_path / "activations" / f"train_{number:02}").mkdir(parents=True)
    with pytest.raises(WrongUsage, match=r"holds 12 jobs: train_00, .*, train_09, \.\.\.") as caught:
        find_run(tmp_path, None)
    assert caught.value.code == "JOB_AMBIGUOUS"
    assert "train_10" not in caught.value.message


def test_absent_files(tmp_path: Path) -> None:
    """Without the SAE or the metadata there is still a run, without the activations there is none."""
    where = write_run(tmp_path)
    where.sae_model.unlink()
    where.metadata.unlink()
    files = find_run(tmp_path)
    assert files.sae_model is None
    assert files.metadata is None
    where.activations.unlink()
    with pytest.raises(RefusedInput, match="ARTIFACT_MISSING"):
        find_run(tmp_path)


def test_empty_and_absent_folders(tmp_path: Path) -> None:
    """A folder without jobs has no artifacts; no folder is wrong usage."""
    with pytest.raises(RefusedInput, match="ARTIFACT_MISSING"):
        find_run(tmp_path)
    with pytest.raises(WrongUsage, match="RUN_DIR_NOT_FOUND"):
        find_run(tmp_path / "nowhere")


@pytest.mark.parametrize("job", ["../other", "a/b", "", ".hidden", "a..b"])
def test_names_that_lead_elsewhere_are_refused(job: str, tmp_path: Path) -> None:
    """A job's name is never a path."""
    with pytest.raises(RefusedInput, match="INVALID_JOB_ID"):
        find_run(tmp_path, job)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    """A link may point inside the folder, never out of it."""
    where = write_run(tmp_path / "run")
    outside = tmp_path / "outside.pt"
    where.sae_model.rename(outside)
    where.sae_model.symlink_to(outside)
    with pytest.raises(RefusedInput, match="leads out of"):
        find_run(tmp_path / "run")
    where.sae_model.unlink()
    outside.rename(tmp_path / "run" / "kept.pt")
    where.sae_model.symlink_to(tmp_path / "run" / "kept.pt")
    assert find_run(tmp_path / "run").sae_model == where.sae_model
