"""What the two arguments of `compare` name: a run on this disk, or the results of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.artifacts.files import ArtifactFiles
from mistudio_worker.artifacts.run_dir import find_run
from mistudio_worker.comparison.results_reading import read_results
from mistudio_worker.errors import RefusedInput, WrongUsage

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.domain.comparison import RunFigures

RESULTS_SUFFIX = "_complete_results.json"
_PLACES = (f"*{RESULTS_SUFFIX}", f"*/*{RESULTS_SUFFIX}", f"results/*/*{RESULTS_SUFFIX}")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Source:
    """One of the two things to compare.

    Attributes:
        name: `A` or `B`.
        path: as the user named it.
        found: the files of a run, or the path of complete results.
    """

    name: str
    path: Path
    found: ArtifactFiles | Path

    @property
    def job(self) -> str | None:
        """The training job of a run; None for results."""
        return self.found.training_job_id if isinstance(self.found, ArtifactFiles) else None


def locate(path: Path, job: str | None, option: str) -> ArtifactFiles | Path:
    """Return the files of a run where the folder holds `activations/`, else the path of complete results.

    Args:
        path: what the user named.
        job: training job of a run; None for the only one.
        option: that names the job, for the hint.

    Raises:
        WrongUsage: `RESULTS_NOT_FOUND`, there is neither; `RESULTS_AMBIGUOUS`; `JOB_AMBIGUOUS`.
        RefusedInput: as of `find_run`.
    """
    if path.is_file():
        return path
    if not (path / "activations").is_dir():
        return _find_results(path)
    try:
        return find_run(path, job)
    except WrongUsage as error:
        raise WrongUsage(error.code, error.message, f"name one of them with {option}") from None


def _find_results(path: Path) -> Path:
    found = next((found for place in _PLACES if (found := sorted(path.glob(place)))), [])
    if not found:
        what = "holds neither activations/ nor complete results" if path.is_dir() else "is not there"
        raise WrongUsage(
            "RESULTS_NOT_FOUND",
            f"{path} {what}",
            f"name a folder with models/ and activations/, or one with a file *{RESULTS_SUFFIX}, or that file",
        )
    if len(found) > 1:
        shown = ", ".join(str(result.relative_to(path)) for result in found[:_SHOWN])
        raise WrongUsage(
            "RESULTS_AMBIGUOUS", f"{path} holds the results of {len(found):,} jobs: {shown}", "name one of these files"
        )
    return found[0]


def load_results(path: Path, memory_bytes: int) -> RunFigures:
    """Read the complete results of a run.

    Raises:
        RefusedInput: `RESULTS_INVALID`; larger than the memory that the analysis may use.
    """
    try:
        size = path.stat().st_size
        if size > memory_bytes:
            raise RefusedInput(
                "RESULTS_INVALID",
                f"{path.name} has {size:,} bytes, at most {memory_bytes:,} are read",
                "raise MISTUDIO_ANALYSIS__MEMORY_BYTES to twice its size",
            )
        content = path.read_bytes()
    except OSError as error:
        raise WrongUsage(
            "RESULTS_NOT_FOUND", f"{path} cannot be read: {error.strerror}", "check the path and its permissions"
        ) from None
    return read_results(content, path.name)
