"""From an Arrow table to columns, refusing what a perfdb file cannot say."""

from __future__ import annotations

import pyarrow as pa

from . import columns
from .problems import ImportProblem


def of_table(table: pa.Table, name: str) -> list[columns.Column]:
    """Columns of ``table`` in its order; ``name`` is for messages."""
    if len(set(table.column_names)) != table.num_columns:
        raise ImportProblem(f"{name}: two columns share one name")
    return [_column(label, table.column(label), name) for label in table.column_names]


def _column(label: str, chunked: pa.ChunkedArray, name: str) -> columns.Column:
    where = f"{name}: column '{label}'"
    if not label or "/" in label or label == ".":
        raise ImportProblem(f"{where}: not a usable column name")
    if chunked.null_count:
        raise ImportProblem(f"{where}: {chunked.null_count} empty (null) cells; a measured table has none")
    cells = chunked.combine_chunks()
    kind = cells.type
    if pa.types.is_boolean(kind):
        return columns.integer(label, cells.cast(pa.uint8()).to_numpy(), boolean=True)
    if pa.types.is_integer(kind):
        return columns.integer(label, cells.to_numpy())
    if pa.types.is_float64(kind):
        return columns.double(label, cells.to_numpy())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _string_column(label, cells, where)
    raise ImportProblem(f"{where}: type {kind}; expected integers, doubles, booleans or strings")


def _string_column(label: str, cells: pa.Array, where: str) -> columns.Column:
    encoded = cells.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    for word in words:
        if "\0" in word or word == columns.EMPTY:
            raise ImportProblem(f"{where}: the cell {word!r} cannot be stored")
    if len(words) > 1 << 16:
        raise ImportProblem(f"{where}: {len(words)} different strings; at most {1 << 16} can be stored")
    return columns.string(label, encoded.indices.to_numpy(), words)
