"""What importers know of tables by name, from data/import.yaml, which ``aicfg-sweep db import`` reads too."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from .problems import ImportProblem

PATH = Path(__file__).resolve().parents[2] / "data/import.yaml"
FACTS: dict[str, Any] = yaml.safe_load(PATH.read_text())
_FAMILY_OF = {table: family for family, tables in FACTS["families"].items() for table in tables}


def system(name: str) -> str:
    """Today's name of a system."""
    return FACTS["systems"].get(name, name)


def table(name: str, backend: str, version: str, siblings: Collection[str]) -> str:
    """Today's name of a table that lies beside ``siblings`` in the directory of a backend version."""
    for rule in FACTS["tables"]:
        here = rule.get("backend", backend) == backend and str(rule.get("version", version)) == version
        if here and rule["old"] == _short(name) and f"{rule.get('unless', '')}_perf" not in siblings:
            return f"{rule['now']}_perf"
    return name


def family(name: str, member: str) -> str:
    """The family that later releases keep the table ``name`` in; ``member`` is for messages."""
    if _short(name) not in _FAMILY_OF:
        raise ImportProblem(f"{member}: no release is known to have a table of this name")
    return _FAMILY_OF[_short(name)]


def header(name: str) -> list[str]:
    """The columns of a table whose first release did not name them; none for others."""
    return FACTS["headers"].get(_short(name), [])


def derived_columns(name: str) -> Iterator[dict[str, Any]]:
    """Rules for columns that a table may lack: ``column`` is ``total`` div ``divided_by``."""
    return (rule for rule in FACTS["columns"] if _short(name) in rule["tables"])


def row_rules(name: str) -> Iterator[dict[str, Any]]:
    """Which rows of a table to ``keep`` or ``drop`` by the text of a ``column``."""
    return (rule for rule in FACTS["rows"] if rule["table"] == _short(name))


def cell_rules(name: str) -> Iterator[dict[str, Any]]:
    """Which texts of which ``columns`` are called otherwise today."""
    return (rule for rule in FACTS["cells"] if rule.get("table", _short(name)) == _short(name))


def _short(name: str) -> str:
    return name.removesuffix("_perf")
