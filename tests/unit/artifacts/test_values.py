"""The scan for impossible values, tensors that are refused, and blocks."""

from __future__ import annotations

import math

import pytest
import torch

from mistudio_worker.artifacts import values
from mistudio_worker.artifacts.blocks import TensorBlocks
from mistudio_worker.artifacts.tensors import plain_tensor
from mistudio_worker.artifacts.texts import read_texts
from mistudio_worker.errors import RefusedInput


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("block_rows", [1, 3, 4096])
def test_bad_cells_are_counted_whatever_the_block(
    dtype: torch.dtype, block_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN, infinite and negative cells are counted by column, each once."""
    monkeypatch.setattr(values, "BLOCK_ROWS", block_rows)
    matrix = torch.ones(10, 6, dtype=dtype)
    matrix[2, 1] = math.nan
    matrix[9, 1] = -math.inf
    matrix[4, 3] = math.inf
    matrix[5, 3] = -1.0
    matrix[0, 5] = -0.0
    bad = values.find_bad_columns(TensorBlocks(matrix))
    assert bad.not_finite == {1: 2, 3: 1}
    assert bad.negative == {3: 1}
    assert bad.columns == (1, 3)


@pytest.mark.parametrize("block_rows", [1, 4, 4096])
def test_bad_rows_are_found_whatever_the_block(block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with NaN or infinities are found; negative values are at home here."""
    monkeypatch.setattr(values, "BLOCK_ROWS", block_rows)
    matrix = -torch.ones(10, 4)
    matrix[3, 0], matrix[3, 2], matrix[9, 3] = math.nan, math.inf, -math.inf
    assert values.find_bad_rows(TensorBlocks(matrix)) == (3, 9)


def test_blocks_are_views() -> None:
    """Rows come back in the stored dtype without being copied, also of a view with odd strides."""
    matrix = torch.arange(12, dtype=torch.bfloat16).reshape(3, 4).T
    block = TensorBlocks(matrix).rows(1, 3)
    assert TensorBlocks(matrix).shape == (4, 3)
    assert torch.equal(block, matrix[1:3])
    assert block.untyped_storage().data_ptr() == matrix.untyped_storage().data_ptr()


def test_blocks_of_unaligned_memory_are_copies() -> None:
    """Elements at odd addresses are copied to aligned memory, block by block."""
    matrix = torch.frombuffer(bytearray(25), dtype=torch.float32, offset=1, count=6).reshape(2, 3)
    assert matrix.data_ptr() % 4
    block = TensorBlocks(matrix).rows(0, 2)
    assert block.data_ptr() % 4 == 0
    assert torch.equal(block, matrix)


def test_blocks_need_a_matrix() -> None:
    """A vector has no rows to read by block."""
    with pytest.raises(ValueError, match="expected a matrix"):
        TensorBlocks(torch.ones(3))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([1.0], "ARTIFACT_INVALID"),
        (torch.ones(3), "ARTIFACT_INVALID"),
        (torch.ones(2, 2, 2), "ARTIFACT_INVALID"),
        (torch.ones(2, 2, dtype=torch.float64), "ARTIFACT_INVALID"),
        (torch.ones(2, 2, dtype=torch.int64), "ARTIFACT_INVALID"),
        (torch.eye(2).to_sparse(), "ARTIFACT_INVALID"),
        (torch.empty(2, 2, device="meta"), "ARTIFACT_INVALID"),
        (torch.nn.Buffer(torch.ones(2, 2)).as_subclass(type("Odd", (torch.Tensor,), {})), "ARTIFACT_INVALID"),
        (torch.ones(1).expand(1_000_000, 1_000_000), "ARTIFACT_TRUNCATED"),
    ],
    ids=["list", "1d", "3d", "float64", "int64", "sparse", "meta", "subclass", "expanded"],
)
def test_odd_tensors_are_refused(value: object, code: str) -> None:
    """Only dense float matrices whose storage holds every element are taken."""
    with pytest.raises(RefusedInput) as caught:
        plain_tensor(value, "matrix", 2)
    assert caught.value.code == code


def test_parameters_are_taken_as_tensors() -> None:
    """A parameter is a tensor with a gradient, which is left behind."""
    tensor = plain_tensor(torch.nn.Parameter(torch.ones(2, 2)), "matrix", 2)
    assert type(tensor) is torch.Tensor
    assert not tensor.requires_grad


@pytest.mark.parametrize("value", [None, "text", ("a", "b"), {"a": 1}])
def test_texts_are_a_list(value: object) -> None:
    """Anything but a list is refused, and its type named."""
    with pytest.raises(RefusedInput, match="expected a list of strings"):
        read_texts(value, 10, 10)


def test_text_limits_count_utf8_bytes() -> None:
    """The budget is of encoded bytes, so that four-byte characters count four."""
    assert read_texts(["\U0001f469", "é", "a"], 3, 7) == (["\U0001f469", "é", "a"], 0)
    with pytest.raises(RefusedInput, match="7 bytes, expected at most 6"):
        read_texts(["\U0001f469", "é", "a"], 3, 6)


def test_halves_of_a_pair_are_lone() -> None:
    """Two surrogates side by side in a python string are two lone ones."""
    assert read_texts(["a\ud83d\udc69b"], 1, 100) == (["a\ufffd\ufffdb"], 2)
