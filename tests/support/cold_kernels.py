"""Print the kernels that jobs of every kind compile or load beyond what the warm-up did: none, or a job waits."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numba.core.dispatcher import Dispatcher
from support.memory_runs import blocks, run_of

from mistudio_worker.analysis.analyze import analyze
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.analysis.warm_up import warm_up
from mistudio_worker.artifacts.reader import read_training_run
from mistudio_worker.artifacts.run_dir import find_run
from mistudio_worker.domain.identity import JobIdentity
from mistudio_worker.domain.parameters import Parameters

if TYPE_CHECKING:
    from mistudio_worker.domain.training_run import TrainingRun

IDENTITY = JobIdentity("a", "find_00000000_000000_00000000", "0" * 64)


def signatures() -> set[tuple[str, str]]:
    """Every kernel of ours with each signature that it has machine code for."""
    modules = [module for name, module in sys.modules.items() if name.startswith("mistudio_worker")]
    kernels = {kernel for module in modules for kernel in vars(module).values() if isinstance(kernel, Dispatcher)}
    return {(kernel.py_func.__qualname__, str(signature)) for kernel in kernels for signature in kernel.signatures}


def runs() -> list[TrainingRun]:
    """Runs that differ in what decides which kernels are called, and with which types."""
    example = read_training_run(find_run(Path(__file__).parents[2] / "examples" / "run"))
    assert example.originals is not None
    random = np.random.default_rng(1)
    half = blocks(example.originals.rows(0, example.originals.shape[0]).numpy(), torch.bfloat16)
    long = np.maximum(random.random((2500, 6)) - 0.9, 0.0)
    return [
        example,
        replace(example, originals=half),
        replace(example, originals=None, sae=None),
        replace(example, invalid_features=(1,), invalid_texts=(3,)),
        run_of(long, originals=random.normal(size=(2500, 300))),
        run_of(random.random((50, 3)), originals=random.normal(size=(50, 4))),
        run_of(np.zeros((5, 3))),
    ]


def main() -> None:
    """Warm up, analyse, compare."""
    warm_up()
    warm = signatures()
    parameters = Parameters(coherence_threshold=0.0)
    for run in runs():
        analyze(
            run,
            identity=IDENTITY,
            parameters=parameters,
            taxonomy=default_taxonomy(),
            execution=Execution(threads=2),
        )
    sys.stdout.write(f"{sorted(signatures() - warm)}\n")


if __name__ == "__main__":
    main()
