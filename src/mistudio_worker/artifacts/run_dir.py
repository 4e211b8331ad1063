"""The files of a run in a local folder that is laid out as the bucket is."""

from __future__ import annotations

from pathlib import Path

from mistudio_worker.artifacts.files import ACTIVATIONS_NAME, METADATA_NAME, SAE_NAME, ArtifactFiles
from mistudio_worker.domain.identity import check_training_job_id, is_training_job_id
from mistudio_worker.errors import RefusedInput, WrongUsage

_SHOWN = 10
_LAYOUT = "expected activations/<job>/feature_activations.pt, beside it metadata.json, and models/<job>/sae_model.pt"


def find_run(run_dir: Path, job: str | None = None) -> ArtifactFiles:
    """Return the files of the job named, or of the only one in the folder.

    Args:
        run_dir: holds `models/` and `activations/`.
        job: training job id; None for the only one.

    Raises:
        WrongUsage: `RUN_DIR_NOT_FOUND`, no such folder; `JOB_AMBIGUOUS`, it holds several jobs.
        RefusedInput: `INVALID_JOB_ID`; `ARTIFACT_MISSING`, no feature_activations.pt; `ARTIFACT_INVALID`,
            a link that leads out of the folder.
    """
    if not run_dir.is_dir():
        raise WrongUsage("RUN_DIR_NOT_FOUND", f"{run_dir} is no folder", "name the folder that holds activations/")
    job = _only_job(run_dir) if job is None else check_training_job_id(job)
    activations = _inside(run_dir, Path("activations", job, ACTIVATIONS_NAME))
    if activations is None:
        raise RefusedInput(
            "ARTIFACT_MISSING", f"{run_dir} has no activations/{job}/{ACTIVATIONS_NAME}", f"check the folder: {_LAYOUT}"
        )
    return ArtifactFiles(
        training_job_id=job,
        activations=activations,
        sae_model=_inside(run_dir, Path("models", job, SAE_NAME)),
        metadata=_inside(run_dir, Path("activations", job, METADATA_NAME)),
    )


def _only_job(run_dir: Path) -> str:
    folder = run_dir / "activations"
    found = sorted(p.name for p in folder.iterdir() if _is_job(p)) if folder.is_dir() else []
    if not found:
        raise RefusedInput("ARTIFACT_MISSING", f"{run_dir} holds no training job", f"check the folder: {_LAYOUT}")
    if len(found) > 1:
        shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        raise WrongUsage(
            "JOB_AMBIGUOUS", f"{run_dir} holds {len(found):,} jobs: {shown}", "name one of them with --job"
        )
    return found[0]


def _is_job(folder: Path) -> bool:
    return folder.is_dir() and is_training_job_id(folder.name)


def _inside(run_dir: Path, relative: Path) -> Path | None:
    path = run_dir / relative
    if not path.is_file():
        return None
    if not path.resolve().is_relative_to(run_dir.resolve()):
        raise RefusedInput(
            "ARTIFACT_INVALID", f"{relative} is a link that leads out of {run_dir}", "put the file itself in its place"
        )
    return path
