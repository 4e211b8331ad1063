"""Tensors that are not what they claim, and values that no training produces."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import torch
from support.hostile import opcodes as op
from support.hostile.kind import HostileRun, of_pickle
from support.runs import make_run, save_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.runs import RunContents, RunPaths

INVALID, FORBIDDEN, TRUNCATED = ("ARTIFACT_INVALID",), ("ARTIFACT_FORBIDDEN_PICKLE",), ("ARTIFACT_TRUNCATED",)
HUGE = 1 << 40


def _features(value: bytes) -> Callable[[RunPaths], None]:
    """A run whose feature activations are these opcodes."""
    return of_pickle(lambda _: op.activations(features=value))


def _changed(change: Callable[[RunContents], None]) -> Callable[[RunPaths], None]:
    """A run as torch.save writes it, changed."""

    def build(where: RunPaths) -> None:
        contents = make_run(n_texts=40, n_features=6, d=4)
        change(contents)
        save_run(contents, where.root)

    return build


def _replaced(make: Callable[[torch.Tensor], Any]) -> Callable[[RunPaths], None]:
    """A run whose feature activations are made of the honest ones."""

    def change(run: RunContents) -> None:
        run.activations["feature_activations"] = make(run.activations["feature_activations"])

    return _changed(change)


def _quantized(features: torch.Tensor) -> torch.Tensor:
    # what torch.quantize_per_tensor makes, which warns of its age
    return torch._empty_affine_quantized(features.shape, scale=0.1, zero_point=0, dtype=torch.quint8)


class _Subclass(torch.Tensor):
    pass


def _all_nan(run: RunContents) -> None:
    for name in ("feature_activations", "original_activations"):
        run.activations[name].fill_(float("nan"))


def _huge_values(run: RunContents) -> None:
    run.activations["original_activations"].mul_(1e30)
    run.encode()
    run.metadata = {}


def _cyclic_state(run: RunContents) -> None:
    run.sae["model_state_dict"] = {"encoder.weight": run.sae["model_state_dict"]}


def _scalar_sae(run: RunContents) -> None:
    run.sae["model_state_dict"]["encoder.weight"] = torch.tensor(1.0)


def _many_features(count: int) -> Callable[[RunPaths], None]:
    """So many features of one text: few bytes that would become gigabytes of results."""

    def build(where: RunPaths) -> None:
        pickle = op.activations(
            features=op.matrix("0", 1, count, "HalfStorage"), originals=op.matrix("1", 1, 2), rows=1
        )
        op.save(where.activations, pickle, {"0": struct.pack("<e", 1.0) * count, "1": struct.pack("<ff", 1, 2)})

    return build


def _repeated(rows: int) -> bytes:
    return op.tensor("0", 12, (rows, 3), (0, 1))


KINDS = {
    "sparse_coo": HostileRun("a sparse COO tensor", FORBIDDEN, _replaced(torch.Tensor.to_sparse)),
    "sparse_csr": HostileRun("a sparse CSR tensor", FORBIDDEN, _replaced(lambda t: t.to_sparse_csr())),
    "quantised": HostileRun("a quantised tensor", FORBIDDEN, _replaced(_quantized)),
    "nested": HostileRun(
        "a nested tensor", FORBIDDEN, _replaced(lambda t: torch.nested.nested_tensor([t, t], layout=torch.jagged))
    ),
    "meta": HostileRun("a tensor without data", FORBIDDEN, _replaced(lambda t: t.to("meta"))),
    "subclass": HostileRun("a subclass of Tensor", FORBIDDEN, _replaced(lambda t: t.as_subclass(_Subclass))),
    "complex": HostileRun("complex numbers", FORBIDDEN, _replaced(lambda t: t.to(torch.complex64))),
    "boolean": HostileRun("truth values", INVALID, _replaced(lambda t: t > 0)),
    "integers": HostileRun("integers", INVALID, _replaced(lambda t: t.long())),
    "gradients": HostileRun("a tensor that asks for gradients", ("completed",), _replaced(torch.Tensor.requires_grad_)),
    "cube": HostileRun("three dimensions", INVALID, _replaced(lambda t: t[None])),
    "no_tensor": HostileRun("a list for a tensor", INVALID, _replaced(lambda t: t.tolist())),
    "negative_stride": HostileRun("a negative stride", INVALID, _features(op.tensor("0", 12, (4, 3), (-3, 1), 9))),
    "negative_size": HostileRun("a negative size", INVALID, _features(op.tensor("0", 12, (-4, 3), (3, 1)))),
    "negative_offset": HostileRun("a negative offset", INVALID, _features(op.tensor("0", 12, (4, 3), (3, 1), -1))),
    "huge_stride": HostileRun("a stride of 2^62", TRUNCATED, _features(op.tensor("0", 12, (4, 3), (1 << 62, 1)))),
    "over_int64": HostileRun("a size of 2^200", INVALID, _features(op.tensor("0", 12, (1 << 200, 3), (0, 1)))),
    "huge_claim": HostileRun("a tensor of 2^40 elements", TRUNCATED, _features(op.tensor("0", 12, (HUGE, 1), (1, 1)))),
    "huge_storage": HostileRun("a storage of 2^40 elements", TRUNCATED, _features(op.matrix("0", HUGE, 1))),
    "short_storage": HostileRun(
        "a tensor longer than its storage", TRUNCATED, _features(op.tensor("0", 12, (5, 3), (3, 1)))
    ),
    "no_storage": HostileRun("a storage that is not there", TRUNCATED, _features(op.matrix("9", 4, 3))),
    "offset_beyond": HostileRun(
        "an offset beyond the storage", TRUNCATED, _features(op.tensor("0", 12, (4, 3), (3, 1), HUGE))
    ),
    "repeated_rows": HostileRun("2^40 rows over three elements", TRUNCATED, _features(_repeated(HUGE))),
    "overlapping_rows": HostileRun("rows that lie over each other", TRUNCATED, _features(_repeated(400))),
    "shape_of_texts": HostileRun(
        "a shape that is no number",
        FORBIDDEN,
        _features(op.tensor("0", 12, (4, 3), (3, 1)).replace(b"J\x04\0\0\0", op.text("four"))),
    ),
    "ragged_shape": HostileRun("a stride too few", FORBIDDEN, _features(op.tensor("0", 12, (4, 3), (3,)))),
    "many_features": HostileRun("2^21 features", ("ARTIFACT_TOO_LARGE",), _many_features(1 << 21)),
    "all_nan": HostileRun("nothing but NaN", ("FEATURE_NOT_FINITE",), _changed(_all_nan)),
    "huge_values": HostileRun(
        "values near the largest float",
        ("completed", "ORIGINAL_NOT_FINITE", "METADATA_MISSING"),
        _changed(_huge_values),
    ),
    "state_in_state": HostileRun("a state dict for a weight", INVALID, _changed(_cyclic_state)),
    "scalar_weight": HostileRun("a weight of no dimensions", INVALID, _changed(_scalar_sae)),
}
