"""A column between Parquet and HDF5: its cells, its narrow storage type and its part of the digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

INTEGER, DOUBLE, STRING = b"i", b"f", b"s"  # type tags of the digest
EMPTY = "<empty>"  # the enumeration member standing for an empty string cell
_UNSIGNED = (np.uint8, np.uint16, np.uint32, np.uint64)


@dataclass(frozen=True)
class Column:
    """``cells`` are numbers, or indices into ``members`` for a string column."""

    name: str
    tag: bytes
    cells: np.ndarray
    members: tuple[str, ...] = ()  # distinct strings, by first appearance
    boolean: bool = False


def integer(name: str, cells: np.ndarray, boolean: bool = False) -> Column:
    return Column(name, INTEGER, narrow(cells), boolean=boolean)


def double(name: str, cells: np.ndarray) -> Column:
    return Column(name, DOUBLE, cells.astype(np.float64, copy=False))


def string(name: str, codes: np.ndarray, dictionary: list[str]) -> Column:
    """``codes`` index ``dictionary``, which may hold unused entries in any order."""
    used, first = np.unique(codes, return_index=True)
    order = used[np.argsort(first)]
    rank = np.zeros(max(len(dictionary), 1), np.int64)
    rank[order] = np.arange(len(order))
    return Column(name, STRING, narrow(rank[codes]), tuple(dictionary[code] for code in order))


def narrow(cells: np.ndarray) -> np.ndarray:
    """The same integers in the smallest unsigned type that holds them all, or int64 where one is negative."""
    low, high = (int(cells.min()), int(cells.max())) if len(cells) else (0, 0)
    if low < 0:
        return cells.astype(np.int64)
    return cells.astype(next(kind for kind in _UNSIGNED if high <= np.iinfo(kind).max))


def table_digest(columns: list[Column]) -> str:
    """sha256 over the table's content, independent of how it is stored."""
    digest = hashlib.sha256()
    for column in sorted(columns, key=lambda c: c.name.encode()):
        digest.update(column.name.encode() + b"\0" + column.tag + b"\0")
        digest.update(_cell_bytes(column))
    return digest.hexdigest()


def system_digest(groups: dict[str, str]) -> str:
    """sha256 over the digests of all groups of a file."""
    digest = hashlib.sha256()
    for path, table in sorted(groups.items(), key=lambda item: item[0].encode()):
        digest.update(path.encode() + b"\0" + table.encode() + b"\0")
    return digest.hexdigest()


def _cell_bytes(column: Column) -> bytes:
    if column.tag == DOUBLE:
        return column.cells.astype("<f8").tobytes()
    if column.tag == INTEGER:
        return column.cells.astype("<u8" if column.cells.dtype == np.uint64 else "<i8").tobytes()
    words = [member.encode() + b"\0" for member in column.members]
    if len(words) == 1:
        return words[0] * len(column.cells)
    return b"".join(map(words.__getitem__, column.cells.tolist()))
