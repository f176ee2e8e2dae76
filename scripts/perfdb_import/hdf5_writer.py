"""Writing one system's perfdb file: same tables in, same bytes out."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np

from . import columns, packing

FORMAT = "aicfg-perfdb"
FORMAT_VERSION = 1
LICENCE = "Apache-2.0"
CHUNK_ROWS = 1 << 17


class Writer:
    """Grows a perfdb file under a temporary name; ``publish`` gives it its own."""

    def __init__(self, path: Path, system: str, release: str, origin: str):
        self._path = path
        self._temporary = path.with_name(f".{path.name}.tmp")  # one name: a killed run leaves at most one behind
        self._head = {"system": system, "release": release, "origin": origin}
        self._digests: dict[str, str] = {}
        self._rows = 0
        fcpl = h5py.h5p.create(h5py.h5p.FILE_CREATE)
        fcpl.set_obj_track_times(False)
        fcpl.set_attr_phase_change(16, 8)
        fapl = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        fapl.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
        self._file = h5py.File(h5py.h5f.create(os.fsencode(self._temporary), h5py.h5f.ACC_TRUNC, fcpl, fapl))

    def add(self, group_path: str, family: str, source: str, table: list[columns.Column]) -> int:
        """Appends one table and returns its row count."""
        rows = len(table[0].cells) if table else 0
        group = self._group(group_path)
        digest = columns.table_digest(table)
        _text(group, "family", family)
        _text(group, "source", source)
        group.attrs.create("rows", rows, dtype="<i8")
        _text(group, "digest", digest)
        for column in table:
            _dataset(group, column)
        self._digests[group_path] = digest
        self._rows += rows
        return rows

    def publish(self) -> None:
        """Writes the root attributes, forces the file to disk and moves it to its name."""
        root = self._file["/"]
        _text(root, "format", FORMAT)
        root.attrs.create("format_version", FORMAT_VERSION, dtype="<i4")
        for name, value in self._head.items():
            _text(root, name, value)
        _text(root, "licence", LICENCE)
        root.attrs.create("rows", self._rows, dtype="<i8")
        root.attrs.create("tables", len(self._digests), dtype="<i8")
        _text(root, "digest", columns.system_digest(self._digests))
        self._file.close()
        with self._temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        self._temporary.replace(self._path)

    def abandon(self) -> None:
        if self._file.id.valid:
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _group(self, path: str) -> h5py.Group:
        here = self._file["/"]
        for name in path.strip("/").split("/"):
            if name not in here:
                gcpl = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
                gcpl.set_obj_track_times(False)
                h5py.h5g.create(here.id, name.encode(), gcpl=gcpl)
            here = here[name]
        return here


def _text(target: h5py.Group, name: str, value: str) -> None:
    data = value.encode()
    kind = h5py.string_dtype("utf-8", max(len(data), 1))
    target.attrs.create(name, np.array(data, dtype=kind), dtype=kind)


def _dataset(group: h5py.Group, column: columns.Column) -> None:
    rows = len(column.cells)
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_obj_track_times(False)
    if rows:
        dcpl.set_chunk((min(rows, CHUNK_ROWS),))
        dcpl.set_shuffle()
        dcpl.set_deflate(packing.DEFLATE_LEVEL)
        dcpl.set_fletcher32()
    space = h5py.h5s.create_simple((rows,))
    handle = h5py.h5d.create(group.id, column.name.encode(), _file_type(column), space, dcpl)
    dataset = h5py.Dataset(handle)
    if column.boolean:
        dataset.attrs.create("boolean", 1, dtype="u1")
    for start in range(0, rows, CHUNK_ROWS):
        handle.write_direct_chunk((start,), packing.chunk_bytes(_chunk(column.cells, start)))


def _chunk(cells: np.ndarray, start: int) -> np.ndarray:
    """The cells of a chunk; behind the last row it holds zeros."""
    part = cells[start:start + CHUNK_ROWS]
    missing = min(len(cells), CHUNK_ROWS) - len(part)
    return np.append(part, np.zeros(missing, cells.dtype)) if missing else np.ascontiguousarray(part)


def _file_type(column: columns.Column) -> h5py.h5t.TypeID:
    base = h5py.h5t.py_create(column.cells.dtype.newbyteorder("<"))
    if column.tag != columns.STRING:
        return base
    return _enumeration(base, column.members)


def _enumeration(base: h5py.h5t.TypeID, members: tuple[str, ...]) -> h5py.h5t.TypeID:
    kind = h5py.h5t.enum_create(base)
    for value, member in enumerate(members or ("",)):  # an enumeration must have a member
        kind.enum_insert((member or columns.EMPTY).encode(), value)
    return kind
