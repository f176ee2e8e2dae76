"""Finding, fetching and opening the wheel of a release."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from .problems import ImportProblem

# Every platform's wheel carries the same tables. One fixed platform keeps `origin`, and with it every output
# byte, equal wherever the import runs.
PLATFORM = ["--platform", "manylinux_2_28_x86_64", "--python-version", "3.11", "--implementation", "cp", "--abi", "abi3"]


@dataclass(frozen=True)
class Wheel:
    """An opened release: where it lies and what identifies its content."""

    path: Path
    release: str
    sha256: str

    @property
    def origin(self) -> str:
        return f"{package_of(self.release)} {self.release}, {self.path.name}, sha256 {self.sha256}"

    def open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)


def default_cache() -> Path:
    """Where downloaded wheels are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aicfg-sweep" / "wheels"


def release_key(release: str) -> tuple[int, ...]:
    """The leading numbers of a release, which decide its package and its layout."""
    return tuple(int(number) for number in re.findall(r"\d+", release)[:2])


def package_of(release: str) -> str:
    """The package that carries the tables of a release; they moved into one of their own after 0.10."""
    return "aiconfigurator-core" if release_key(release) > (0, 10) else "aiconfigurator"


def release_number(text: str) -> str:
    """For argparse: a release becomes part of paths and commands, so it is checked before anything else."""
    if not re.fullmatch(r"\d+(\.\w+)+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a release number such as 0.12.0")
    return text


def open_wheel(release: str, wheel_file: Path | None, cache: Path) -> Wheel:
    """The wheel of ``release``: ``wheel_file`` when given, else from ``cache``, else downloaded into it."""
    path = wheel_file or _cached(release, cache) or _download(release, cache)
    if not path.is_file():
        raise ImportProblem(f"{path}: no such wheel file")
    _check(path, release)
    return Wheel(path, release, hashlib.sha256(path.read_bytes()).hexdigest())


def _cached(release: str, cache: Path) -> Path | None:
    found = sorted(cache.glob(f"{package_of(release).replace('-', '_')}-{release}-*.whl"))
    return found[0] if found else None


def _download(release: str, cache: Path) -> Path:
    package = package_of(release)
    cache.mkdir(parents=True, exist_ok=True)
    print(f"downloading {package} {release} into {cache}", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary", ":all:", *PLATFORM, "--dest", str(cache), f"{package}=={release}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = _cached(release, cache)
    if done.returncode == 0 and found:
        return found
    known = re.search(r"from versions: ([^)]*)\)", done.stderr)
    if known:
        raise ImportProblem(f"no release {release} of {package}; published: {known[1]}")
    last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
    raise ImportProblem(f"cannot download {package} {release}: {last}\n"
                        "  fetch the wheel elsewhere and pass it with --wheel FILE", exit_code=3)


def _check(path: Path, release: str) -> None:
    """Refuses what is not a whole wheel or holds another release."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as cause:
        raise ImportProblem(f"{path}: corrupt wheel ({cause}); delete it and run again", exit_code=3) from cause
    held = {match[1] for match in map(re.compile(r"[^/-]+-([^/-]+)\.dist-info/").match, names) if match}
    if not held:
        raise ImportProblem(f"{path}: not a Python wheel (it has no .dist-info folder)")
    if held != {release}:
        raise ImportProblem(f"{path}: this wheel is release {', '.join(sorted(held))}, not {release}")


def read_member(archive: zipfile.ZipFile, member: str) -> bytes:
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as cause:
        raise ImportProblem(f"{member}: damaged in {archive.filename} ({cause}); delete the wheel and run again",
                            exit_code=3) from cause
