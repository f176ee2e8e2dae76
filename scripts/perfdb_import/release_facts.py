"""What holds for a whole release: version slots, attention lanes, directories, declared and cross-backend reuse."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from typing import Any

import yaml

from .layouts import BACKENDS, System, Tree
from .problems import ImportProblem
from .wheel import read_member

FORMAT = "aicfg-perfdb-release"
FORMAT_VERSION = 1
CROSS_BACKEND_TIERS = ("shared", "shared_fallback")


def gather(archive: zipfile.ZipFile, tree: Tree, release: str) -> dict[str, Any]:
    """The content of release.yaml."""

    def load(member: str | None) -> Any:
        return _load(archive, member) if member else {}

    head = {"format": FORMAT, "version": FORMAT_VERSION, "release": release}
    if not tree.shared_rows:
        head["shared_rows"] = False
    parts = {
        "slots": _slots(load(tree.slots), tree.systems),
        "lanes": _lanes(load(tree.lanes)),
        "directories": _directories(tree.systems),
        "reuse": _reuse(tree.systems, load),
        "cross_backend": _cross_backend(load(tree.manifest), tree.manifest or ""),
    }
    return head | {name: part for name, part in parts.items() if part}


def version_key(text: str) -> tuple[int, int, int, int, int, int]:
    """Order of framework versions among slots: numbers, then rc below final, then the last number after them."""
    text = text.lower()
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text) or re.search(r"(\d+)\.(\d+)", text)
    if not match:
        return (0, 0, 0, 0, 0, 0)
    major, minor, patch = (*map(int, match.groups()), 0)[:3]
    candidate = re.search(r"rc(\d+)", text)
    stage = (0, int(candidate[1])) if candidate else (0, 0) if "rc" in text else (1, 0)
    trailing = re.findall(r"\d+", text[match.end():])
    return (major, minor, patch, *stage, int(trailing[-1]) if trailing else 0)


def _load(archive: zipfile.ZipFile, member: str) -> Any:
    try:
        # BaseLoader: every scalar stays the text it is, so that the version 2.27 is not read as a number.
        return yaml.load(read_member(archive, member), yaml.BaseLoader) or {}
    except yaml.YAMLError as cause:
        raise ImportProblem(f"{member}: not readable as YAML ({cause})") from cause


def _slots(document: dict, systems: dict[str, System]) -> dict:
    if not document:
        return {}

    def slot(entry: dict) -> dict:
        named = {name: entry.get(name) for name in ("current", "previous")}
        return {name: text for name, text in named.items() if text not in (None, "", "null", "~")}

    overrides = {system: {backend: slot(entry) for backend, entry in entries.items() if entry}
                 for system, entries in (document.get("overrides") or {}).items()}
    defaults = {backend: slot(entry) for backend, entry in (document.get("defaults") or {}).items() if entry}
    for backend, entry in defaults.items():
        free = [system for name, system in systems.items() if not overrides.get(name, {}).get(backend)]
        successor = _successor(entry.get("current", ""), backend, free)
        if successor:
            entry["next"] = successor
    return {"defaults": defaults, "overrides": overrides}


def _successor(current: str, backend: str, systems: list[System]) -> str | None:
    """The newest version above ``current`` of which some of ``systems`` holds a real file."""
    newer = {version for system in systems for (name, version), real in system.directories.items()
             if name == backend and real and version_key(version) > version_key(current)}
    return max(newer, key=lambda version: (version_key(version), version), default=None)


def _lanes(document: dict) -> dict:
    return {backend: {version: {int(sm): lane for sm, lane in lanes.items()} for version, lanes in versions.items()}
            for backend, versions in document.items()}


def _directories(systems: dict[str, System]) -> dict:
    listing: dict[str, dict[str, list[str]]] = {}
    for name, system in sorted(systems.items()):
        for backend, version in sorted(system.directories, key=lambda pair: (pair[0], version_key(pair[1]), pair[1])):
            listing.setdefault(name, {}).setdefault(backend, []).append(version)
    return listing


def _reuse(systems: dict[str, System], load: Callable[[str], Any]) -> dict:
    listing: dict[str, dict[str, dict[str, list[dict[str, str]]]]] = {}
    for name, system in sorted(systems.items()):
        for (backend, version), members in sorted(system.reuse.items()):
            entries = [entry for member in members for entry in _declared(load(member), member)]
            if entries:
                listing.setdefault(name, {}).setdefault(backend, {})[version] = entries
    return listing


def _declared(document: dict, member: str) -> list[dict[str, str]]:
    try:
        return [{"table": _stem(entry["table"]), "from": entry["from_version"]} for entry in document["reuse"]]
    except (KeyError, TypeError, AttributeError) as cause:
        raise ImportProblem(f"{member}: expected a list 'reuse' of entries with 'table' and 'from_version'") from cause


def _cross_backend(document: dict, member: str) -> list[dict[str, Any]]:
    try:
        groups = [{"table": _stem(group["op_file"]), "kernel_source": group.get("kernel_source") or "",
                   "tier": group.get("tier"), "frameworks": [name.lower() for name in group["frameworks"]]}
                  for group in document.get("groups") or []]
    except (KeyError, TypeError, AttributeError) as cause:
        raise ImportProblem(f"{member}: expected a list 'groups' of mappings with 'op_file' and 'frameworks'") from cause
    return [group for group in groups
            if group["kernel_source"] and group["tier"] in CROSS_BACKEND_TIERS and len(group["frameworks"]) > 1]


def _stem(table: str) -> str:
    return re.sub(r"\.(parquet|txt)$", "", table)
