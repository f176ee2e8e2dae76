#!/usr/bin/env python3
"""What a sweep costs on a cluster: runs a few small shards of it here, and scales their processor time and bytes up.

    scripts/plan_cluster.py SPEC [--shards N] [--nodes M] [--cores C] [--disk MB/S] [--run OPTIONS]

The program: AICFG_SWEEP, else build/release/aicfg-sweep. docs/cluster.md tells what the figures rest on.
"""
from __future__ import annotations

import argparse
import math
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROGRAM = os.environ.get("AICFG_SWEEP") or str(Path(__file__).resolve().parents[1] / "build/release/aicfg-sweep")
PROBE_POINTS = (20_000, 200_000)  # two sizes of shards tell what a shard costs from what a point costs
PROBE_PLACES = (1, 3, 5, 7)  # eighths of the sweep
SHARD_BYTES = 500e6  # what a shard may well weigh: small enough to be done again, large enough to be worth a job
MERGE_US_PER_POINT = 1.0  # processor time of 'merge', proof and copy (docs/cluster.md)


@dataclass(frozen=True)
class Probe:
    points: int
    seconds: float  # of processor time
    bytes: int


def run(*words: str) -> str:
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip() or f"{PROGRAM}: exit code {done.returncode}")
    return done.stdout


def count_points(spec: str, options: list[str]) -> tuple[int, int]:
    """Points and deployments of the sweep."""
    found = re.search(r"^points\s+(\d+) in (\d+) deployments", run("plan", spec, "-j", "1", *options), re.MULTILINE)
    if not found:
        sys.exit(f"{PROGRAM} plan: unexpected output")
    return int(found[1]), int(found[2])


def probe(spec: str, options: list[str], shard: int, shards: int, folder: str) -> Probe:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = run("run", spec, "-o", f"{folder}/probe.h5", "--shard", f"{shard}/{shards}", "-j", "1", *options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    (file,) = Path(folder).glob("probe.shard-*.h5")
    size = file.stat().st_size
    file.unlink()
    points = int(re.search(r": ([\d,]+) points", told)[1].replace(",", ""))
    return Probe(points, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, size)


def probes(spec: str, options: list[str], points: int) -> list[Probe]:
    found = []
    with tempfile.TemporaryDirectory(prefix="aicfg-plan-") as folder:
        for size in PROBE_POINTS:
            shards = max(1, points // size)
            places = sorted({max(1, min(shards, round(shards * place / 8))) for place in PROBE_PLACES})
            found += [probe(spec, options, place, shards, folder) for place in places]
    return found


def fit(found: list[Probe]) -> tuple[float, float]:
    """Seconds per shard and per point, by least squares; none is negative."""
    n, sx, sy = len(found), sum(p.points for p in found), sum(p.seconds for p in found)
    spread = n * sum(p.points**2 for p in found) - sx**2
    slope = (n * sum(p.points * p.seconds for p in found) - sx * sy) / spread if spread else sy / sx
    slope = min(max(slope, 0.0), sy / sx)
    return (sy - slope * sx) / n, slope


def duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def size(count: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("spec")
    parser.add_argument("--shards", type=int, help="default: shards of about 500 MB")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="cores of a node (default: of this one)")
    parser.add_argument("--disk", type=float, default=1000, metavar="MB/S", help="what the file system takes, all nodes together (1000)")
    parser.add_argument("--run", default="", metavar="OPTIONS", help="options of 'aicfg-sweep run', in one word")
    args = parser.parse_args()
    options = shlex.split(args.run)
    points, deployments = count_points(args.spec, options)
    found = probes(args.spec, options, points)
    per_shard, per_point = fit(found)
    per_point_bytes = sum(p.bytes for p in found) / sum(p.points for p in found)
    total = points * per_point_bytes
    shards = args.shards or max(1, math.ceil(total / SHARD_BYTES))
    work = shards * per_shard + points * per_point
    cores = min(args.nodes * args.cores, shards)  # a task per core
    wall = max(math.ceil(shards / cores) * (per_shard + points / shards * per_point), total / args.disk / 1e6)
    print(f"sweep      {points:,} points in {deployments:,} deployments")
    print(f"measured   {len(found)} shards here: {per_point * 1e6:.2f} us of one core a point, {per_shard:.2f} s a shard, "
          f"{per_point_bytes:.1f} bytes a point")
    print(f"shards     {shards:,} of {points / shards:,.0f} points, {duration(per_shard + points / shards * per_point)} "
          f"and {size(total / shards)} each")
    print(f"work       {duration(work)} of one core; {duration(wall)} on {cores} cores, files at {args.disk:g} MB/s")
    print(f"files      {size(total)}, and as much again for the merged one; {shards:,} files, some {40 * shards:,} metadata operations")
    print(f"merge      {duration(points * MERGE_US_PER_POINT * 1e-6)} of one core, {duration(2 * total / args.disk / 1e6)} "
          "of reading and writing")


if __name__ == "__main__":
    main()
