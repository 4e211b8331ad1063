"""What all models on the wire have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


class WireModel(BaseModel):
    """A frozen record. Unknown fields are ignored, so that a writer may be newer than its reader."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
JobId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
FindJobId = Annotated[str, StringConstraints(pattern=r"^find_[0-9]{8}_[0-9]{6}_[0-9a-f]{8}$")]
BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
ObjectKey = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
SchemaVersion = Annotated[str, StringConstraints(pattern=r"^1\.[0-9]+$")]
