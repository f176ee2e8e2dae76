"""Reading one Parquet member into an Arrow table."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from .problems import ImportProblem

LFS_POINTER = b"version https://git-lfs"


def read(data: bytes, name: str) -> pa.Table:
    """The Parquet file ``data``; ``name`` is for messages."""
    if data.startswith(LFS_POINTER):
        raise ImportProblem(f"{name}: a git-lfs pointer, not the table itself")
    try:
        return pq.read_table(pa.BufferReader(data), use_threads=False)
    except (pa.ArrowException, OSError) as cause:
        raise ImportProblem(f"{name}: not a readable Parquet file ({cause})", exit_code=3) from cause
