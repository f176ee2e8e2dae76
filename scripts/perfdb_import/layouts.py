"""How a release lays its tables out: one function per layout, all giving the same ``Tree``.

Add a layout by writing its function and its line in ``LAYOUTS``; nothing after this module knows a layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from . import import_facts
from .problems import ImportProblem
from .wheel import release_key

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
    shared_rows: bool = True  # may a version's gaps be filled from other versions and backends?


def reader_of(release: str) -> Callable[[list[str]], Tree]:
    """The function that reads the layout of ``release`` from the member names of its archive."""
    key = release_key(release)
    for first, reader in LAYOUTS:
        if key >= first and reader:
            return reader
        if key >= first:
            raise ImportProblem(f"release {release} was published without its measured tables; "
                                "releases 0.1 to 0.8, 0.10 and those since 0.12 have them")
    oldest = ".".join(map(str, LAYOUTS[-1][0]))
    raise ImportProblem(f"release {release} lays its tables out in a way this importer does not read; "
                        f"the oldest it reads is {oldest}")


def family_first(members: list[str]) -> Tree:
    """``<package>/systems/data/<system>/<family>/<backend>/<version>/<table>.parquet``, since 0.12."""
    root = _systems_root(members)
    present = set(members)

    def shared(name: str) -> str | None:
        return root + name if root + name in present else None

    tree = Tree({}, shared("query_versions.yaml"), shared("attention_lane_defaults.yaml"),
                shared("perf_data_reuse_manifest.yaml"))
    for (system, family, backend, version), found in _directories(members, root, 4):
        if family in BACKENDS + COLLECTIVES:
            continue
        where = _version(tree, system, backend, version, found)
        for name, member in found.items():
            if name.endswith(".parquet"):
                where.files.append(SourceFile(name.removesuffix(".parquet"), backend, version, family, member,
                                              member.removeprefix(root)))
            elif name == "reuse.yaml":
                where.reuse.setdefault((backend, version), []).append(member)
    return _checked(tree)


def backend_first(members: list[str]) -> Tree:
    """``<package>/systems/data/<system>/<backend>/<version>/<table>.parquet``, 0.10."""
    root = _systems_root(members)
    manifest = root + "op_kernel_source_manifest.yaml"
    return _backend_first(members, root, ".parquet", Tree({}, manifest=manifest if manifest in members else None))


def text_tables(members: list[str]) -> Tree:
    """``<package>/systems/data/<system>/<backend>/<version>/<table>.txt``, up to 0.8: every version stands alone."""
    return _backend_first(members, _systems_root(members), ".txt", Tree({}, shared_rows=False))


# Newest first: the first release a layout holds for, and its reader; None where releases have no tables.
LAYOUTS: list[tuple[tuple[int, int], Callable[[list[str]], Tree] | None]] = [
    ((0, 12), family_first),
    ((0, 11), None),
    ((0, 10), backend_first),
    ((0, 9), None),
    ((0, 1), text_tables),
]


def _systems_root(members: list[str]) -> str:
    roots = {member[: member.index("/systems/data/") + len("/systems/")] for member in members
             if "/systems/data/" in member}
    if len(roots) != 1:
        raise ImportProblem(f"the archive has {len(roots)} folders systems/data, so it is not a release "
                            "of measured tables")
    return roots.pop()


def _directories(members: list[str], root: str, depth: int) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    """Version directories ``depth`` levels below the data folder, sorted: their path, and file name -> member.

    One that its collector vetoed is not to be read, not even to be listed.
    """
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for member in sorted(members):
        *path, name = member.removeprefix(root + "data/").split("/")
        inside = member.startswith(root + "data/") and len(path) == depth and all(path)
        if inside and name and not path[-1].startswith((".", "_")):
            found.setdefault(tuple(path), {})[name] = member
    return [(path, names) for path, names in sorted(found.items())
            if "INCOMPLETE.txt" not in names or "collection_meta.yaml" in names]


def _version(tree: Tree, system: str, backend: str, version: str, found: dict[str, str]) -> System:
    """The system, with one more of its version directories noted."""
    where = tree.systems.setdefault(system, System())
    real = {name for name in found if name not in MARKERS and not name.startswith(".")}
    where.directories.setdefault((backend, version), set()).update(real)
    return where


def _backend_first(members: list[str], root: str, suffix: str, tree: Tree) -> Tree:
    for (system, backend, version), found in _directories(members, root, 3):
        if backend not in BACKENDS + COLLECTIVES:
            continue
        where = _version(tree, import_facts.system(system), backend, version, found)
        tables = {PurePosixPath(name).stem: member for name, member in found.items()
                  if name.endswith(suffix) and name not in MARKERS}
        for name, member in tables.items():
            table = import_facts.table(name, backend, version, tables.keys())
            where.files.append(SourceFile(table, backend, version, import_facts.family(table, member), member,
                                          member.removeprefix(root)))
    return _checked(tree)


def _checked(tree: Tree) -> Tree:
    """Refuses a tree without tables, and one where two files would have one group."""
    if not any(system.files for system in tree.systems.values()):
        raise ImportProblem("the archive holds no measured tables")
    for name, system in tree.systems.items():
        seen: dict[str, SourceFile] = {}
        for file in system.files:
            other = seen.setdefault(file.group, file)
            if other is not file:
                raise ImportProblem(f"{name}: {other.source} and {file.source} are one table in two places")
    return tree
