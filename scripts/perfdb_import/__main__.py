"""Command line of scripts/import-perfdb."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import h5py
import pyarrow as pa

from . import arrow_columns, hdf5_writer, parquet_source, release_facts, release_yaml, text_source
from .layouts import SourceFile, Tree, reader_of
from .problems import ImportProblem
from .wheel import Wheel, default_cache, open_wheel, read_member, release_number


@dataclass(frozen=True)
class Job:
    """One system to import; plain data, for it goes to a worker process."""

    system: str
    files: list[SourceFile]
    wheel: Wheel
    target: Path


def main() -> int:
    options = _parse()
    try:
        return _run(options)
    except ImportProblem as problem:
        print(f"import-perfdb: {problem}", file=sys.stderr)
        return problem.exit_code
    except OSError as problem:
        print(f"import-perfdb: {problem}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("import-perfdb: interrupted; finished systems are kept, run again to go on", file=sys.stderr)
        return 130


def _parse() -> argparse.Namespace:
    cache = default_cache()
    parser = argparse.ArgumentParser(
        prog="import-perfdb", description="Turn a published release of measured tables into perfdb files: "
        "DIR/RELEASE/SYSTEM.h5 for each system, and DIR/RELEASE/release.yaml. Systems already imported are kept.")
    parser.add_argument("--release", required=True, type=release_number, help="release to import, e.g. 0.12.0")
    parser.add_argument("--systems", default="all", help="comma-separated systems, or all (default)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of releases, e.g. data/perfdb")
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="read this wheel, download nothing")
    parser.add_argument("--cache", type=Path, default=cache, metavar="DIR", help=f"downloaded wheels (default {cache})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N",
                        help="systems imported at a time (default: one per core)")
    return parser.parse_args()


def _run(options: argparse.Namespace) -> int:
    read_tree = reader_of(options.release)  # first: an old release is not worth its download
    wheel = open_wheel(options.release, options.wheel, options.cache)
    with wheel.open() as archive:
        tree = read_tree([info.filename for info in archive.infolist() if not info.is_dir()])
        chosen = _choose(options.systems, tree)
        facts = release_facts.gather(archive, tree, options.release)
    folder = options.out / options.release
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "release.yaml", release_yaml.render(facts, wheel.origin))
    jobs = [Job(name, tree.systems[name].files, wheel, folder / f"{name}.h5") for name in chosen]
    return _import_all(jobs, max(1, options.jobs))


def _choose(wanted: str, tree: Tree) -> list[str]:
    known = sorted(name for name, system in tree.systems.items() if system.files)
    if wanted == "all":
        return known
    chosen = list(dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()))
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise ImportProblem(f"no measured tables of system {', '.join(unknown) or '(none named)'}; "
                            f"this release has {', '.join(known)}")
    return chosen


def _import_all(jobs: list[Job], workers: int) -> int:
    pending = []
    for job in jobs:
        if _up_to_date(job):
            print(f"{job.system}: up to date", flush=True)
        else:
            pending.append(job)
    if not pending:
        return 0
    pending.sort(key=lambda job: -len(job.files))  # the longest first, so that no worker ends late and alone
    started, rows, tables, exit_code = time.monotonic(), 0, 0, 0
    for job, done in _finished(pending, workers):
        try:
            count, seconds = done.result()
        except (ImportProblem, OSError, RuntimeError) as problem:  # the latter two: from h5py, or a worker lost
            exit_code = exit_code or getattr(problem, "exit_code", 3)
            print(f"import-perfdb: {job.system} not written: {problem}", file=sys.stderr, flush=True)
            continue
        rows, tables = rows + count, tables + len(job.files)
        print(f"{job.system}: {len(job.files)} tables, {count} rows, {job.target.stat().st_size / 1e6:.1f} MB, "
              f"{_rate(count, seconds)}", flush=True)
    print(f"all: {tables} tables, {rows} rows, {_rate(rows, time.monotonic() - started)}", flush=True)
    return exit_code


def _finished(pending: list[Job], workers: int) -> Iterator[tuple[Job, Future]]:
    """Runs the jobs in processes and yields each as it ends. An interrupt lets the running ones end and drops the rest."""
    with ProcessPoolExecutor(min(workers, len(pending)), initializer=signal.signal,
                             initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        running = {pool.submit(_import_system, job): job for job in pending}
        try:
            for done in as_completed(running):
                yield running[done], done
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _rate(rows: int, seconds: float) -> str:
    return f"{seconds:.1f} s, {rows / max(seconds, 1e-9):.0f} rows/s"


def _up_to_date(job: Job) -> bool:
    """Whether the target was written whole by this format's writer from the very same wheel."""
    if not job.target.exists():
        return False
    try:
        with h5py.File(job.target, "r") as file:
            return (file.attrs["format_version"] == hdf5_writer.FORMAT_VERSION
                    and file.attrs["origin"].decode() == job.wheel.origin)
    except (OSError, KeyError, AttributeError):
        return False


def _import_system(job: Job) -> tuple[int, float]:
    started, rows = time.monotonic(), 0
    writer = hdf5_writer.Writer(job.target, job.system, job.wheel.release, job.wheel.origin)
    try:
        with job.wheel.open() as archive:
            for file in sorted(job.files, key=lambda file: file.group.encode()):
                table = _read_table(read_member(archive, file.member), file)
                rows += writer.add(file.group, file.family, file.source,
                                   arrow_columns.of_table(table, file.source))
        writer.publish()
    except BaseException:
        writer.abandon()
        raise
    return rows, time.monotonic() - started


def _read_table(data: bytes, file: SourceFile) -> pa.Table:
    if file.member.endswith(".parquet"):
        return parquet_source.read(data, file.source)
    return text_source.read(data, file.table, file.source)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
