"""Runs scripts/import-perfdb, and reads perfdb files as the format page describes them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import h5py

ROOT = Path(__file__).resolve().parents[2]


def run(wheel: Path, out: Path, *extra: str, release: str) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts" / "import-perfdb", "--release", release, "--wheel", wheel, "--out", out, "--jobs", "1"]
    return subprocess.run([*map(str, command), *extra], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHON": sys.executable})


def tables(file) -> dict:
    """Group path -> group, for every table of a perfdb file."""
    found = {}
    file.visititems(lambda name, item: found.update({"/" + name: item}) if "source" in item.attrs else None)
    return found


def cells(dataset) -> list:
    """The column's cells as the format page says a reader sees them."""
    members = h5py.check_enum_dtype(dataset.dtype)
    raw = dataset[:].tolist()
    if members is None:
        return [bool(cell) for cell in raw] if dataset.attrs.get("boolean") else raw
    names = {value: "" if name == "<empty>" else name for name, value in members.items()}
    return [names[value] for value in raw]


def digest_of(group) -> str:
    """The group digest, written down from the format page and not from the importer."""
    total = hashlib.sha256()
    for name in sorted(group, key=str.encode):
        dataset = group[name]
        if h5py.check_enum_dtype(dataset.dtype) is not None:
            tag, body = b"s", b"".join(cell.encode() + b"\0" for cell in cells(dataset))
        elif dataset.dtype.kind == "f":
            tag, body = b"f", dataset[:].astype("<f8").tobytes()
        else:
            tag, body = b"i", dataset[:].astype("<i8").tobytes()
        total.update(name.encode() + b"\0" + tag + b"\0" + body)
    return total.hexdigest()


def check_file(path: Path) -> tuple[str, int, int]:
    """Everything the format promises of any file; returns digest, rows, tables."""
    with h5py.File(path) as file:
        groups = tables(file)
        assert file.attrs["format"] == b"aicfg-perfdb" and file.attrs["format_version"] == 1
        assert file.attrs["system"].decode() == path.stem and file.attrs["release"].decode() == path.parent.name
        assert file.attrs["licence"] == b"Apache-2.0"
        total = hashlib.sha256()
        for name in sorted(groups, key=str.encode):
            group = groups[name]
            assert name.count("/") == 3
            assert {dataset.shape for dataset in group.values()} == {(group.attrs["rows"],)}
            assert digest_of(group) == group.attrs["digest"].decode(), name
            total.update(name.encode() + b"\0" + group.attrs["digest"] + b"\0")
        assert total.hexdigest() == file.attrs["digest"].decode()
        assert sum(group.attrs["rows"] for group in groups.values()) == file.attrs["rows"]
        assert len(groups) == file.attrs["tables"]
        return total.hexdigest(), int(file.attrs["rows"]), len(groups)
