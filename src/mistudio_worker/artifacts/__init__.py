"""What the trainer wrote, read safely: three files become a TrainingRun."""

from mistudio_worker.artifacts.files import ArtifactFiles
from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.artifacts.reader import read_training_run
from mistudio_worker.artifacts.run_dir import find_run

__all__ = ["ArtifactFiles", "Limits", "find_run", "read_training_run"]
