"""Reading one table of a text release into an Arrow table that says what later releases say.

Files are CSV without quotes: a line of names, then a line per row. What a column holds follows from its name.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from .problems import ImportProblem

TEXTS = {"architecture", "backend", "device", "distribution", "framework", "implementation", "kernel_source",
         "layer", "model", "model_name", "moe_kernel", "op_name", "phase", "quant_type", "simulation_mode", "strategy",
         "version"}
DOUBLES = {"latency", "power", "power_limit", "avg_ms"}

# The tables whose first release left out the line of names.
HEADERLESS = {"custom_allreduce_perf": ["allreduce_dtype", "num_gpus", "message_size", "strategy", "layer", "latency"]}

# The number format that later releases call otherwise, and the columns that name it (nccl_dtype still says half).
RENAMED = {"float16": "bfloat16"}
RENAMED_IN = {"allreduce_dtype", "attn_dtype", "bmm_dtype", "gemm_dtype", "gemm_type", "kv_cache_dtype", "mla_dtype",
              "moe_dtype"}
RENAMED_KERNELS = {"trtllm_alltoall_perf": {"MnnvlMoe": "NVLinkTwoSided"}}

# The first releases measured MLA for one model only, and told its heads by the tensor parallelism that shared them.
MLA_TABLES = {"context_mla_perf", "generation_mla_perf", "wideep_context_mla_perf", "wideep_generation_mla_perf"}
MLA_HEADS = 128

# Rows that later releases took back: formats that were never modelled, strategies that nobody chose.
DROPPED_FORMATS = ["awq", "gptq"]
KEPT_STRATEGY = "AUTO"


def read(data: bytes, table: str, name: str) -> pa.Table:
    """The text file ``data`` of ``table`` (today's name); ``name`` is for messages."""
    rows = _parse(data, table, name)
    if table in MLA_TABLES and "num_heads" not in rows.column_names:
        rows = rows.append_column("num_heads", _mla_heads(rows, name))
    if table == "gemm_perf":
        rows = rows.filter(pc.invert(pc.is_in(_column(rows, "gemm_dtype", name), pa.array(DROPPED_FORMATS))))
    if {"strategy", "layer"}.issubset(rows.column_names):
        rows = rows.filter(pc.equal(rows["strategy"], KEPT_STRATEGY)).drop_columns(["strategy", "layer"])
    for column in RENAMED_IN.intersection(rows.column_names):
        rows = _renamed(rows, column, RENAMED)
    return _renamed(rows, "kernel_source", RENAMED_KERNELS.get(table, {}))


def _parse(data: bytes, table: str, name: str) -> pa.Table:
    columns, heading = _columns(data, table, name)
    try:
        return csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(use_threads=False, column_names=columns, skip_rows=heading),
            csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            csv.ConvertOptions(column_types={column: _type(column) for column in columns}, null_values=[],
                               strings_can_be_null=False))
    except pa.ArrowInvalid as cause:
        raise ImportProblem(f"{name}: {cause}") from cause


def _columns(data: bytes, table: str, name: str) -> tuple[list[str], int]:
    """The names of the columns, and how many lines name them."""
    try:
        first = data.split(b"\n", 1)[0].rstrip(b"\r").decode().split(",")
    except UnicodeDecodeError as cause:
        raise ImportProblem(f"{name}: not a text file ({cause})", exit_code=3) from cause
    if "op_name" in first and len(set(first)) == len(first):
        return first, 1
    if len(HEADERLESS.get(table, [])) == len(first):
        return HEADERLESS[table], 0
    raise ImportProblem(f"{name}: its first line does not name the columns of a table")


def _type(column: str) -> pa.DataType:
    if column in DOUBLES or column.endswith(("_us", "_gbps")):
        return pa.float64()
    return pa.string() if column in TEXTS or column in RENAMED_IN or column.endswith("_dtype") else pa.int64()


def _column(rows: pa.Table, column: str, name: str) -> pa.ChunkedArray:
    if column not in rows.column_names:
        raise ImportProblem(f"{name}: no column '{column}'; it has {', '.join(rows.column_names)}")
    return rows[column]


def _mla_heads(rows: pa.Table, name: str) -> pa.ChunkedArray:
    shares = _column(rows, "tp_size", name)
    if len(shares) and not 1 <= pc.min(shares).as_py() <= pc.max(shares).as_py() <= MLA_HEADS:
        raise ImportProblem(f"{name}: column 'tp_size': expected 1 to {MLA_HEADS}")
    return pc.divide(pa.scalar(MLA_HEADS, pa.int64()), shares)


def _renamed(rows: pa.Table, column: str, names: dict[str, str]) -> pa.Table:
    """The table with some cells of a text column renamed."""
    if not names or column not in rows.column_names:
        return rows
    cells = rows[column]
    for old, new in names.items():
        cells = pc.if_else(pc.equal(cells, old), new, cells)
    return rows.set_column(rows.column_names.index(column), column, cells)
