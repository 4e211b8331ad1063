"""The results as a table that a database loads: one row a feature, everything nested as in the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from mistudio_worker.domain.feature_report import FeatureReport
from mistudio_worker.exports.plain import plain
from mistudio_worker.exports.records import SCHEMA_VERSION

if TYPE_CHECKING:
    from mistudio_worker.domain.find_result import FindResult

ROW_GROUP_FEATURES = 256
_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def write_parquet(result: FindResult, stream: BinaryIO) -> None:
    """Write `_features.parquet`: the columns are the fields of a feature in the JSON, in their order.

    Records are structs, lists are lists, mappings are maps; a figure that is not defined is null. Row
    groups of 256 features bound the memory. Names of the job stand in the file's key-value metadata.

    Raises:
        NotExportable: a figure is NaN or infinite.
    """
    schema = feature_schema().with_metadata(
        {
            "schema_version": SCHEMA_VERSION,
            "find_job_id": result.identity.find_job_id,
            "source_job_id": result.identity.training_job_id,
        }
    )
    with pq.ParquetWriter(stream, schema, compression="zstd", compression_level=1) as writer:
        for start in range(0, len(result.features), ROW_GROUP_FEATURES):
            memo: dict[str, str] = {}
            rows = [plain(f, memo) for f in result.features[start : start + ROW_GROUP_FEATURES]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def feature_schema() -> pa.Schema:
    """Return the Arrow schema that follows from the fields of FeatureReport."""
    return pa.schema(_fields(FeatureReport))


def _fields(record: type) -> list[pa.Field]:
    hints = get_type_hints(record, localns={"Mapping": Mapping})
    return [pa.field(name, _arrow_type(hint)) for name, hint in hints.items()]


def _arrow_type(hint: Any) -> pa.DataType:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _arrow_type(next(a for a in arguments if a is not NoneType))
    if origin is Literal:
        return pa.string()
    if origin is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    if origin is Mapping:
        return pa.map_(_arrow_type(arguments[0]), _arrow_type(arguments[1]))
    return _SCALARS[hint] if hint in _SCALARS else pa.struct(_fields(hint))
