"""Writing release.yaml: the facts of a release in a form made to be read and compared."""

from __future__ import annotations

import re
from typing import Any

PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
WORDS_WITH_A_MEANING = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}

INTRO = """\
# Facts of a release of measured tables that no single table holds; docs/formats/perfdb.md explains each part.
# Written by scripts/import-perfdb from {origin}.
"""

NOTES = {
    "shared_rows": "Every version stands alone: no gap is filled from another version or backend.",
    "slots": "Versions a sweep may name per backend, with the aliases current, next and previous.\n"
             "A system listed under overrides uses its own entry in place of the default one.",
    "lanes": "The attention kernel a backend version runs by default on each SM version.",
    "directories": "Versions measured, at least in part, on each system.",
    "reuse": "Tables one version takes from another, as the people who measured them declared; order counts.",
    "cross_backend": "Kernels that several backends share: a backend's gaps may be filled from the others' rows\n"
                     "of that kernel. shared_fallback marks rows whose kernel was not named.",
}


def render(facts: dict[str, Any], origin: str) -> str:
    lines = [INTRO.format(origin=origin).rstrip()]
    for key, value in facts.items():
        if key in NOTES:
            lines += ["", *(f"# {line}" for line in NOTES[key].splitlines())]
        lines += _entry(key, value, 0)
    return "\n".join(lines) + "\n"


def _entry(key: Any, value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    label = f"{pad}{_scalar(key)}:"
    if not _is_block(value):
        return [f"{label} {_flow(value)}"]
    if isinstance(value, dict):
        return [label, *(line for name, item in value.items() for line in _entry(name, item, depth + 1))]
    return [label, *(f"{pad}  - {_flow(item)}" for item in value)]


def _is_block(value: Any) -> bool:
    """Nested mappings and lists of mappings take lines of their own; the rest fits one."""
    if isinstance(value, dict):
        return any(isinstance(item, (dict, list)) for item in value.values())
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """Integers and plain words stand bare; what starts like a number is quoted, so that versions stay text."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, int) or (PLAIN_WORD.fullmatch(text) and text.lower() not in WORDS_WITH_A_MEANING):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
