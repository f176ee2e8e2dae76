#!/usr/bin/env python3
"""Adds measured tables to a copy of a data release, so that they stand beside the measurements it has.

    docs/examples/convolution/add_table.py --release data/perfdb/0.12.0 --measured docs/examples/convolution/measured \\
        --out /tmp/with-convolution

MEASURED/<system>/<backend>/<version>/<table>.txt is CSV with a header line. A column whose cells are all integers becomes an
integer column, all numbers a real one, anything else text; `latency` is always real. Needs h5py and numpy.
"""
import argparse
import csv
import pathlib
import shutil
import sys

import h5py
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))
from perfdb_import import columns, hdf5_writer  # noqa: E402  the digests and cell types of docs/formats/perfdb.md


def column(name, cells):
    try:
        if name != "latency":
            return columns.integer(name, numpy.array([int(c) for c in cells]))
    except ValueError:
        pass
    try:
        return columns.double(name, numpy.array([float(c) for c in cells]))
    except ValueError:
        known = list(dict.fromkeys(cells))
        return columns.string(name, numpy.array([known.index(c) for c in cells]), known)


def read(path):
    with path.open(newline="") as stream:
        names, *rows = list(csv.reader(stream))
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            sys.exit(f"{path}:{number}: {len(row)} cells, the header has {len(names)}")
    return [column(name, [row[i] for row in rows]) for i, name in enumerate(names)]


def copy_tables(source, writer):
    """Everything the release's file holds, byte for byte in content."""
    for table in source.values():
        for backend in table.values():
            for group in backend.values():
                cells = []
                for name, data in group.items():
                    members = h5py.check_enum_dtype(data.dtype)
                    if members:
                        words = [("" if w == columns.EMPTY else w) for w, _ in sorted(members.items(), key=lambda m: m[1])]
                        cells.append(columns.Column(name, columns.STRING, data[()], tuple(words)))
                    elif data.dtype.kind == "f":
                        cells.append(columns.Column(name, columns.DOUBLE, data[()]))
                    else:
                        cells.append(columns.Column(name, columns.INTEGER, data[()], boolean="boolean" in data.attrs))
                writer.add(group.name, text(group, "family"), text(group, "source"), cells)


def text(target, name):
    value = target.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("release", "measured", "out"):
        parser.add_argument(f"--{option}", type=pathlib.Path, required=True)
    args = parser.parse_args()
    folder = args.out / args.release.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(args.release / "release.yaml", folder)
    for system in sorted(p for p in args.measured.iterdir() if p.is_dir()):
        name = f"{system.name}.h5"
        with h5py.File(args.release / name) as source:
            origin = f"{text(source, 'origin')}; with tables of {args.measured.name}"
            writer = hdf5_writer.Writer(folder / name, system.name, args.release.name, origin)
            copy_tables(source, writer)
        for path in sorted(system.glob("*/*/*.txt")):
            backend, version, table = path.parts[-3:]
            rows = writer.add(f"/{path.stem}/{backend}/{version}", "", str(path.relative_to(args.measured)), read(path))
            print(f"{table}: {rows} rows for {backend} {version} on {system.name}")
        writer.publish()


if __name__ == "__main__":
    main()
