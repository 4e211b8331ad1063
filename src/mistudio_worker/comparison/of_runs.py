"""Which likeness two whole runs allow: decoder directions, or activations over common texts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mistudio_worker.comparison.activations import MIN_COMMON_TEXTS, activation_similarities
from mistudio_worker.comparison.caveats import space_difference
from mistudio_worker.comparison.common_texts import match_texts
from mistudio_worker.comparison.decoders import decoder_similarities
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.comparison.similarities import Similarities
    from mistudio_worker.domain.comparison import MatchBy
    from mistudio_worker.domain.training_run import TrainingRun


def run_similarities(a: TrainingRun, b: TrainingRun, *, by: MatchBy, execution: Execution) -> Similarities:
    """Return the similarities of two runs' features by the method asked for.

    `auto` takes the decoder directions where both autoencoders are there, have the same d, and the metadata do not name
    different models or layers; else the activations.

    Raises:
        RefusedInput: `RUNS_NOT_COMPARABLE`, saying what is missing; `MEMORY_BUDGET_EXCEEDED`.
    """
    lack, difference = _decoder_lack(a, b), space_difference(a.metadata, b.metadata)
    if a.sae and b.sae and lack is None and (by == "decoder" or (by == "auto" and difference is None)):
        found = decoder_similarities(a.sae, b.sae)
        caveat = () if difference is None else (f"{difference}: their decoder directions lie in different spaces",)
        return replace(found, caveats=(*found.caveats, *caveat))
    if by == "decoder":
        raise _refused(f"matching by decoder is not possible: {lack}", "try --by activation")
    common = match_texts(a.texts, b.texts)
    if common.count < MIN_COMMON_TEXTS:
        few = f"the runs have {common.count:,} texts in common, matching by activation needs {MIN_COMMON_TEXTS}"
        why = "" if by == "activation" else f"; matching by decoder is not possible: {lack or difference}"
        raise _refused(few + why, "run both autoencoders over the same texts")
    return activation_similarities(a, b, common, execution)


def _decoder_lack(a: TrainingRun, b: TrainingRun) -> str | None:
    """Say why the decoders cannot be compared; None where they can."""
    absent = [name for name, run in (("A", a), ("B", b)) if run.sae is None]
    if a.sae is None or b.sae is None:
        return f"{' and '.join(absent)} {'has' if len(absent) == 1 else 'have'} no autoencoder"
    d_a, d_b = a.sae.decoder_weight.shape[0], b.sae.decoder_weight.shape[0]
    return None if d_a == d_b else f"the decoder directions of A have {d_a} dimensions, those of B {d_b}"


def _refused(message: str, hint: str) -> RefusedInput:
    return RefusedInput("RUNS_NOT_COMPARABLE", message, hint)
