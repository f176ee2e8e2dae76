"""How a release lays its tables out: one function per layout, all giving the same ``Tree``.

Add a layout by writing its function and its line in ``LAYOUTS``; nothing after this module knows a layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from .problems import ImportProblem

BACKENDS = ("trtllm", "sglang", "vllm")
COLLECTIVES = ("nccl", "oneccl")
# Files of a version directory that describe tables and are none.
MARKERS = ("collection_meta.yaml", "reuse.yaml", "INCOMPLETE.txt", "SHARED_LAYER_REUSE.txt")


@dataclass(frozen=True)
class SourceFile:
    """One measured table of one backend release, as an archive member."""

    table: str
    backend: str
    version: str
    family: str
    member: str
    source: str  # the member's path inside the systems folder of the package

    @property
    def group(self) -> str:
        return f"/{self.table}/{self.backend}/{self.version}"


@dataclass
class System:
    """One system's tables and what its version directories hold beside them."""

    files: list[SourceFile] = field(default_factory=list)
    # (backend, version) -> names of the real files found, empty for a directory of markers only
    directories: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    reuse: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # -> members named reuse.yaml


@dataclass
class Tree:
    """A release: its systems by name and the members holding its release-wide facts (None where it has none)."""

    systems: dict[str, System]
    slots: str | None = None
    lanes: str | None = None
    manifest: str | None = None


def reader_of(release: str) -> Callable[[list[str]], Tree]:
    """The function that reads the layout of ``release`` from the member names of its archive."""
    key = tuple(int(number) for number in re.findall(r"\d+", release)[:2])
    for first, reader in LAYOUTS:
        if key >= first:
            return reader
    oldest = ".".join(map(str, LAYOUTS[-1][0]))
    raise ImportProblem(f"release {release} lays its tables out in a way this importer does not read; "
                        f"the oldest it reads is {oldest}")


def family_first(members: list[str]) -> Tree:
    """``<package>/systems/data/<system>/<family>/<backend>/<version>/<file>``, since 0.12."""
    root = _systems_root(members, "perf_data_reuse_manifest.yaml")
    present = set(members)

    def shared(name: str) -> str | None:
        return root + name if root + name in present else None

    tree = Tree({}, shared("query_versions.yaml"), shared("attention_lane_defaults.yaml"),
                shared("perf_data_reuse_manifest.yaml"))
    by_directory: dict[tuple[str, ...], list[str]] = {}
    for member in members:
        if not member.startswith(root + "data/"):
            continue
        parts = member.removeprefix(root + "data/").split("/")
        if len(parts) == 5 and parts[3][0] not in "._" and parts[1] not in BACKENDS + COLLECTIVES:
            by_directory.setdefault(tuple(parts[:4]), []).append(member)
    for (system, family, backend, version), found in sorted(by_directory.items()):
        names = {PurePosixPath(member).name for member in found}
        if "INCOMPLETE.txt" in names and "collection_meta.yaml" not in names:
            continue  # vetoed by its collector: not to be read, not to be listed
        where = tree.systems.setdefault(system, System())
        real = {name for name in names if name not in MARKERS and not name.startswith(".")}
        where.directories.setdefault((backend, version), set()).update(real)
        for member in sorted(found):
            name = PurePosixPath(member).name
            if name.endswith(".parquet"):
                where.files.append(SourceFile(name.removesuffix(".parquet"), backend, version, family, member,
                                              member.removeprefix(root)))
            elif name == "reuse.yaml":
                where.reuse.setdefault((backend, version), []).append(member)
    if not any(system.files for system in tree.systems.values()):
        raise ImportProblem("the archive holds no measured tables")
    _refuse_twins(tree)
    return tree


# Newest first: the first release a layout holds for, and its reader.
LAYOUTS = [((0, 12), family_first)]


def _systems_root(members: list[str], landmark: str) -> str:
    roots = [member.removesuffix(landmark) for member in members if member.endswith("/systems/" + landmark)]
    if len(roots) != 1:
        raise ImportProblem(f"the archive has {len(roots)} files systems/{landmark}, so it is not a release "
                            "of measured tables")
    return roots[0]


def _refuse_twins(tree: Tree) -> None:
    """Two families holding one table would make its group ambiguous."""
    for name, system in tree.systems.items():
        seen: dict[str, SourceFile] = {}
        for file in system.files:
            other = seen.setdefault(file.group, file)
            if other is not file:
                raise ImportProblem(f"{name}: {other.source} and {file.source} are one table in two families")
