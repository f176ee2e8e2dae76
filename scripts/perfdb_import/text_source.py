"""Reading one table of a text release into an Arrow table that says what later releases say.

Files are CSV without quotes: a line of names, then a line per row. What a column holds follows from its name.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from . import import_facts
from .problems import ImportProblem

TEXTS = {"architecture", "backend", "device", "distribution", "framework", "implementation", "kernel_source",
         "layer", "model", "model_name", "moe_kernel", "op_name", "phase", "quant_type", "simulation_mode", "strategy",
         "version"}
DOUBLES = {"latency", "power", "power_limit", "avg_ms"}

# Texts by what they hold: modes, under names of their own.
MODES = {column for rule in import_facts.FACTS["cells"] for column in rule["columns"]}


def read(data: bytes, table: str, name: str) -> pa.Table:
    """The text file ``data`` of ``table`` (today's name); ``name`` is for messages."""
    rows = _parse(data, table, name)
    for rule in import_facts.derived_columns(table):
        if rule["column"] not in rows.column_names:
            rows = rows.append_column(rule["column"], _share(rows, rule["total"], rule["divided_by"], name))
    for rule in import_facts.row_rules(table):
        rows = _chosen(rows, rule, name)
    for rule in import_facts.cell_rules(table):
        for column in rule["columns"]:
            rows = _renamed(rows, column, rule["old"], rule["now"])
    return rows


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
    if len(import_facts.header(table)) == len(first):
        return import_facts.header(table), 0
    raise ImportProblem(f"{name}: its first line does not name the columns of a table")


def _type(column: str) -> pa.DataType:
    if column in DOUBLES or column.endswith(("_us", "_gbps")):
        return pa.float64()
    return pa.string() if column in TEXTS or column in MODES or column.endswith("_dtype") else pa.int64()


def _column(rows: pa.Table, column: str, name: str) -> pa.ChunkedArray:
    if column not in rows.column_names:
        raise ImportProblem(f"{name}: no column '{column}'; it has {', '.join(rows.column_names)}")
    return rows[column]


def _share(rows: pa.Table, total: int, divisor: str, name: str) -> pa.ChunkedArray:
    shares = _column(rows, divisor, name)
    if len(shares) and not 1 <= pc.min(shares).as_py() <= pc.max(shares).as_py() <= total:
        raise ImportProblem(f"{name}: column '{divisor}': expected 1 to {total}")
    return pc.divide(pa.scalar(total, pa.int64()), shares)


def _chosen(rows: pa.Table, rule: dict, name: str) -> pa.Table:
    """The rows that later releases have, without the columns that told them apart."""
    without = rule.get("without", [])
    if not set(without).issubset(rows.column_names):
        return rows
    cells = _column(rows, rule["column"], name)
    if "keep" in rule:
        rows = rows.filter(pc.is_in(cells, pa.array(rule["keep"])))
    else:
        rows = rows.filter(pc.invert(pc.is_in(cells, pa.array(rule["drop"]))))
    return rows.drop_columns(without)


def _renamed(rows: pa.Table, column: str, old: str, now: str) -> pa.Table:
    """The table with some cells of a text column renamed."""
    if column not in rows.column_names:
        return rows
    cells = pc.if_else(pc.equal(rows[column], old), now, rows[column])
    return rows.set_column(rows.column_names.index(column), column, cells)
