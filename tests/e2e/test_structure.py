"""The rooms of the house: who may include whom, and how long a file may be."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
ORDER = ["base", "perfdb", "ops", "models", "serving", "results", "sweep", "cli"]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def includes():
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        module = path.relative_to(ROOT / "src").parts[0]
        for target in INCLUDE.findall(path.read_text()):
            yield path, module, target


def public_parts(module):
    """Headers that a module's public header is made of."""
    umbrella = ROOT / "src" / module / f"{module}.h"
    names = [f"{module}/{module}.h"]
    if umbrella.exists():
        names += [t for t in INCLUDE.findall(umbrella.read_text()) if t.startswith(module + "/")]
    return names


def test_every_source_lies_in_a_known_module():
    known = {p.name for p in (ROOT / "src").iterdir() if p.is_dir()}
    assert known <= set(ORDER)


def test_includes_go_down_only():
    for path, module, target in includes():
        owner = target.split("/")[0]
        assert owner in ORDER, f"{path}: include of {target} names no module"
        assert ORDER.index(owner) <= ORDER.index(module), f"{path}: {module} must not use {owner}"


def test_private_headers_stay_private():
    for path, module, target in includes():
        owner = target.split("/")[0]
        if owner != module:
            assert target == f"{owner}/{owner}.h", f"{path}: include {owner}/{owner}.h, not {target}"


def test_public_header_parts_are_documented():
    for module in ORDER:
        for part in public_parts(module):
            path = ROOT / "src" / part
            if path.exists():
                assert path.read_text().startswith("/*"), f"{part}: a public header opens with what it is"


def test_sources_can_be_read_in_one_sitting():
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        lines = path.read_text().count("\n")
        assert lines <= 700, f"{path}: {lines} lines"
