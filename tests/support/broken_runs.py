"""Runs that are broken or unusual: each kind, what a reader must do with it, and under which code."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from support.runs import RunContents, RunPaths, make_run, refresh_metadata, save_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Expectation = Literal["refuse", "partial", "accept"]


@dataclass(frozen=True)
class BrokenRun:
    """One kind.

    Attributes:
        expect: what a reader must do.
        codes: codes of the error, or of the gaps; empty where the run is to be accepted.
        change: applied to the contents before they are saved.
        damage: applied to the saved files.
    """

    expect: Expectation
    codes: tuple[str, ...] = ()
    change: Callable[[RunContents], None] | None = None
    damage: Callable[[RunPaths], None] | None = None

    def write(self, root: Path) -> RunPaths:
        """Write the run under `root`."""
        contents = make_run()
        if self.change is not None:
            self.change(contents)
        where = save_run(contents, root)
        if self.damage is not None:
            self.damage(where)
        return where


class RunsCode:
    """Unpickled without protection, it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.marker,)


# -- values


def _cells(*values: float) -> Callable[[RunContents], None]:
    def change(run: RunContents) -> None:
        for index, value in enumerate(values):
            run.activations["feature_activations"][5 + 7 * index, 3 + 2 * index] = value

    return change


def _nan_original(run: RunContents) -> None:
    run.activations["original_activations"][17, 2] = float("nan")


def _no_originals(run: RunContents) -> None:
    del run.activations["original_activations"]


# -- alignment


def _take(run: RunContents, rows: list[int]) -> None:
    for name in ("feature_activations", "original_activations"):
        run.activations[name] = run.activations[name][rows].clone()


def _rows_lt_texts(run: RunContents) -> None:
    _take(run, [*range(100), *range(110, 200)])
    refresh_metadata(run)


def _patched_texts(run: RunContents) -> None:
    """Rows were lost, the texts cut to fit: only the metadata still tells."""
    _rows_lt_texts(run)
    del run.activations["texts"][-10:]


def _take_all(run: RunContents, rows: list[int]) -> None:
    _take(run, rows)
    run.activations["texts"] = [run.activations["texts"][row] for row in rows]
    refresh_metadata(run)


def _wrong_sae(run: RunContents) -> None:
    run.sae["model_state_dict"] = make_run(seed=99).sae["model_state_dict"]


def _permuted_sae(run: RunContents) -> None:
    order = torch.randperm(24, generator=torch.Generator().manual_seed(5))
    state = run.sae["model_state_dict"]
    state["encoder.weight"] = run.weight("encoder.weight")[order].clone()
    state["encoder.bias"] = run.weight("encoder.bias")[order].clone()
    state["decoder.weight"] = run.weight("decoder.weight")[:, order].clone()


def _shuffled_rows(run: RunContents) -> None:
    order = torch.randperm(200, generator=torch.Generator().manual_seed(5))
    run.activations["feature_activations"] = run.activations["feature_activations"][order].clone()


def _wider_sae(run: RunContents) -> None:
    run.sae["model_state_dict"] = make_run(n_features=32).sae["model_state_dict"]
    run.sae["hidden_dim"] = 32


def _transposed_sae(run: RunContents) -> None:
    for name in ("encoder.weight", "decoder.weight"):
        run.sae["model_state_dict"][name] = run.weight(name).T.contiguous()


def _square_transposed_sae(run: RunContents) -> None:
    square = make_run(n_features=16)
    run.activations, run.sae, run.metadata = square.activations, square.sae, square.metadata
    _transposed_sae(run)


def _count_lies(run: RunContents) -> None:
    run.activations["feature_count"] += 3
    run.activations["activation_dim"] -= 1


def _metadata_disagrees(run: RunContents) -> None:
    run.metadata["data_info"]["text_count"] += 11


def _metadata_dims_disagree(run: RunContents) -> None:
    run.metadata["sae_config"]["hidden_dim"] *= 2


def _metadata_rates_disagree(run: RunContents) -> None:
    run.metadata["feature_statistics"]["feature_activation_rates"].append(0.5)


# -- texts


def _missing_texts(run: RunContents) -> None:
    del run.activations["texts"]


def _texts_not_str(run: RunContents) -> None:
    run.activations["texts"][3:6] = [None, 7, b"bytes"]


def _odd_texts(run: RunContents) -> None:
    run.activations["texts"][:7] = [
        "NUL \x00 and bell \x07",
        "lone \ud83d and \udc00 halves",
        "=1+1",
        "]]> <b>&amp;</b>",
        "\u202eright to left\u202c and \U0001f469\u200d\U0001f467",
        "",
        "   ",
    ]


def _huge_text(run: RunContents) -> None:
    run.activations["texts"][0] = "word " * 200_000
    run.activations["texts"][1] = "x" * 200_000


# -- precision


def _dead_all(run: RunContents) -> None:
    run.weight("encoder.weight").zero_()
    run.weight("encoder.bias").fill_(-1.0)
    run.encode()
    refresh_metadata(run)


def _tied_activations(run: RunContents) -> None:
    run.weight("encoder.weight")[1] = run.weight("encoder.weight")[0]
    run.activations["original_activations"][20:30] = run.activations["original_activations"][20]
    run.encode()
    refresh_metadata(run)


def _half_features(run: RunContents) -> None:
    run.activations["feature_activations"] = run.activations["feature_activations"].half()


def _bf16_sae(run: RunContents) -> None:
    state = run.sae["model_state_dict"]
    run.sae["model_state_dict"] = {name: tensor.bfloat16() for name, tensor in state.items()}
    run.encode()


def _autocast(dtype: torch.dtype) -> Callable[[RunContents], None]:
    def change(run: RunContents) -> None:
        x, weight = run.activations["original_activations"].to(dtype), run.weight("encoder.weight").to(dtype)
        run.activations["feature_activations"] = torch.relu(x @ weight.T + run.weight("encoder.bias").to(dtype))

    return change


def _tied_weights(run: RunContents) -> None:
    run.sae["model_state_dict"]["decoder.weight"] = run.weight("encoder.weight").T


def _float32_stats(run: RunContents) -> None:
    run.sae["training_stats"]["losses"] = [np.float32(0.5), np.float64("nan"), 0.25]


# -- containers


def _cut(where: Path) -> None:
    where.write_bytes(where.read_bytes()[: int(where.stat().st_size * 0.6)])


def _flip(where: Path) -> None:
    with zipfile.ZipFile(where) as archive:
        entry = next(info for info in archive.infolist() if info.filename.endswith("data.pkl"))
    content = bytearray(where.read_bytes())
    content[entry.header_offset + 200 + entry.file_size // 2] ^= 0x10
    where.write_bytes(content)


def _flip_tensor(where: Path) -> None:
    with zipfile.ZipFile(where) as archive:
        entry = next(info for info in archive.infolist() if info.filename.endswith("data/0"))
    content = bytearray(where.read_bytes())
    content[entry.header_offset + 200] ^= 0x01
    where.write_bytes(content)


def _resave(where: Path, content: object, *, zipped: bool = True) -> None:
    torch.save(content, where, _use_new_zipfile_serialization=zipped)


def _load(where: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(where, weights_only=False)
    return content


def _deflate(where: Path) -> None:
    """Few bytes on disk, 64 MiB of zeros once unpacked."""
    with zipfile.ZipFile(where) as archive:
        kept = {info.filename: archive.read(info) for info in archive.infolist()}
    tensor = next(name for name in kept if name.endswith("data/0"))
    with zipfile.ZipFile(where, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in kept.items():
            archive.writestr(name, bytes(1 << 26) if name == tensor else content)


def rewrite(where: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Write the archive anew, stored and with right checksums, each entry changed by `change(name, content)`."""
    with zipfile.ZipFile(where) as archive:
        kept = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(where, "w", zipfile.ZIP_STORED) as archive:
        for name, content in kept.items():
            archive.writestr(name, change(name, content))


def _numpy1_names(where: RunPaths) -> None:
    rewrite(where.sae_model, lambda _, content: content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))


def _nan_metadata(run: RunContents) -> None:
    metadata = run.metadata
    metadata["training_results"]["final_loss"] = float("inf")
    metadata["feature_statistics"]["feature_mean_activations"][3] = float("nan")


def _half_metadata(where: RunPaths) -> None:
    where.metadata.write_text(json.dumps({"a": 1, "b": 2})[:9], encoding="utf-8")


def _container(damage: Callable[[Path], None], codes: tuple[str, ...]) -> dict[str, BrokenRun]:
    name = damage.__name__.strip("_")
    return {
        f"{name}_activations": BrokenRun("refuse", codes, damage=lambda where: damage(where.activations)),
        f"{name}_sae": BrokenRun("refuse", codes, damage=lambda where: damage(where.sae_model)),
    }


def _empty(where: Path) -> None:
    where.write_bytes(b"")


def _noise(where: Path) -> None:
    where.write_bytes(b"no checkpoint at all" * 100)


def _runs_code(where: Path) -> None:
    _resave(where, {**_load(where), "model_info": RunsCode(where.parents[2] / "CODE_RAN")})


def _not_a_dict(where: Path) -> None:
    _resave(where, list(_load(where).values()))


def _legacy(where: Path) -> None:
    _resave(where, _load(where), zipped=False)


def _sparse(where: Path) -> None:
    content = _load(where)
    _resave(where, {**content, "model_info": torch.eye(3).to_sparse()})


def _short_storage(where: Path) -> None:
    rewrite(where, lambda name, content: content[:-64] if name.endswith("data/0") else content)


BROKEN_RUNS: dict[str, BrokenRun] = {
    "unchanged": BrokenRun("accept"),
    "rows_lt_texts": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _rows_lt_texts),
    "patched_texts": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _patched_texts),
    "nan_features": BrokenRun("partial", ("FEATURE_NOT_FINITE",), _cells(float("nan"))),
    "inf_features": BrokenRun("partial", ("FEATURE_NOT_FINITE",), _cells(float("inf"), float("-inf"))),
    "negative_features": BrokenRun("partial", ("FEATURE_NEGATIVE",), _cells(-0.5, -1e-3)),
    "both_bad": BrokenRun("partial", ("FEATURE_NOT_FINITE", "FEATURE_NEGATIVE"), _cells(-0.5, float("nan"))),
    "nan_original": BrokenRun("partial", ("ORIGINAL_NOT_FINITE",), _nan_original),
    "no_originals": BrokenRun("partial", ("ORIGINALS_MISSING",), _no_originals),
    "wrong_sae": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _wrong_sae),
    "permuted_sae": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _permuted_sae),
    "shuffled_rows": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _shuffled_rows),
    "shape_mismatch": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _wider_sae),
    "transposed_sae": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _transposed_sae),
    "square_transposed_sae": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _square_transposed_sae),
    "count_lies": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _count_lies),
    "missing_texts": BrokenRun("refuse", ("ARTIFACT_INVALID",), _missing_texts),
    "texts_not_str": BrokenRun("refuse", ("ARTIFACT_INVALID",), _texts_not_str),
    "empty_features": BrokenRun("refuse", ("ARTIFACT_INVALID",), lambda run: _take_all(run, [])),
    "dead_all": BrokenRun("accept", change=_dead_all),
    "single_text": BrokenRun("accept", change=lambda run: _take_all(run, [0])),
    "duplicate_texts": BrokenRun("accept", change=lambda run: _take_all(run, [7] * 30 + list(range(170)))),
    "tied_activations": BrokenRun("accept", change=_tied_activations),
    "tied_weights": BrokenRun("accept", change=_tied_weights),
    "fp16_features": BrokenRun("accept", change=_half_features),
    "bf16_sae": BrokenRun("accept", change=_bf16_sae),
    "autocast_fp16": BrokenRun("accept", change=_autocast(torch.float16)),
    "autocast_bf16": BrokenRun("accept", change=_autocast(torch.bfloat16)),
    "float32_stats": BrokenRun("accept", change=_float32_stats),
    "unicode_control_chars": BrokenRun("accept", change=_odd_texts),
    "huge_text": BrokenRun("accept", change=_huge_text),
    **_container(_cut, ("ARTIFACT_TRUNCATED",)),
    **_container(_empty, ("ARTIFACT_TRUNCATED",)),
    **_container(_noise, ("ARTIFACT_CORRUPT",)),
    **_container(_flip, ("ARTIFACT_CORRUPT",)),
    **_container(_flip_tensor, ("ARTIFACT_CORRUPT",)),
    **_container(_runs_code, ("ARTIFACT_FORBIDDEN_PICKLE",)),
    **_container(_sparse, ("ARTIFACT_FORBIDDEN_PICKLE",)),
    **_container(_deflate, ("ARTIFACT_INVALID",)),
    **_container(_not_a_dict, ("ARTIFACT_INVALID",)),
    **_container(_legacy, ("ARTIFACT_LEGACY_FORMAT",)),
    **_container(_short_storage, ("ARTIFACT_TRUNCATED",)),
    "numpy1_names": BrokenRun("accept", damage=_numpy1_names),
    "missing_sae": BrokenRun("partial", ("SAE_MISSING",), damage=lambda where: where.sae_model.unlink()),
    "metadata_missing": BrokenRun("partial", ("METADATA_MISSING",), damage=lambda where: where.metadata.unlink()),
    "metadata_bad_json": BrokenRun("partial", ("METADATA_UNREADABLE",), damage=_half_metadata),
    "metadata_nan": BrokenRun("accept", change=_nan_metadata),
    "metadata_disagrees": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _metadata_disagrees),
    "metadata_dims_disagree": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _metadata_dims_disagree),
    "metadata_rates_disagree": BrokenRun("refuse", ("ARTIFACT_MISALIGNED",), _metadata_rates_disagree),
    "metadata_not_ready": BrokenRun(
        "refuse", ("ARTIFACT_NOT_READY",), lambda run: run.metadata.update(ready_for_find_service=False)
    ),
}
